// `columns:` of a pipeline file against what the source gives. Pure.
#pragma once

#include "data/schema.hpp"

#include <vector>

namespace headrace::run {

// Declared columns are a contract: their names and kinds must be those of the source, and no other may come. Nothing
// declared: anything goes. Throws source.schema.
void check_contract(const std::vector<data::Field>& declared, const data::Schema& actual);

}  // namespace headrace::run
