// What most commands need, made from the configuration. One per process.
#pragma once

#include "app/config.hpp"
#include "base/stop.hpp"
#include "pipeline/registry.hpp"
#include "postgres/connection.hpp"
#include "redis/options.hpp"
#include "run/worker.hpp"

#include <string>
#include <thread>

namespace headrace::app {

struct Context {
    Config config;
    postgres::ConnectOptions db;
    redis::Options queue_redis;
    redis::Options cache_redis;
    pipeline::Registry registry;

    // Reads headrace.yaml and the environment. Throws config.*.
    static Context load();

    postgres::Connection connect_db(const StopToken& stop = {}) const {
        return postgres::Connection::connect(db, stop);
    }

    run::WorkerSettings worker_settings() const;
    // Resolves by name; opens the store with the configured key.
    pipeline::Credential credential(postgres::Connection& db, const std::string& name) const;
};

// Blocks SIGINT and SIGTERM in every thread (call before any is started) and turns them into stops.
class SignalWait {
public:
    SignalWait();
    ~SignalWait();
    SignalWait(const SignalWait&) = delete;
    SignalWait& operator=(const SignalWait&) = delete;

    int fd() const { return fd_; }

    // Waits for the next signal or for `other` (a descriptor, or -1) to be readable. The signal's number, 0 for `other`
    // or at the deadline.
    int wait(int other = -1, Deadline deadline = Deadline::never());

private:
    int fd_ = -1;
};

// While it lives, SIGINT and SIGTERM stop `token()`: for commands that wait for others. Made before any other thread.
class StopOnSignal {
public:
    StopOnSignal();
    ~StopOnSignal();
    StopOnSignal(const StopOnSignal&) = delete;
    StopOnSignal& operator=(const StopOnSignal&) = delete;

    StopToken token() const { return stop_.token(); }

private:
    SignalWait signals_;
    StopSource stop_;
    StopSource over_;
    std::thread thread_;
};

}  // namespace headrace::app
