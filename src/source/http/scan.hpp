// Walks over JSON text (RFC 8259) that may still be arriving: a step ends behind a whole value, or says why not. Builds
// nothing; every byte is checked but UTF-8. Pure.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace headrace::source::http {

inline constexpr std::size_t scan_padding = 32;  // bytes behind the end that may be read; the first of them is 0
inline constexpr int most_levels = 100;          // of nesting

// The text of one value.
struct Token {
    std::string_view text;  // empty: there is none
    bool escaped = false;   // a string with a backslash in it

    bool is_null() const { return text.front() == 'n'; }  // nothing else begins like that

    bool is_nested() const { return text.front() == '{' || text.front() == '['; }
};

class Scan {
public:
    enum class State { good, more, bad, deep };  // more: the text ends within the value

    // The text must outlive it.
    Scan(const char* begin, const char* end) : at(begin), end_(end) {}

    const char* at;  // after a step that failed: where

    // Each is true when it succeeded; else state() and why().
    bool space() { return *at > ' ' || blanks(); }  // over blanks; at the end of the text: more

    bool value(int level = 0);  // any value

    bool value(Token& token, int level = 0) {
        const char* begin = at;
        token.escaped = false;
        const bool good = *at == '"' ? text(token.escaped) : value(level);
        token.text = {begin, static_cast<std::size_t>(at - begin)};
        return good;
    }

    // A string, from its quote on; `escaped` is only set to true.
    bool text(bool& escaped) {
        if (*at == '"') {
            const char* p = find_mark(at + 1);
            if (*p == '"' && p < end_) {
                at = p + 1;
                return true;
            }
        }
        return any_text(escaped);
    }

    // Exactly this character.
    bool sign(char expected) {
        if (*at != expected) {
            return fail("a bracket, comma or colon is missing");
        }
        ++at;
        return true;
    }

    // A text of up to 32 bytes that skip() knows at a glance; a longer one it never finds.
    class Expected {
    public:
        explicit Expected(std::string_view text) : size_(text.size() <= sizeof text_ ? text.size() : 0) {
            std::memcpy(text_, text.data(), size_);
        }

    private:
        friend class Scan;
        alignas(16) char text_[scan_padding] = {};
        std::size_t size_;
    };

    // Over exactly this, when it comes.
    bool skip(const Expected& expected) {
        if (expected.size_ == 0 || !begins_with(expected)) {
            return false;
        }
        at += expected.size_;
        return true;
    }

    bool fail(const char* why);  // more at the end of the text, else bad

    bool enter(int level) { return level < most_levels || too_deep(); }

    char peek() const { return *at; }

    State state() const { return state_; }

    const char* why() const { return why_; }

private:
    // The first quote, backslash or control character from `p` on; there is one at the end of the text.
    static const char* find_mark(const char* p) {
#if defined(__SSE2__)
        for (;; p += 16) {
            const auto block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
            const auto quotes =
                _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
            const auto control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
            const auto mask = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(quotes, control)));
            if (mask != 0) {
                return p + std::countr_zero(mask);
            }
        }
#else
        while (static_cast<unsigned char>(*p) >= 0x20 && *p != '"' && *p != '\\') {
            ++p;
        }
        return p;
#endif
    }

    bool begins_with(const Expected& expected) const {
#if defined(__SSE2__)
        const auto equal = [&](std::size_t from) {
            const auto mine = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + from));
            const auto other = _mm_load_si128(reinterpret_cast<const __m128i*>(expected.text_ + from));
            return static_cast<std::uint64_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(mine, other)));
        };
        const auto wanted = (std::uint64_t{1} << expected.size_) - 1;
        return ((equal(0) | equal(16) << 16) & wanted) == wanted;
#else
        return std::memcmp(at, expected.text_, expected.size_) == 0;
#endif
    }

    bool blanks();
    bool any_text(bool& escaped);
    bool too_deep();
    bool word(std::string_view expected);
    bool digits();
    bool number();
    bool escape(const char*& p);
    bool members(char close, int level);

    const char* end_;
    State state_ = State::good;
    const char* why_ = "";
};

}  // namespace headrace::source::http
