// Makes true again what faults left behind; runs in every worker, every few seconds, and is safe to run many times at
// once:
//   outbox rows → queue · runs of dead workers → queued again · queued runs without a job → sent again ·
//   decided and unpublished outputs → published · outputs that Redis lost → published from Postgres, or by a new run ·
//   committed runs without anything left to publish → succeeded · replaced and orphaned rows in Redis → removed ·
//   staging tables of dead attempts → dropped.
#pragma once

#include "bullmq/queue.hpp"
#include "postgres/connection.hpp"
#include "redis/options.hpp"
#include "run/journal.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace headrace::run {

class Reconciler {
public:
    struct Options {
        postgres::ConnectOptions db;
        redis::Options cache;
        redis::Options queue;
        std::string queue_name = "etl";
        std::string queue_prefix = "bull";
        std::chrono::milliseconds sweep{5'000};
    };

    // `journal` is told of every run that changed. Starts its thread.
    Reconciler(Options options, JournalWriter& journal);
    ~Reconciler();
    Reconciler(const Reconciler&) = delete;
    Reconciler& operator=(const Reconciler&) = delete;

    // A sweep now instead of at the next tick (a run was triggered, Redis came back).
    void poke();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace headrace::run
