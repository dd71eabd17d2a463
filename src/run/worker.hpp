// Everything that a worker process does: takes runs from the queue, keeps their leases, schedules, reconciles, and
// brings changed pipeline files into Postgres. Threads: queue (3 + slots, see bullmq/worker.hpp), one read-ahead per
// run, lease keeper, journal writer, reconciler, scheduler.
#pragma once

#include "base/redactor.hpp"
#include "pipeline/registry.hpp"
#include "postgres/connection.hpp"
#include "redis/options.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace headrace::run {

struct WorkerSettings {
    postgres::ConnectOptions db;
    redis::Options queue_redis;
    redis::Options cache_redis;
    std::string name;          // "host-1234"
    unsigned concurrency = 2;  // runs at once
    std::string queue = "etl";
    std::string prefix = "bull";
    std::string events_stream;
    std::chrono::milliseconds lease{60'000};
    std::chrono::milliseconds sweep{5'000};
    std::string pipelines_folder;                       // "" = definitions come from elsewhere
    bool schedule = true;                               // false: no cron (headrace run, --once)
    std::function<void(postgres::Connection&)> verify;  // called once before anything starts; may throw
    // Resolves a credential by name on the caller's connection; throws credential.*.
    std::function<pipeline::Credential(postgres::Connection&, const std::string&)> credential;
};

class Worker {
public:
    // Throws when Postgres or Redis is away at start, or when a pipeline file cannot be read. `registry` outlives it.
    Worker(WorkerSettings settings, const pipeline::Registry& registry);
    ~Worker();  // stop(0)
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void start();
    // Takes nothing new; running ones get `grace`, then are handed back to the queue without an attempt burnt.
    void stop(std::chrono::milliseconds grace);
    void poke();  // send what was triggered now

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace headrace::run
