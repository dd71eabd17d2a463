// The Lua scripts that change live keys in Redis, one per form of a generation, and their calls. Every script checks
// before it writes (scripts do not roll back), refuses what is not newer than the marker's (epoch, seq), and may run
// when Redis is full: publishing frees memory. Keys whose names come from the marker are not declared; they carry the
// output's tag, so that they are in the slot of those that are.
#pragma once

#include "pipeline/redis_space.hpp"
#include "pipeline/sink.hpp"
#include "redis/connection.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace headrace::run {

// What Postgres decided last for an output.
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
    pipeline::Manifest manifest;  // with exactly one key

    const pipeline::StagedKey& key() const { return manifest.keys.front(); }

    pipeline::RedisSpace space() const { return {std::to_string(output_id), key().live}; }

    std::int64_t ttl_left() const { return manifest.ttl_ms == 0 ? 0 : manifest.ttl_ms - age_ms; }

    bool has_expired() const { return manifest.ttl_ms > 0 && ttl_left() <= 0; }
};

enum class Applied {
    applied,   // readers see it now
    already,   // Redis has this one or a newer one
    no_stage,  // the staged rows are gone, nothing was changed
    more,      // merge: some rows are in, call again
};

// One call. `staging` is the manifest's, or a rebuilt one. `force` writes again what the marker says is there.
Applied apply(redis::Connection& cache, const Generation& generation, const std::string& staging, bool force);

// Merge: removes up to a thousand rows that no run brought for `sweep_after`. True when there may be more.
bool sweep_rows(redis::Connection& cache, const Generation& generation);

// The key that the pointer recipe of docs/pipelines.md reads; "" of form key.
std::string pointer_key(const Generation& generation);

// Questions of the reconciler, appended to a pipelined sweep; reply: 1 = the generation is whole as far as can be seen.
void append_presence(redis::Connection& cache, const Generation& generation);

// Removes what nobody needs any more of generations whose time has come, at most a thousand rows a call; `keep` are
// generations that Postgres still points at. True when there may be more.
bool retire(
    redis::Connection& cache,
    const pipeline::RedisSpace& space,
    const std::string& pointer,
    bool expired,
    const std::vector<std::string>& keep
);

}  // namespace headrace::run
