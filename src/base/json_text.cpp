#include "base/json_text.hpp"

#include "base/json_escape.hpp"

#include <algorithm>

namespace headrace {

void append_json_string(std::string& out, std::string_view text) {
    constexpr std::size_t piece = 512;  // bounds the room that is reserved for the worst case
    out += '"';
    while (!text.empty()) {
        const std::size_t size = std::min(piece, text.size());
        const std::size_t before = out.size();
        std::size_t taken = 0;
        out.resize(before + escaped_size_max(size));
        const char* end = escape_json_piece(out.data() + before, text.data(), size, text.size(), taken);
        out.resize(static_cast<std::size_t>(end - out.data()));
        text.remove_prefix(taken);
    }
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
        const auto length = utf8_length(data + at, text.size() - at, bad);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

}  // namespace headrace
