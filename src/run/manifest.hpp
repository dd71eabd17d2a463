// pipeline::Manifest as the JSON in etl_outputs.manifest. The payload is a column of its own.
#pragma once

#include "pipeline/sink.hpp"

#include <string>
#include <string_view>

namespace headrace::run {

std::string manifest_json(const pipeline::Manifest& manifest);
pipeline::Manifest parse_manifest(std::string_view json);

}  // namespace headrace::run
