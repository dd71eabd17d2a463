#include "api/router.hpp"

#include "api/problem.hpp"
#include "base/json_text.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <set>

namespace headrace::api {
namespace {

// Takes the next part of "/a/b/c"; false at the end.
bool next_part(std::string_view& rest, std::string_view& part) {
    if (rest.empty()) {
        return false;
    }
    rest.remove_prefix(1);
    const auto end = rest.find('/');
    part = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
    return true;
}

bool fits(std::string_view pattern, std::string_view path, std::map<std::string, std::string, std::less<>>& values) {
    std::string_view wanted;
    std::string_view given;
    values.clear();
    while (next_part(pattern, wanted)) {
        if (!next_part(path, given)) {
            return false;
        }
        if (wanted.size() > 2 && wanted.front() == '{') {
            if (given.empty()) {
                return false;
            }
            values.emplace(wanted.substr(1, wanted.size() - 2), given);
        } else if (wanted != given) {
            return false;
        }
    }
    return path.empty();
}

std::string_view trimmed(std::string_view text) {
    const auto from = text.find_first_not_of(" \t");
    return from == std::string_view::npos ? std::string_view()
                                          : text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

// Splits at `separator` and trims the pieces.
std::vector<std::string_view> pieces(std::string_view text, char separator) {
    std::vector<std::string_view> out;
    while (true) {
        const auto end = text.find(separator);
        out.push_back(trimmed(text.substr(0, end)));
        if (end == std::string_view::npos) {
            return out;
        }
        text.remove_prefix(end + 1);
    }
}

bool range_accepts(std::string_view range, std::string_view type) {
    if (range == "*/*" || net::equal_no_case(range, type)) {
        return true;
    }
    return range.ends_with("/*") &&
           net::equal_no_case(range.substr(0, range.size() - 1), type.substr(0, type.find('/') + 1));
}

}  // namespace

Route& Route::takes_query(std::vector<std::string> names) {
    query = std::move(names);
    return *this;
}

Route& Route::takes_body(std::vector<std::string> types) {
    body_types = std::move(types);
    return *this;
}

Route& Route::answers(std::string type) {
    answer_type = std::move(type);
    return *this;
}

Route& Route::in_background() {
    background = true;
    return *this;
}

Route& Router::add(std::string method, std::string pattern, Policy policy, RouteHandler handler) {
    return routes_.emplace_back(std::move(method), std::move(pattern), policy, std::move(handler));
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
    Match out;
    std::set<std::string> allowed;
    const auto wanted = method == "HEAD" ? std::string_view("GET") : method;
    for (const auto& route : routes_) {
        std::map<std::string, std::string, std::less<>> values;
        if (!fits(route.pattern, path, values)) {
            continue;
        }
        if (route.method == wanted) {
            return {&route, std::move(values), {}};
        }
        allowed.insert(route.method);
        if (route.method == "GET") {
            allowed.insert("HEAD");
        }
    }
    out.allow = fmt::format("{}", fmt::join(allowed, ", "));
    return out;
}

void check_query(const Route& route, const net::Request& request) {
    std::set<std::string_view> seen;
    for (const auto& [name, value] : request.query) {
        if (std::find(route.query.begin(), route.query.end(), name) == route.query.end()) {
            throw Problem(
                "api.bad_request",
                fmt::format(
                    "unknown query parameter {}; known here: {}",
                    json_string(name),
                    route.query.empty() ? "none" : fmt::format("{}", fmt::join(route.query, ", "))
                )
            );
        }
        if (!seen.insert(name).second) {
            throw Problem("api.bad_request", fmt::format("query parameter {} is given twice", name));
        }
        const bool control =
            std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
        if (control || !is_utf8(value)) {
            throw Problem("api.bad_request", fmt::format("query parameter {} is not plain UTF-8 text", name));
        }
    }
}

void check_body_type(const Route& route, const net::Request& request) {
    if (request.body.empty()) {
        return;
    }
    if (route.body_types.empty()) {
        throw Problem("api.bad_request", "this request takes no body");
    }
    const auto parts = pieces(request.headers.get("Content-Type"), ';');
    const bool type = request.headers.count("Content-Type") == 1 &&
                      std::any_of(route.body_types.begin(), route.body_types.end(), [&](const std::string& allowed) {
                          return net::equal_no_case(allowed, parts[0]);
                      });
    const bool parameters =
        parts.size() == 1 || (parts.size() == 2 && (net::equal_no_case(parts[1], "charset=utf-8") ||
                                                    net::equal_no_case(parts[1], "charset=\"utf-8\"")));
    if (!type || !parameters) {
        Problem problem("api.unsupported_media_type", fmt::format("send {}", fmt::join(route.body_types, " or ")));
        problem.with_header("Accept-Post", fmt::format("{}", fmt::join(route.body_types, ", ")));
        throw problem;
    }
    if (request.headers.has("Content-Encoding") &&
        !net::equal_no_case(request.headers.get("Content-Encoding"), "identity")) {
        throw Problem("api.unsupported_media_type", "send the body without Content-Encoding");
    }
}

void check_accept(std::string_view accept, std::string_view type) {
    if (trimmed(accept).empty()) {
        return;
    }
    // The most specific range that covers the type decides (RFC 9110 §12.5.1).
    int best = -1;
    bool wanted = false;
    for (const auto range : pieces(accept, ',')) {
        const auto parts = pieces(range, ';');
        if (!range_accepts(parts[0], type)) {
            continue;
        }
        const int specific = parts[0] == "*/*" ? 0 : parts[0].ends_with("/*") ? 1 : 2;
        double quality = 1;
        for (std::size_t i = 1; i < parts.size(); ++i) {
            if (parts[i].starts_with("q=") || parts[i].starts_with("Q=")) {
                quality = std::strtod(std::string(parts[i].substr(2)).c_str(), nullptr);
            }
        }
        if (specific > best) {
            best = specific;
            wanted = quality > 0;
        }
    }
    if (!wanted) {
        throw Problem("api.not_acceptable", fmt::format("this address answers {}", type));
    }
}

}  // namespace headrace::api
