#include "base/json_escape.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace headrace {
namespace {

char* write_escape(char* out, unsigned char c) {
    static constexpr char digits[] = "0123456789abcdef";
    char letter = 0;
    switch (c) {
        case '"':
        case '\\':
            letter = static_cast<char>(c);
            break;
        case '\n':
            letter = 'n';
            break;
        case '\r':
            letter = 'r';
            break;
        case '\t':
            letter = 't';
            break;
        default:
            std::memcpy(out, "\\u00", 4);
            out[4] = digits[c >> 4];
            out[5] = digits[c & 15];
            return out + 6;
    }
    out[0] = '\\';
    out[1] = letter;
    return out + 2;
}

// One character of any sort. Returns how many bytes of the text it took.
std::size_t write_character(char*& out, const unsigned char* at, std::size_t left) {
    const unsigned char c = *at;
    if (c < 0x80) {
        if (c >= 0x20 && c != '"' && c != '\\') {
            *out++ = static_cast<char>(c);
        } else {
            out = write_escape(out, c);
        }
        return 1;
    }
    std::size_t bad = 0;
    const auto length = utf8_length(at, left, bad);
    if (length == 0) {
        std::memcpy(out, "\xEF\xBF\xBD", 3);
        out += 3;
        return bad;
    }
    std::memcpy(out, at, length);
    out += length;
    return length;
}

#if defined(__SSE2__)

unsigned mask_of(__m128i bytes) {
    return static_cast<unsigned>(_mm_movemask_epi8(bytes));
}

// Looks at `count` (1..16) bytes of a block that begins at a character. `plain` = how many bytes from the start may be
// copied as they are; when that is not all of them, the next byte begins a character that needs write_character.
// Characters of one and two bytes are settled here (ASCII, Latin, Greek, Cyrillic …): they need no table and no branch.
inline std::size_t plain_bytes(__m128i block, std::size_t count, bool& at_character) {
    const unsigned valid = (1U << count) - 1;
    const auto below_space =
        _mm_and_si128(_mm_cmplt_epi8(block, _mm_set1_epi8(0x20)), _mm_cmpgt_epi8(block, _mm_set1_epi8(-1)));
    const auto quotes =
        _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
    const unsigned special = mask_of(_mm_or_si128(below_space, quotes)) & valid;
    const unsigned high = mask_of(block) & valid;
    at_character = false;
    if ((special | high) == 0) {
        return count;
    }
    // As signed bytes: 80..BF is -128..-65, C2..DF is -62..-33.
    const unsigned follow = mask_of(_mm_cmplt_epi8(block, _mm_set1_epi8(-64))) & valid;
    const unsigned lead =
        high & ~follow &
        mask_of(_mm_and_si128(_mm_cmpgt_epi8(block, _mm_set1_epi8(-63)), _mm_cmplt_epi8(block, _mm_set1_epi8(-32))));
    const unsigned other = special | (high & ~(lead | follow));
    const std::size_t upto = other == 0 ? count : static_cast<std::size_t>(std::countr_zero(other));
    const unsigned inside = (1U << upto) - 1;
    unsigned expected = (lead & inside) << 1;
    std::size_t good = upto;
    if (upto == 16 && (lead >> 15) != 0) {  // its second byte is in the next block: begin that block with it
        expected &= 0xffff;
        good = 15;
    }
    if (expected == (follow & inside)) {
        at_character = other != 0;
        return good;
    }
    at_character = true;
    return static_cast<std::size_t>(std::countr_zero(high));
}

// Mask of the bytes that cannot be copied blindly: control characters, quote, backslash, anything that is not ASCII.
inline unsigned not_plain(__m128i block) {
    const auto small = _mm_cmplt_epi8(block, _mm_set1_epi8(0x20));  // signed: also everything from 0x80 on
    const auto quotes =
        _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
    return mask_of(_mm_or_si128(small, quotes));
}

// Copies whole blocks of plain ASCII. A loop of its own with a predicted exit: the next block does not wait for the
// count.
inline void copy_ascii(char*& out, const unsigned char* data, std::size_t& at, std::size_t size) {
    while (size - at >= 16) {
        const auto block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + at));
        if (not_plain(block) != 0) {
            return;
        }
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out), block);
        out += 16;
        at += 16;
    }
}

// Copies characters of three bytes (Chinese, Japanese, €, typographic quotes) as long as they come and are well-formed.
inline void
copy_three_byte_run(char*& out, const unsigned char* data, std::size_t& at, std::size_t size, std::size_t left) {
    while (at < size && left - at >= 4 && (data[at] & 0xf0) == 0xe0) {
        const unsigned high = (data[at] & 15U) << 6 | (data[at + 1] & 63U);  // the code point without its last 6 bits
        const bool follows = (data[at + 1] & 0xc0) == 0x80 && (data[at + 2] & 0xc0) == 0x80;
        if (!follows || high < 0x20 || high >> 5 == 0x1b) {  // too long a form, or a surrogate
            return;
        }
        std::memcpy(out, data + at, 4);
        out += 3;
        at += 3;
    }
}

// One step: up to 16 plain bytes (read from `block_at`, which holds the same bytes as data + at) and one character.
inline void escape_block(
    char*& out,
    const unsigned char* block_at,
    const unsigned char* data,
    std::size_t& at,
    std::size_t size,
    std::size_t left
) {
    const auto block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block_at));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), block);
    const std::size_t count = size - at < 16 ? size - at : 16;
    bool at_character = false;
    const auto plain = plain_bytes(block, count, at_character);
    out += plain;
    at += plain;
    if (at_character) {
        at += write_character(out, data + at, left - at);
        copy_three_byte_run(out, data, at, size, left);
    }
}

#endif

}  // namespace

std::size_t utf8_length(const unsigned char* at, std::size_t left, std::size_t& bad) {
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

char* escape_json_piece(char* out, const char* text, std::size_t size, std::size_t left, std::size_t& taken) {
    const auto* data = reinterpret_cast<const unsigned char*>(text);
    std::size_t at = 0;
    while (at < size) {
#if defined(__SSE2__)
        copy_ascii(out, data, at, size);
        if (at == size) {
            break;
        }
        alignas(16) unsigned char tail[16] = {};
        const unsigned char* from = data + at;
        if (left - at < 16) {
            std::memcpy(tail, from, left - at);
            from = tail;
        }
        escape_block(out, from, data, at, size, left);
#else
        at += write_character(out, data + at, left - at);
#endif
    }
    taken = at;
    return out;
}

char* escape_json(char* out, const char* text, std::size_t size) {
    std::size_t taken = 0;
    return escape_json_piece(out, text, size, size, taken);
}

char* escape_json_padded(char* out, const char* text, std::size_t size) {
#if defined(__SSE2__)
    const auto* data = reinterpret_cast<const unsigned char*>(text);
    for (std::size_t at = 0; at < size;) {
        if (size - at >= 16) {
            copy_ascii(out, data, at, size);
            if (at == size) {
                break;
            }
        }
        escape_block(out, data + at, data, at, size, size);
    }
    return out;
#else
    return escape_json(out, text, size);
#endif
}

}  // namespace headrace
