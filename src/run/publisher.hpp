// Makes decided generations visible in Redis. The publish scripts are the only writers of live keys: they apply a
// generation whole or not at all (a merge row by row), only forwards in (epoch, seq), and may be called by any process,
// any number of times.
#pragma once

#include "base/deadline.hpp"
#include "postgres/connection.hpp"
#include "redis/connection.hpp"
#include "run/publish_scripts.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::run {

enum class PublishResult {
    applied,   // readers see it now
    already,   // they saw this one or a newer one before
    no_stage,  // the staging is gone and Postgres holds no copy: a run must read the source again
    nothing,   // no such output, or nothing decided yet
    partly,    // a merge that did not end before `until`: call again
};

// Publishes what Postgres decided last for the output, rebuilding the staging from the stored payload when it is gone,
// then acknowledges it. `force` writes again even if Redis says that it has this very generation (a live key was
// deleted). Throws redis.* (transient) and postgres.*; then nothing is half-done and anybody may call again.
PublishResult publish_output(
    postgres::Connection& db,
    redis::Connection& cache,
    std::int64_t output_id,
    bool force = false,
    Deadline until = Deadline::never()
);

// All outputs of a run that are not published yet, ascending by id. True when none is left. `connect` is called only
// when there is something to publish.
bool publish_run(postgres::Connection& db, const std::function<redis::Connection&()>& connect, std::string_view run_id);
bool publish_run(postgres::Connection& db, redis::Connection& cache, std::string_view run_id);

// Outputs whose live state in Redis is not what Postgres decided: one pipelined sweep over all that are in Redis.
struct Stale {
    std::int64_t output_id = 0;
    bool lost = false;       // Redis says it has this generation, but a live key is missing
    bool ahead = false;      // Redis may have a generation that Postgres does not know: see raise_epoch_over
    std::int64_t epoch = 0;  // of that generation
    std::int64_t seq = 0;
    std::string run_id;
};

std::vector<Stale> find_stale(postgres::Connection& db, redis::Connection& cache);

// Removes staged and replaced rows whose time has come, of all outputs, for at most `until`.
void retire_rows(postgres::Connection& db, redis::Connection& cache, Deadline until);

// Columns of etl_outputs o and etl_meta m that generation_of reads.
extern const std::string_view generation_columns;
Generation generation_of(const postgres::Result& rows, std::size_t row);

}  // namespace headrace::run
