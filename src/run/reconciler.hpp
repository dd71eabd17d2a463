// The thread that sweeps (run/sweep): in every worker, every few seconds and when poked.
#pragma once

#include "postgres/connection.hpp"
#include "redis/options.hpp"
#include "run/journal.hpp"
#include "run/owed_ends.hpp"

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

    // `journal` is told of every run that changed; `owed` are the worker's. Both outlive this. Starts its thread.
    Reconciler(Options options, JournalWriter& journal, OwedEnds& owed);
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
