#include "sink/postgres/text_repair.hpp"

#include "base/json_escape.hpp"

#include <cstdint>
#include <cstring>

namespace headrace::sink::postgres_sink {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view escaped_replacement = "\\ufffd";
constexpr std::size_t escape_size = 6;  // \uXXXX

// Eight bytes that are all 1..127.
bool is_plain(const unsigned char* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    constexpr std::uint64_t ones = 0x0101010101010101;
    constexpr std::uint64_t high = 0x8080808080808080;
    return ((word | (word - ones)) & high) == 0;
}

unsigned hex_value(std::string_view digits) {
    unsigned value = 0;
    for (const char c : digits) {
        const auto low = static_cast<unsigned>(c | 0x20);
        value = value * 16 + (low <= '9' ? low - '0' : low - 'a' + 10);
    }
    return value;
}

bool is_escape(std::string_view json, std::size_t at) {
    return at + escape_size <= json.size() && json[at] == '\\' && json[at + 1] == 'u';
}

// Length of what stands at `at`: one byte, a short escape, one \u escape or a pair of them. `bad`: jsonb refuses it.
std::size_t json_part(std::string_view json, std::size_t at, bool& bad) {
    bad = false;
    if (json[at] != '\\') {
        return 1;
    }
    if (!is_escape(json, at)) {
        return 2;
    }
    const auto code = hex_value(json.substr(at + 2, 4));
    const bool first = code >= 0xD800 && code < 0xDC00;
    if (first && is_escape(json, at + escape_size)) {
        const auto second = hex_value(json.substr(at + escape_size + 2, 4));
        if (second >= 0xDC00 && second < 0xE000) {
            return 2 * escape_size;
        }
    }
    bad = code == 0 || (code >= 0xD800 && code < 0xE000);
    return escape_size;
}

}  // namespace

bool is_storable(std::string_view text) {
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    std::size_t left = text.size();
    while (left > 0) {
        if (left >= 8 && is_plain(at)) {
            at += 8;
            left -= 8;
            continue;
        }
        std::size_t bad = 0;
        const auto length = *at == 0 ? 0 : utf8_length(at, left, bad);
        if (length == 0) {
            return false;
        }
        at += length;
        left -= length;
    }
    return true;
}

void append_repaired(std::string& out, std::string_view text) {
    const auto* data = reinterpret_cast<const unsigned char*>(text.data());
    for (std::size_t at = 0; at < text.size();) {
        std::size_t bad = 1;
        const auto length = data[at] == 0 ? 0 : utf8_length(data + at, text.size() - at, bad);
        out += length == 0 ? replacement : text.substr(at, length);
        at += length == 0 ? bad : length;
    }
}

bool is_storable_json(std::string_view json) {
    if (json.find("\\u") == std::string_view::npos) {
        return true;
    }
    bool bad = false;
    for (std::size_t at = 0; at < json.size() && !bad;) {
        at += json_part(json, at, bad);
    }
    return !bad;
}

void append_repaired_json(std::string& out, std::string_view json) {
    for (std::size_t at = 0; at < json.size();) {
        bool bad = false;
        const auto length = json_part(json, at, bad);
        out += bad ? escaped_replacement : json.substr(at, length);
        at += length;
    }
}

}  // namespace headrace::sink::postgres_sink
