// The header Retry-After (RFC 9110 §10.2.3). Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace headrace::source {

// Seconds or an HTTP date. nullopt: absent or not understood.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, std::chrono::sys_seconds now);

}  // namespace headrace::source
