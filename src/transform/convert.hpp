// One value from one kind to another, exactly or not at all. Inside of transform/ (cast, set).
#pragma once

#include "data/column.hpp"
#include "data/schema.hpp"

#include <cstddef>

namespace headrace::transform {

// Appends the value of `row` (not null) to `out`; false when it does not fit `to` without loss (then `out` is
// unchanged).
using Convert = bool (*)(const data::Column& in, std::size_t row, const data::Field& to, data::Column& out);

// nullptr when there is no exact way from one kind to the other.
Convert find_convert(data::Kind from, data::Kind to);

}  // namespace headrace::transform
