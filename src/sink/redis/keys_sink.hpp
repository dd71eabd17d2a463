// `as: keys`: one Redis key per row.
//
// Staging, mode replace: up to `direct_keys` rows and `direct_bytes` in one hash (form rows); more rows under names of
// the generation, listed in an index (form pointer). Mode merge: always the latter. An attempt that dies leaves them to
// the registry: the reconciler removes what nobody decided in an hour. Memory: one block of rows, whatever their
// number.
#pragma once

#include "pipeline/sink.hpp"
#include "redis/options.hpp"
#include "sink/redis/key_template.hpp"

#include <memory>
#include <string>

namespace headrace::sink::redis_sink {

inline constexpr std::uint64_t direct_keys = 1000;       // written by one script: a millisecond or two
inline constexpr std::uint64_t direct_bytes = 4u << 20;  // also kept in Postgres then

enum class RowLayout { automatic, direct, pointer };

struct KeysOptions {
    KeyTemplate key;
    std::string value;  // column; "" = JSON of the row
    RowLayout layout = RowLayout::automatic;
    bool merge = false;
    std::int64_t ttl_ms = 0;
    std::int64_t keep_ms = 0;
    std::int64_t sweep_ms = 0;
};

std::unique_ptr<pipeline::Sink> make_keys_sink(redis::Options options, KeysOptions keys);

}  // namespace headrace::sink::redis_sink
