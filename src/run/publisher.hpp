// Makes decided generations visible in Redis. The publish script is the only writer of live keys: it applies a
// generation whole or not at all, only forwards in (epoch, seq), and may be called by any process, any number of times.
#pragma once

#include "postgres/connection.hpp"
#include "redis/connection.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace headrace::run {

enum class PublishResult {
    applied,   // readers see it now
    already,   // they saw this one or a newer one before
    no_stage,  // the staging is gone and Postgres holds no copy: a run must read the source again
    nothing,   // no such output, or nothing decided yet
};

// Publishes what Postgres decided last for the output, rebuilding the staging from the stored payload when it is gone,
// then acknowledges it. `force` writes again even if Redis says that it has this very generation (a live key was
// deleted). Throws redis.* (transient) and postgres.*; then nothing is half-done and anybody may call again.
PublishResult
publish_output(postgres::Connection& db, redis::Connection& cache, std::int64_t output_id, bool force = false);

// All outputs of a run that are not published yet, ascending by id. True when none is left. `connect` is called only
// when there is something to publish.
bool publish_run(postgres::Connection& db, const std::function<redis::Connection()>& connect, std::string_view run_id);

// Outputs whose live state in Redis is not what Postgres decided: one pipelined sweep over all that are in Redis.
struct Stale {
    std::int64_t output_id = 0;
    bool lost = false;  // Redis says it has this generation, but a live key is missing
};

std::vector<Stale> find_stale(postgres::Connection& db, redis::Connection& cache);

}  // namespace headrace::run
