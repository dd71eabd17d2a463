#include "auth/session_json.hpp"

#include "base/json_text.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/core.h>

namespace headrace::auth {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

std::string to_millis(Timestamp time) {
    return format_rfc3339(std::chrono::floor<milliseconds>(time));
}

// Finds a member's value in JSON text that is known to be valid: positions are what boost::json does not keep.
class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    struct Span {
        std::size_t from = 0;
        std::size_t to = 0;
    };

    // The value of the last member `key` of the object that starts at `at` (a parser lets the last one win).
    std::optional<Span> member(std::size_t at, std::string_view key) {
        at_ = at;
        std::optional<Span> found;
        space();
        if (peek() != '{') {
            return std::nullopt;
        }
        ++at_;
        for (space(); peek() == '"'; space()) {
            const auto name_from = at_ + 1;
            skip_string();
            const auto name = text_.substr(name_from, at_ - 1 - name_from);
            space();
            ++at_;  // colon
            space();
            const auto from = at_;
            skip_value();
            if (name == key) {
                found = Span{from, at_};
            }
            space();
            if (peek() != ',') {
                break;
            }
            ++at_;
        }
        return found;
    }

private:
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    void space() {
        while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
            ++at_;
        }
    }

    void skip_string() {
        for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
            if (text_[at_] == '\\') {
                ++at_;
            }
        }
        ++at_;
    }

    void skip_value() {
        int depth = 0;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"') {
                skip_string();
                if (depth == 0) {
                    return;
                }
                continue;
            }
            if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
                return;
            }
            depth += c == '{' || c == '[' ? 1 : 0;
            depth -= c == '}' || c == ']' ? 1 : 0;
            ++at_;
            if (depth == 0 && (c == '}' || c == ']')) {
                return;
            }
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

std::string text_of(const json::value* value) {
    if (value == nullptr) {
        return {};
    }
    if (value->is_string()) {
        return std::string(value->as_string());
    }
    if (value->is_int64()) {
        return std::to_string(value->as_int64());
    }
    return value->is_uint64() ? std::to_string(value->as_uint64()) : std::string();
}

std::optional<Role> role_of(const json::object& user) {
    const auto* one = user.if_contains("role");
    auto best = parse_role(text_of(one));
    const auto* many = user.if_contains("roles");
    if (many != nullptr && many->is_array()) {
        for (const auto& entry : many->as_array()) {
            const auto role = parse_role(text_of(&entry));
            if (role && (!best || *role > *best)) {
                best = role;
            }
        }
    }
    return best;
}

CookieAttributes attributes_of(const json::object& cookie) {
    CookieAttributes out;
    const auto flag = [&](const char* name, bool otherwise) {
        const auto* value = cookie.if_contains(name);
        return value != nullptr && value->is_bool() ? value->as_bool() : otherwise;
    };
    if (const auto path = text_of(cookie.if_contains("path")); !path.empty()) {
        out.path = path;
    }
    out.domain = text_of(cookie.if_contains("domain"));
    out.http_only = flag("httpOnly", true);
    out.secure = flag("secure", false);
    if (const auto* site = cookie.if_contains("sameSite")) {
        const auto word = text_of(site);
        const bool strict = word == "strict" || (site->is_bool() && site->as_bool());
        out.same_site = strict ? "Strict" : word == "none" ? "None" : word == "lax" ? "Lax" : "";
    }
    return out;
}

// False when `expires` is there and is no time.
bool read_cookie(const json::object& cookie, SessionContent& out) {
    out.cookie = attributes_of(cookie);
    if (const auto* age = cookie.if_contains("originalMaxAge");
        age != nullptr && age->is_int64() && age->as_int64() > 0) {
        out.max_age = milliseconds(age->as_int64());
    }
    const auto* expires = cookie.if_contains("expires");
    if (expires == nullptr || expires->is_null()) {
        return true;
    }
    if (!expires->is_string()) {
        return false;
    }
    out.expires = parse_rfc3339(text_of(expires));
    return out.expires.has_value();
}

}  // namespace

std::optional<SessionContent> read_session(std::string_view text) {
    json::error_code error;
    const auto value = json::parse(json::string_view(text.data(), text.size()), error);
    if (error || !value.is_object()) {
        return std::nullopt;
    }
    const auto& top = value.as_object();
    SessionContent out;
    if (const auto* cookie = top.if_contains("cookie"); cookie != nullptr && !cookie->is_null()) {
        if (!cookie->is_object() || !read_cookie(cookie->as_object(), out)) {
            return std::nullopt;
        }
    }
    out.user_id = text_of(top.if_contains("userId"));
    if (const auto* user = top.if_contains("user"); user != nullptr && user->is_object()) {
        const auto& members = user->as_object();
        if (out.user_id.empty()) {
            out.user_id = text_of(members.if_contains("id"));
        }
        out.name = text_of(members.if_contains("name"));
        if (out.name.empty()) {
            out.name = text_of(members.if_contains("email"));
        }
        out.role = role_of(members);
    }
    if (out.name.empty()) {
        out.name = out.user_id;
    }
    return out;
}

std::optional<std::string> with_expires(std::string_view text, Timestamp expires) {
    Scanner scanner(text);
    const auto cookie = scanner.member(0, "cookie");
    const auto value = cookie ? scanner.member(cookie->from, "expires") : std::nullopt;
    if (!value || value->to - value->from != 26) {
        return std::nullopt;
    }
    std::string out(text.substr(0, value->from));
    out += '"' + to_millis(expires) + '"';
    out += text.substr(value->to);
    return out;
}

std::string make_session(const NewSession& user, Timestamp expires, milliseconds max_age, bool secure) {
    return fmt::format(
        R"({{"cookie":{{"expires":"{}","originalMaxAge":{},"sameSite":"lax","secure":{},"path":"/","httpOnly":true,"domain":null}},)"
        R"("userId":{},"user":{{"name":{},"role":"{}"}}}})",
        to_millis(expires),
        max_age.count(),
        secure,
        json_string(user.user_id),
        json_string(user.name),
        to_string(user.role)
    );
}

}  // namespace headrace::auth
