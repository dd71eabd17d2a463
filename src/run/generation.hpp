// What Postgres decided last for an output: all that is needed to publish it, any number of times.
#pragma once

#include "pipeline/redis_space.hpp"
#include "pipeline/sink.hpp"
#include "postgres/connection.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace headrace::run {

struct Generation {
    std::int64_t output_id = 0;
    std::string pipeline;
    std::int64_t epoch = 0;
    std::int64_t seq = 0;
    std::string run_id;
    std::string decided_at;  // RFC 3339
    std::int64_t decided_ms = 0;
    std::int64_t age_ms = 0;
    bool has_payload = false;
    bool published = false;
    pipeline::Manifest manifest;  // with one key, or none: not in Redis, the decision made it visible

    const pipeline::StagedKey& key() const { return manifest.keys.front(); }

    pipeline::RedisSpace space() const { return {std::to_string(output_id), key().live}; }

    std::int64_t ttl_left() const { return manifest.ttl_ms == 0 ? 0 : manifest.ttl_ms - age_ms; }

    bool has_expired() const { return manifest.ttl_ms > 0 && ttl_left() <= 0; }
};

// Columns of etl_outputs o and etl_meta m that generation_of reads.
extern const std::string_view generation_columns;
Generation generation_of(const postgres::Result& rows, std::size_t row);

}  // namespace headrace::run
