// Generations of one pipeline without worker, queue and source: rows from memory through the real sinks, the ledger and
// the publisher, against a real Postgres and Redis. For tests that need hundreds of replacements, or a step at a time.
#pragma once

#include "data/batch.hpp"
#include "pipeline/registry.hpp"
#include "postgres/connection.hpp"
#include "redis/connection.hpp"
#include "run/postgres_ledger.hpp"
#include "run/publisher.hpp"
#include "run/redis_outputs.hpp"
#include "run/rollback.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace headrace::support {

class SinkRun {
public:
    // `sinks` is the text under `sinks:` of pipeline `t`. The database must be migrated.
    SinkRun(const std::string& database_url, const std::string& cache_url, const std::string& sinks);

    // Rows (id, name, v, nothing) with id from..from+count-1 and the same v in all of them; `nothing` is null.
    static data::Batch rows(int from, int count, int v);

    // One run to its end: "succeeded", or the code of the error. The run's id is in last_run().
    std::string publish(const std::vector<data::Batch>& batches);
    // The same up to the decision.
    std::string decide(const std::vector<data::Batch>& batches);

    bool make_visible() { return make_visible(run_id_); }  // of the last decision

    bool make_visible(const std::string& run_id);

    const std::string& last_run() const { return run_id_; }

    const std::string& last_error() const { return error_; }

    const std::vector<std::string>& warnings() const { return warnings_; }

    // What Redis does not show as it was decided; and one output published as the reconciler would.
    std::vector<run::Stale> stale() { return run::find_stale(ledger_, outputs_); }

    run::PublishResult publish_output(std::int64_t output_id, bool force = false, Deadline until = Deadline::never());

    postgres::Connection& db() { return db_; }

    redis::Connection& cache() { return cache_; }

    run::CacheAt cache_at() {
        return [this](const pipeline::RedisSpace&) -> redis::Connection& { return cache_; };
    }

    std::int64_t output_id(std::size_t sink = 0);
    std::string sql(const std::string& statement, const std::vector<postgres::Param>& params = {});  // first column `x`
    std::string get(const std::string& key);                                                         // "" when absent
    // Rounds of the reconciler's clean-up until nothing is left to do.
    void retire();

private:
    postgres::Connection db_;
    redis::Connection cache_;
    postgres::Pool pool_;
    run::PostgresLedger ledger_{pool_};
    run::RedisOutputs outputs_;
    pipeline::Registry registry_;
    pipeline::Definition definition_;
    std::int64_t worker_ = 0;
    std::string run_id_;
    std::string error_;
    std::vector<std::string> warnings_;
};

}  // namespace headrace::support
