// Runs one delivery of the queue to its end: the course of the protocol (run/course) around the straight line
// source → transforms → checks → sinks (run/attempt). Called on a queue slot's thread, which is the run's thread; holds
// no state between runs.
#pragma once

#include "base/redactor.hpp"
#include "base/stop.hpp"
#include "pipeline/registry.hpp"
#include "redis/options.hpp"
#include "run/course.hpp"
#include "run/journal.hpp"
#include "run/lease_keeper.hpp"
#include "run/stores.hpp"

#include <functional>
#include <memory>
#include <string>

namespace headrace::run {

// What a worker lends to its runs. Outlives them.
struct Services {
    LedgerStore& ledger;
    redis::Options cache;
    const pipeline::Registry& registry;
    std::function<pipeline::Credential(const std::string& name)> credential;  // throws credential.*
    JournalWriter& journal;
    LeaseKeeper& keeper;
    OwedEnds& owed;
    std::shared_ptr<Redactor> redactor;
    milliseconds lease{60'000};
};

class Executor {
public:
    explicit Executor(Services& services) : services_(services) {}

    Done execute(const Delivery& delivery, const StopToken& job_stop);

private:
    Services& services_;
};

}  // namespace headrace::run
