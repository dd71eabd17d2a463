// Walks over JSON text (RFC 8259) that may still be arriving: a step ends behind a whole value, or says why not. Builds
// nothing; every byte is checked but UTF-8. Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace headrace::source::http {

inline constexpr std::size_t scan_padding = 16;  // bytes behind the end that may be read; the first of them is 0
inline constexpr int most_levels = 100;          // of nesting

class Scan {
public:
    enum class State { good, more, bad, deep };  // more: the text ends within the value

    // The text must outlive it.
    Scan(const char* begin, const char* end) : at(begin), end_(end) {}

    const char* at;  // after a step that failed: where

    // Each is true when it succeeded; else state() and why().
    bool space();                // over blanks; at the end of the text: more
    bool value(int level = 0);   // any value
    bool text(bool& escaped);    // a string, from its quote on; `escaped` is only set to true
    bool sign(char expected);    // exactly this character
    bool fail(const char* why);  // more at the end of the text, else bad

    bool enter(int level) { return level < most_levels || too_deep(); }

    char peek() const { return *at; }

    State state() const { return state_; }

    const char* why() const { return why_; }

private:
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
