// "did you mean": the known word nearest to what was written.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace headrace::pipeline {

// Edits (insert, delete, replace, swap of two neighbours) from a to b; upper and lower case are the same.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `known`, or "" when none is near: at most a third of the letters may differ, or `word` is its
// beginning.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

// "; did you mean `x`?", or "" when nothing is near.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

// "a, b or c", each in back quotes.
std::string one_of(std::span<const std::string_view> known);

}  // namespace headrace::pipeline
