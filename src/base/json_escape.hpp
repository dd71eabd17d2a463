// The one kernel behind every JSON string that this program writes: escaping and UTF-8 repair in one pass, 16 bytes at
// a time. base/json_text.hpp is the comfortable face; data/json.cpp calls it directly with padded column memory. Pure;
// no allocation.
#pragma once

#include <cstddef>

namespace headrace {

// Room that escape_json may need for `size` bytes: 6 per byte (\u001f), and a tail that is written and then
// overwritten.
constexpr std::size_t escaped_size_max(std::size_t size) {
    return size * 6 + 16;
}

// Writes the escaped form of text[0, size), without quotes, to `out` (escaped_size_max(size) bytes must be there) and
// returns the end. `left` bytes follow from `text` on (left >= size): a character that starts before `size` is taken
// whole, so that a long text can be written piece by piece; `taken` says how many bytes were read (size … size + 3).
char* escape_json_piece(char* out, const char* text, std::size_t size, std::size_t left, std::size_t& taken);

// The whole text. `padded`: 16 bytes behind the end of the text may be read (their values do not matter).
char* escape_json(char* out, const char* text, std::size_t size);
char* escape_json_padded(char* out, const char* text, std::size_t size);

// Length of the well-formed UTF-8 sequence at `at` (1..4), or 0; `bad` then says how many bytes are one maximal
// ill-formed part. left > 0.
std::size_t utf8_length(const unsigned char* at, std::size_t left, std::size_t& bad);

}  // namespace headrace
