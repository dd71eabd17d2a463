// `columns:` of a pipeline file against what the source gives.
#pragma once

#include "data/schema.hpp"

#include <vector>

namespace headrace::run {

// Throws source.schema: names and kinds must be the same. Nothing declared: everything is right.
void check_contract(const std::vector<data::Field>& declared, const data::Schema& actual);

}  // namespace headrace::run
