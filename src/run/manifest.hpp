// pipeline::Manifest as the JSON in etl_outputs.manifest. The payload is a column of its own.
#pragma once

#include <string>
#include <string_view>

#include "pipeline/sink.hpp"

namespace headrace::run {

std::string manifest_json(const pipeline::Manifest& manifest);
pipeline::Manifest parse_manifest(std::string_view json);

}  // namespace headrace::run
