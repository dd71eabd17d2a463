// Back to the generation before: a decision of a person. It is a run of its own (trigger `rollback`, no attempt) with a
// commit row, decided in one Postgres transaction and published like any other, so that a death at any point is mended
// by the reconciler and the next run replaces it as usual. A second rollback goes forward again.
#pragma once

#include "pipeline/redis_space.hpp"
#include "postgres/connection.hpp"
#include "redis/connection.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace headrace::run {

struct RollbackRequest {
    std::string pipeline;
    std::string output;  // name ("redis:cache:t") or live key; "" = all outputs of the pipeline
    std::string by;      // actor, shown in history
};

// The connection to the server that holds an output: in a cluster not the same for all. Valid until the next call.
using CacheAt = std::function<redis::Connection&(const pipeline::RedisSpace&)>;

struct RolledBack {
    struct Output {
        std::int64_t output_id = 0;
        std::string name;
        std::string generation;  // whose rows are shown again: "1.7"
        std::string run_id;      // that decided it
        std::string as_of;       // when
        std::int64_t rows = 0;
    };

    std::string run_id;  // the rollback's own
    std::vector<Output> outputs;
};

// Decides; nothing is visible before publish_run(…, run_id), which the caller calls and the reconciler repeats.
// Throws pipeline.not_found; run.no_previous (invalid) when one of the outputs has no previous generation in Redis, is
// merged, or is named wrongly (then nothing is rolled back); run.already_active (invalid) while a run of the pipeline
// is running or not yet visible, because it would replace the result; redis.*, postgres.*.
RolledBack rollback(postgres::Connection& db, const CacheAt& cache_at, const RollbackRequest& request);

}  // namespace headrace::run
