// Redis outputs. Rows are written to staging keys named by the attempt, with a TTL; the live keys change only in the
// publish script (run/publisher.hpp).
//
//   as: json   one string with a JSON array of the rows (at most 512 MB, Redis' limit of a string)
//   as: list   a list of JSON arrays of `chunk_rows` rows each
//   as: hash   `field` column → JSON of the row (the last row of a field wins)
//   as: set    members of the `member` column
//   as: zset   `member` column with the number in the `score` column
//   as: keys   one key per row (keys_sink.hpp)
#pragma once

#include "pipeline/registry.hpp"
#include "redis/options.hpp"

namespace headrace::sink::redis_sink {

// `cache` is the installation's own cache Redis (CACHE_REDIS_URL).
pipeline::SinkType type(redis::Options cache);

// Outputs up to this size are also kept in Postgres, so that an emptied Redis heals without reading the source again.
inline constexpr std::uint64_t payload_limit = 4u << 20;

}  // namespace headrace::sink::redis_sink
