// The guards of `checks:`; each sees every batch that goes to the sinks and may refuse the result.
//   min_rows: 100          max_drop: 50%       rows_change_max: 50%
//   not_null: [id, price]  unique: [id]        unique: {value: [shop, id], max_keys: 2000000}
// Failures are Error{permanent, "check.<name>"}: the old output stays. One thread.
#pragma once

#include "pipeline/registry.hpp"

#include <vector>

namespace headrace::check {

std::vector<pipeline::CheckType> types();

pipeline::CheckType min_rows_type();
pipeline::CheckType max_drop_type();
pipeline::CheckType rows_change_max_type();
pipeline::CheckType not_null_type();
pipeline::CheckType unique_type();

}  // namespace headrace::check
