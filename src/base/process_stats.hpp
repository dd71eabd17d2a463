// What this process has used so far, from /proc/self.
#pragma once

#include <cstdint>

namespace headrace {

std::uint64_t peak_rss_bytes();     // VmHWM; 0 when unknown
std::uint64_t current_rss_bytes();  // VmRSS
double cpu_seconds();               // user + system of all threads

}  // namespace headrace
