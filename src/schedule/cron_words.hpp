// Small word helpers of the cron parser: ASCII lower case and "did you mean". Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace headrace::schedule {

std::string lower_case(std::string_view text);                              // ASCII letters only
std::vector<std::string_view> split_words(std::string_view text, char at);  // empty ones stay
std::vector<std::string_view> blank_words(std::string_view text);           // by blanks; none is empty
// Equal, upper and lower case being the same.
bool same_word(std::string_view a, std::string_view b);

// The candidate nearest to `word` (upper and lower case are the same), or "" when none is near: one
// slip, or one in four letters of a long word; a candidate that the word begins with ("mon" for
// "monday") is near too.
std::string nearest_word(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace headrace::schedule
