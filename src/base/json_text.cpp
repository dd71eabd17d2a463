#include "base/json_text.hpp"

#include <cstdint>
#include <cstring>

namespace headrace {
namespace {

// Length of the well-formed UTF-8 sequence at `at` (1..4), or 0; `bad` then says how many bytes to replace by one U+FFFD.
std::size_t sequence_length(const unsigned char* at, std::size_t left, std::size_t& bad) {
    const unsigned char first = at[0];
    bad = 1;
    if (first < 0x80) {
        return 1;
    }
    std::size_t length = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3;
        low = first == 0xe0 ? 0xa0 : low;
        high = first == 0xed ? 0x9f : high;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4;
        low = first == 0xf0 ? 0x90 : low;
        high = first == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    for (std::size_t i = 1; i < length; ++i) {
        if (i >= left || at[i] < low || at[i] > high) {
            bad = i;
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

// True when one of the 8 bytes is a control character, a quote, a backslash or not ASCII.
bool has_special(std::uint64_t word) {
    constexpr std::uint64_t ones = 0x0101010101010101ULL;
    constexpr std::uint64_t highs = 0x8080808080808080ULL;
    const auto is_zero = [](std::uint64_t v) { return (v - ones) & ~v & highs; };
    return ((word & highs) | ((word - ones * 0x20) & ~word & highs) | is_zero(word ^ (ones * '"')) |
            is_zero(word ^ (ones * '\\'))) != 0;
}

void append_escape(std::string& out, unsigned char c) {
    static constexpr char digits[] = "0123456789abcdef";
    switch (c) {
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\r':
            out += "\\r";
            break;
        case '\t':
            out += "\\t";
            break;
        default:
            out += "\\u00";
            out += digits[c >> 4];
            out += digits[c & 15];
    }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    const auto* data = reinterpret_cast<const unsigned char*>(text.data());
    const std::size_t size = text.size();
    std::size_t done = 0;  // everything before this is written
    std::size_t at = 0;
    out += '"';
    const auto flush = [&] { out.append(text.data() + done, at - done); };
    while (at < size) {
        if (size - at >= 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, data + at, 8);
            if (!has_special(word)) {
                at += 8;
                continue;
            }
        }
        const unsigned char c = data[at];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            ++at;
            continue;
        }
        if (c < 0x80) {
            flush();
            append_escape(out, c);
            done = ++at;
            continue;
        }
        std::size_t bad = 0;
        const auto length = sequence_length(data + at, size - at, bad);
        if (length > 0) {
            at += length;
            continue;
        }
        flush();
        out += "\xEF\xBF\xBD";
        at += bad;
        done = at;
    }
    flush();
    out += '"';
}

std::string json_string(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

bool is_utf8(std::string_view text) {
    const auto* data = reinterpret_cast<const unsigned char*>(text.data());
    for (std::size_t at = 0; at < text.size();) {
        std::size_t bad = 0;
        const auto length = sequence_length(data + at, text.size() - at, bad);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

}  // namespace headrace
