// api/openapi.yaml, which the build has put into the binary.
#pragma once

#include <string>
#include <string_view>

namespace headrace::api {

std::string_view openapi_yaml();
// The same document as JSON (YAML 1.2 core schema). Takes some milliseconds: keep the result.
std::string openapi_json();

}  // namespace headrace::api
