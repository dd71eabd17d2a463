// pipeline::Manifest as the JSON in etl_outputs.manifest and etl_commits.manifest. The payload is a column of its own.
#pragma once

#include "pipeline/sink.hpp"

#include <string>
#include <string_view>

namespace headrace::run {

std::string_view to_string(pipeline::Form form);  // "key", "rows", "pointer", "merge"
std::string manifest_json(const pipeline::Manifest& manifest);
pipeline::Manifest parse_manifest(std::string_view json);

}  // namespace headrace::run
