// Small questions about text that several rooms ask.
#pragma once

#include <string_view>

namespace headrace {

// Without the blanks (and line ends) at both ends; a view into the same text.
inline std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n";
    const auto from = text.find_first_not_of(blank);
    return from == std::string_view::npos ? std::string_view()
                                          : text.substr(from, text.find_last_not_of(blank) - from + 1);
}

}  // namespace headrace
