#include "source/http/scan.hpp"

#include <algorithm>

namespace headrace::source::http {
namespace {

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

bool Scan::fail(const char* why) {
    state_ = at >= end_ ? State::more : State::bad;
    why_ = why;
    return false;
}

bool Scan::too_deep() {
    state_ = State::deep;
    why_ = "too deeply nested";
    return false;
}

bool Scan::blanks() {
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') {
        ++at;
    }
    return at < end_ || fail("the text ends");
}

bool Scan::escape(const char*& p) {
    const auto left = end_ - p;
    if (left >= 2 && p[1] != 'u') {
        if (std::string_view("\"\\/bfnrt").find(p[1]) == std::string_view::npos) {
            at = p;
            return fail("an escape that JSON does not know");
        }
        p += 2;
        return true;
    }
    for (long i = 2; i < std::min<long>(left, 6); ++i) {
        if (!is_hex(p[i])) {
            at = p;
            return fail("\\u without four hexadecimal digits");
        }
    }
    if (left < 6) {
        at = end_;
        return fail("the text ends");
    }
    p += 6;
    return true;
}

bool Scan::any_text(bool& escaped) {
    if (*at != '"' || at >= end_) {
        return fail("a name in quotes is missing");
    }
    const char* p = at + 1;
    for (;;) {
        p = find_mark(p);
        if (p >= end_) {
            at = end_;
            return fail("the text ends");
        }
        if (*p == '"') {
            at = p + 1;
            return true;
        }
        if (*p != '\\') {
            at = p;
            return fail("a control character in a string");
        }
        escaped = true;
        if (!escape(p)) {
            return false;
        }
    }
}

bool Scan::word(std::string_view expected) {
    for (const char c : expected) {
        if (*at != c || at >= end_) {
            return fail("no JSON value");
        }
        ++at;
    }
    return true;
}

bool Scan::digits() {
    const char* from = at;
    while (*at >= '0' && *at <= '9') {
        ++at;
    }
    return at > from || fail("no JSON value");
}

// A number has no end of its own: at the end of the text it may go on.
bool Scan::number() {
    at += *at == '-' ? 1 : 0;
    if (*at == '0') {
        ++at;
    } else if (!digits()) {
        return false;
    }
    if (*at == '.' && (++at, !digits())) {
        return false;
    }
    if (*at == 'e' || *at == 'E') {
        ++at;
        at += *at == '+' || *at == '-' ? 1 : 0;
        if (!digits()) {
            return false;
        }
    }
    return at < end_ || fail("the text ends");
}

bool Scan::members(char close, int level) {
    if (!enter(level)) {
        return false;
    }
    ++at;
    if (!space()) {
        return false;
    }
    if (*at == close) {
        ++at;
        return true;
    }
    bool escaped = false;
    for (;;) {
        if (close == '}' && !(text(escaped) && space() && sign(':') && space())) {
            return false;
        }
        if (!value(level + 1) || !space()) {
            return false;
        }
        if (*at == close) {
            ++at;
            return true;
        }
        if (!sign(',') || !space()) {
            return false;
        }
    }
}

bool Scan::value(int level) {
    bool escaped = false;
    switch (*at) {
        case '{':
            return members('}', level);
        case '[':
            return members(']', level);
        case '"':
            return text(escaped);
        case 't':
            return word("true");
        case 'f':
            return word("false");
        case 'n':
            return word("null");
        default:
            return number();
    }
}

}  // namespace headrace::source::http
