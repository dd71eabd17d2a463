// Where rows of Postgres outputs lie between load and decision: one table per output and attempt, in a schema of its
// own. The sink makes and drops them; the reconciler sweeps what dead attempts left (run/staging_sweep.hpp).
#pragma once

#include <string>
#include <string_view>

namespace headrace::postgres {

inline constexpr std::string_view staging_schema = "headrace_staging";

// "o12_" and the 32 hex digits of the attempt's uuid: at most 53 bytes, so that names of indexes can be made from it.
std::string staging_name(std::string_view output_id, std::string_view attempt_id);

}  // namespace headrace::postgres
