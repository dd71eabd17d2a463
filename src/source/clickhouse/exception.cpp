#include "source/clickhouse/exception.hpp"

#include "base/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>

namespace headrace::source::clickhouse {
namespace {

constexpr std::size_t most_shown = 600;
constexpr std::string_view code_word = "Code: ";
constexpr std::string_view marker = "__exception__";

bool one_of(int code, std::initializer_list<int> codes) {
    return std::find(codes.begin(), codes.end(), code) != codes.end();
}

std::string shortened(std::string_view text) {
    text = trimmed(text);
    if (text.size() <= most_shown) {
        return std::string(text);
    }
    std::size_t end = most_shown;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
        --end;  // not in the middle of a character
    }
    return std::string(text.substr(0, end)) + "…";
}

// The number behind "Code: " at the start of `text`, and where it ends; 0 when there is none.
int code_at(std::string_view text, std::size_t& end) {
    int code = 0;
    if (!text.starts_with(code_word)) {
        return 0;
    }
    const auto [to, error] = std::from_chars(text.data() + code_word.size(), text.data() + text.size(), code);
    end = static_cast<std::size_t>(to - text.data());
    return error == std::errc() ? code : 0;
}

// From the last "Code: N, e.displayText() = " on, when the text ends as such a message ends.
std::optional<std::string_view> old_style(std::string_view tail) {
    constexpr std::string_view middle = ", e.displayText() = ";
    if (trimmed(tail).find(", e.what() = ") == std::string_view::npos) {
        return std::nullopt;
    }
    for (auto at = tail.rfind(code_word); at != std::string_view::npos;
         at = at == 0 ? std::string_view::npos : tail.rfind(code_word, at - 1)) {
        std::size_t end = 0;
        const auto text = tail.substr(at);
        const auto what = text.find(", e.what() = ");
        // Nothing but the message to the end: the words of e.what() and a version are short.
        if (code_at(text, end) != 0 && text.substr(end).starts_with(middle) && what != std::string_view::npos &&
            text.size() - what < 200) {
            return text;
        }
    }
    return std::nullopt;
}

// "__exception__" CR LF and the message to the end of the body (about 24.11 to 25.10).
std::optional<std::string_view> marked(std::string_view tail) {
    const auto at = tail.rfind(marker);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const auto text = trimmed(tail.substr(at + marker.size()));
    std::size_t end = 0;
    return code_at(text, end) != 0 ? std::optional(text) : std::nullopt;
}

// CR LF "__exception__" CR LF tag CR LF message LF length " " tag CR LF "__exception__" CR LF; the end may be missing.
std::optional<std::string_view> tagged(std::string_view tail, std::string_view tag) {
    const std::string begin = fmt::format("\r\n{}\r\n{}\r\n", marker, tag);
    const auto at = tail.rfind(begin);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    auto text = tail.substr(at + begin.size());
    const auto end = text.rfind(fmt::format(" {}\r\n{}", tag, marker));
    if (end != std::string_view::npos) {
        text = text.substr(0, text.rfind('\n', end));
    }
    return text;
}

Error classify(const ServerException& e, std::string message, bool late) {
    const auto error = [&](ErrorKind kind, std::string_view code) { return Error(kind, code, std::move(message)); };
    if (one_of(e.code, {192, 193, 194, 291, 495, 497, 516})) {  // user, password, database and access rights
        return error(ErrorKind::unauthorized, "source.auth");
    }
    if (one_of(e.code, {159, 160, 209, 290})) {  // too slow, socket timeout, limits in time
        return error(ErrorKind::transient, "source.timeout");
    }
    // Too many queries, memory, network, replicas, keeper, overload, shutting down.
    if (one_of(e.code, {198, 202, 203, 210, 236, 241, 242, 243, 279, 319, 425, 439, 473, 519, 745, 999, 1000, 1002})) {
        return error(ErrorKind::transient, "source.unavailable");
    }
    if (late || e.code == 394) {  // 394: somebody killed the query
        return error(ErrorKind::transient, "source.incomplete");
    }
    return error(ErrorKind::permanent, "source.query");
}

}  // namespace

ServerException parse_exception(std::string_view text) {
    ServerException out;
    const auto at = text.find(code_word);
    std::size_t end = 0;
    if (at == std::string_view::npos || (out.code = code_at(text.substr(at), end)) == 0) {
        out.message = shortened(text);
        return out;
    }
    text.remove_prefix(at + end);
    constexpr std::string_view before = "DB::Exception: ";
    if (const auto from = text.find(before); from != std::string_view::npos && from < 40) {
        text.remove_prefix(from + before.size());
    }
    for (const std::string_view behind : {", e.what() = ", " (version ", ", Stack trace", "\nStack trace"}) {
        text = text.substr(0, text.find(behind));
    }
    out.message = shortened(text);
    return out;
}

std::optional<ServerException> find_late_exception(std::string_view tail, std::string_view tag) {
    auto text = tag.empty() ? std::nullopt : tagged(tail, tag);
    if (!text && tag.empty()) {
        text = marked(tail);
    }
    if (!text && tag.empty()) {
        text = old_style(tail);
    }
    return text ? std::optional(parse_exception(*text)) : std::nullopt;
}

Error to_error(const ServerException& e, int http_status, bool late) {
    if (e.code != 0) {
        return classify(
            e,
            fmt::format(
                "{}ClickHouse says: {} (code {})",
                late ? "the query failed after it had begun to send rows; " : "",
                e.message,
                e.code
            ),
            late
        );
    }
    const auto message =
        fmt::format("HTTP {}{}{}", http_status, e.message.empty() ? "" : ": ", e.message.substr(0, 200));
    if (http_status == 401 || http_status == 403) {
        return Error(ErrorKind::unauthorized, "source.auth", message);
    }
    if (late) {
        return Error(ErrorKind::transient, "source.incomplete", message);
    }
    const bool passing = http_status == 408 || http_status == 429 || http_status >= 500;
    return Error(passing ? ErrorKind::transient : ErrorKind::permanent, "source.unavailable", message)
        .with_hint(
            passing ? "ClickHouse or a proxy before it is overloaded or restarts."
                    : "Is this the address of ClickHouse's HTTP interface?"
        );
}

}  // namespace headrace::source::clickhouse
