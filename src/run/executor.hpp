// Runs one delivery of the queue to its end: claim, the straight line source → transforms → checks → sinks, proof and
// guards, seal, decide, publish. Called on a queue slot's thread, which is the run's thread; holds no state between
// runs. This is the one place that catches what a run throws.
#pragma once

#include "base/redactor.hpp"
#include "base/stop.hpp"
#include "pipeline/registry.hpp"
#include "postgres/pool.hpp"
#include "redis/options.hpp"
#include "run/journal.hpp"
#include "run/lease_keeper.hpp"
#include "run/ledger.hpp"

#include <functional>
#include <memory>
#include <string>

namespace headrace::run {

// What a worker lends to its runs. Outlives them.
struct Services {
    postgres::Pool& db;
    redis::Options cache;
    const pipeline::Registry& registry;
    std::function<pipeline::Credential(const std::string& name)> credential;  // throws credential.*
    JournalWriter& journal;
    LeaseKeeper& keeper;
    std::shared_ptr<Redactor> redactor;
    milliseconds lease{60'000};
};

// What the queue should do with the job.
struct Done {
    enum class Kind { completed, failed, again };
    Kind kind = Kind::completed;
    std::string text;      // JSON result, or the failure's sentence
    milliseconds wait{0};  // again: not before
};

class Executor {
public:
    explicit Executor(Services& services) : services_(services) {}

    Done execute(const Delivery& delivery, const StopToken& job_stop);

private:
    Services& services_;
};

}  // namespace headrace::run
