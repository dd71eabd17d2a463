// The steps of `transform:`. Each is pure, keeps schema and columns in step, and works in place on a batch.
//   rename: {old: new}        drop: [a, b]          select: [b, a]        limit: 100
//   set: {column: value}      cast: {column: int64}                       filter: "price > 0 and city is not null"
// prepare() throws Error{invalid, "pipeline.invalid"} when a step does not fit the schema; a value that cannot be cast
// without loss throws Error{permanent, "transform.value"} with column and row. One thread.
#pragma once

#include "pipeline/registry.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::transform {

std::vector<pipeline::TransformType> types();

// One each; types() joins them.
pipeline::TransformType rename_type();
pipeline::TransformType drop_type();
pipeline::TransformType select_type();
pipeline::TransformType set_type();
pipeline::TransformType cast_type();
pipeline::TransformType filter_type();
pipeline::TransformType limit_type();

}  // namespace headrace::transform
