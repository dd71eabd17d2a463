// Small things that the steps share. Inside of transform/.
#pragma once

#include "data/schema.hpp"
#include "pipeline/definition.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::transform {

// Error{invalid, "pipeline.invalid"} with the place of the step.
[[noreturn]] void invalid(const pipeline::Place& place, std::string message);

// Index of the column; invalid() with the columns that there are.
std::size_t column_index(const data::Schema& schema, std::string_view name, const pipeline::Place& place);

// A text_map option: pairs in the order of the file.
std::vector<std::pair<std::string, std::string>> pairs_of(const pipeline::Options& options, std::string_view name);

}  // namespace headrace::transform
