// The two sets of stores that the contract suite is run over: the simulator's fakes and the real servers. Both let a
// test do what happens around the stores: time passes, workers die, Redis loses keys.
#pragma once

#include "base/ids.hpp"
#include "postgres/migrate.hpp"
#include "run/bullmq_queue.hpp"
#include "run/postgres_ledger.hpp"
#include "run/redis_outputs.hpp"
#include "sim/fake_postgres.hpp"
#include "sim/fake_queue.hpp"
#include "sim/fake_redis.hpp"
#include "support/servers.hpp"

#include <fmt/core.h>

#include <string>
#include <vector>

namespace headrace::contract {

inline constexpr const char* nobody = "00000000-0000-4000-8000-000000000000";  // no run, no attempt

// A world where everything arrives at once and nothing breaks.
class StillScene final : public sim::Scene {
public:
    std::int64_t now() const override { return now_; }

    std::uint64_t draw(std::uint64_t) override { return 0; }

    sim::Mutant mutant() const override { return sim::Mutant::none; }

    void before(std::string_view, std::string_view) override {}

    void after(std::string_view) override {}

    void within(std::string_view) override {}

    sim::Fate commit_fate() override { return sim::Fate::answered; }

    void wait(std::int64_t ms) override { now_ += ms; }

private:
    std::int64_t now_ = 1'000'000;
};

class FakeStores {
public:
    run::LedgerStore& ledger() { return ledger_; }

    run::OutputStore& outputs() { return outputs_; }

    run::RunQueue& queue() { return queue_; }

    void add_pipeline(const std::string& name, bool queue_overlap) {
        db_.tables.pipelines.push_back({.name = name, .queue_overlap = queue_overlap});
    }

    run::WorkerIdentity worker() {
        db_.worker_locks.insert(++workers_);
        return {workers_, "worker"};
    }

    void die(const run::WorkerIdentity& worker) { db_.worker_locks.erase(worker.id); }

    void pass(std::int64_t ms) { scene_.wait(ms); }

    std::string state(const std::string& run_id) {
        const auto* run = db_.run(run_id);
        return run != nullptr ? run->state : "";
    }

    std::string job_id(const std::string& run_id) { return db_.run(run_id)->job_id; }

    void cancel(const std::string& run_id) { db_.cancel(run_id); }

    bool paused(const std::string& pipeline) { return db_.pipeline(pipeline)->paused; }

    void remove(const std::string& pipeline) { db_.pipeline(pipeline)->removed = true; }

    // Rows of a chunk that lie somewhere; and they are gone.
    pipeline::StagedChunk put_away(const std::string& name) {
        return {.table = name, .size = 1, .rows = 1, .bytes = 1, .shape = "v"};
    }

    void lose(const pipeline::StagedChunk& rows) { db_.lost_tables.insert(rows.table); }

    // A staged generation of the output: one key that holds `content`.
    pipeline::Manifest stage(const run::Output& output, const std::string& content, bool with_payload) {
        pipeline::Manifest manifest;
        manifest.keys.push_back({output.name, "staged-" + content});
        redis_.stage(manifest.keys.front().staging, {content, content});
        manifest.rows = 1;
        if (with_payload) {
            manifest.payload = sim::payload_of({content, content});
        }
        return manifest;
    }

    std::string live(const run::Output& output) {
        const auto& shown = redis_.shown[output.id];
        return shown.live ? shown.live->run_id : "";
    }

    void drop_live(const run::Output& output) { redis_.drop_live(output.id); }

    void empty_outputs() { redis_.empty(); }

    void empty_queue() { jobs_.jobs.clear(); }

    void replace_postgres() { ++db_.server; }

private:
    StillScene scene_;
    sim::FakePostgres db_{scene_};
    sim::FakeRedis redis_{scene_};
    sim::FakeQueue jobs_{scene_};
    sim::FakeLedger ledger_{db_, 5'000};
    sim::FakeOutputs outputs_{redis_, ledger_};
    sim::FakeRunQueue queue_{jobs_};
    std::int64_t workers_ = 0;
};

class RealStores {
public:
    RealStores()
        : database_(support::servers().fresh_database()),
          queue_url_(support::servers().fresh_redis()),
          cache_url_(support::servers().fresh_cache_redis()),
          db_(postgres::Connection::connect({.url = database_})),
          cache_(redis::Connection::connect(redis::parse_redis_url(cache_url_), StopToken())),
          pool_({.url = database_}, 2),
          outputs_(redis::parse_redis_url(cache_url_)),
          queue_(redis::parse_redis_url(queue_url_), "etl") {
        postgres::migrate(db_);
        ledger_.check_epoch();
    }

    run::LedgerStore& ledger() { return ledger_; }

    run::OutputStore& outputs() { return outputs_; }

    run::RunQueue& queue() { return queue_; }

    void add_pipeline(const std::string& name, bool queue_overlap) {
        db_.exec(
            "insert into etl_pipelines (name, summary) values ($1, $2)",
            {name,
             fmt::format(R"({{"schedule":{{"overlap":"{}"}},"maxAttempts":3}})", queue_overlap ? "queue" : "skip")}
        );
        db_.exec("insert into etl_definitions (pipeline, version, text) values ($1, 1, '')", {name});
    }

    run::WorkerIdentity worker() {
        const auto row = db_.exec(
            "insert into etl_workers (name, host, pid, concurrency) values ('worker', 'here', 1, "
            "1) returning worker_id"
        );
        workers_.push_back(postgres::Connection::connect({.url = database_}));
        const run::WorkerIdentity worker{row.integer(0, "worker_id"), "worker"};
        workers_.back().exec("select pg_advisory_lock($1, $2)", {run::worker_lock_class, static_cast<int>(worker.id)});
        return worker;
    }

    void die(const run::WorkerIdentity& worker) {
        for (auto& connection : workers_) {
            connection.exec("select pg_advisory_unlock($1, $2)", {run::worker_lock_class, static_cast<int>(worker.id)});
        }
        // Until then a missing lock may be that of a worker that is not back yet.
        db_.exec(
            "select pg_sleep(greatest(0, 2.01 - extract(epoch from clock_timestamp() - pg_postmaster_start_time())))"
        );
    }

    // Everything that is remembered moves into the past.
    void pass(std::int64_t ms) {
        db_.exec(
            "update etl_runs set available_at = available_at - $1 * interval '1 ms', lease_until = lease_until - $1 * "
            "interval '1 ms', committed_at = committed_at - $1 * interval '1 ms'",
            {ms}
        );
        db_.exec("update etl_outputs set decided_at = decided_at - $1 * interval '1 ms'", {ms});
    }

    std::string state(const std::string& run_id) {
        return text("select state as x from etl_runs where run_id = $1", run_id);
    }

    std::string job_id(const std::string& run_id) {
        return text("select job_id as x from etl_runs where run_id = $1", run_id);
    }

    void cancel(const std::string& run_id) { run::cancel_run(db_, run_id, "somebody"); }

    bool paused(const std::string& pipeline) {
        return db_.exec("select paused from etl_pipelines where name = $1", {pipeline}).boolean(0, "paused");
    }

    void remove(const std::string& pipeline) {
        db_.exec("update etl_pipelines set removed = true where name = $1", {pipeline});
    }

    pipeline::StagedChunk put_away(const std::string& name) {
        db_.exec("create schema if not exists headrace_staging");
        db_.exec("create table if not exists headrace_staging." + name + " as select 1 as v");
        const auto size = db_.exec("select pg_relation_size('headrace_staging." + name + "') as x").integer(0, "x");
        return {.table = name, .size = static_cast<std::uint64_t>(size), .rows = 1, .bytes = 1, .shape = "v"};
    }

    // As after a failover that lost them.
    void lose(const pipeline::StagedChunk& rows) { db_.exec("truncate headrace_staging." + rows.table); }

    pipeline::Manifest stage(const run::Output& output, const std::string& content, bool with_payload) {
        const auto live = output.name.substr(6);  // without "redis:"
        const pipeline::RedisSpace space(std::to_string(output.id), live);
        pipeline::Manifest manifest;
        manifest.keys.push_back({live, space.staging(make_uuid_v4())});
        manifest.meta_key = live + ":meta";
        manifest.rows = 1;
        const auto& key = manifest.keys.front().staging;
        cache_.command({"SET", key, content});
        if (with_payload) {
            manifest.payload = cache_.command({"DUMP", key}).text();
        }
        return manifest;
    }

    std::string live(const run::Output& output) {
        auto reply = cache_.command({"GET", output.name.substr(6)});
        return reply.is_nil() ? std::string() : reply.text();
    }

    void drop_live(const run::Output& output) { cache_.command({"DEL", output.name.substr(6)}); }

    void empty_outputs() { cache_.command({"FLUSHALL"}); }

    void empty_queue() {
        redis::Connection::connect(redis::parse_redis_url(queue_url_), StopToken()).command({"FLUSHALL"});
    }

    void replace_postgres() { db_.exec("update etl_meta set system_identifier = 'another'"); }

private:
    std::string text(std::string_view statement, const std::string& run_id) {
        const auto row = db_.exec(statement, {run_id});
        return row.empty() ? std::string() : std::string(row.text(0, "x"));
    }

    std::string database_;
    std::string queue_url_;
    std::string cache_url_;
    postgres::Connection db_;
    redis::Connection cache_;
    postgres::Pool pool_;
    run::PostgresLedger ledger_{pool_};
    run::RedisOutputs outputs_;
    run::BullmqQueue queue_;
    std::vector<postgres::Connection> workers_;
};

}  // namespace headrace::contract
