// `incremental: { cursor, start, lag }` of a pipeline file. Inside of the parser; the outside uses pipeline/parse.hpp.
#pragma once

#include "pipeline/reader.hpp"
#include "pipeline/registry.hpp"

namespace headrace::pipeline {

// Reads the node into `out.incremental`; `out.source` and `out.sinks` are there already and are checked against it.
void read_incremental(Problems& problems, const yaml::Node& node, const Registry& registry, Definition& out);

}  // namespace headrace::pipeline
