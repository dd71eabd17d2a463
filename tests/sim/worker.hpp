// A simulated worker process: one fiber that takes deliveries, perhaps one that sweeps; its keeper is called by the
// clock.
#pragma once

#include "base/redactor.hpp"
#include "base/stop.hpp"
#include "run/course.hpp"
#include "sim/checker.hpp"
#include "sim/fake_postgres.hpp"
#include "sim/fake_queue.hpp"
#include "sim/fake_redis.hpp"
#include "sim/world.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace headrace::sim {

inline constexpr std::int64_t lease_ms = 15'000;
inline constexpr std::int64_t queue_lock_ms = 10'000;
inline constexpr std::int64_t sweep_ms = 5'000;

// What an output of a pipeline is like.
struct OutputPlan {
    std::string name;
    bool keeps_payload = false;
};

// Lent to all workers of a schedule.
struct Shared {
    World& world;
    FakePostgres& db;
    FakeRedis& redis;
    FakeQueue& queue;
    Checker& checker;
    std::map<std::string, std::vector<OutputPlan>> outputs = {};  // by pipeline
    std::set<std::string> tables = {};                            // pipelines whose outputs are tables, read in chunks
    std::vector<Job> extra = {};                                  // deliveries beside the queue's own
    bool sources_fail = false;
    std::shared_ptr<Redactor> redactor = std::make_shared<Redactor>();
};

class Worker {
public:
    Worker(Shared& shared, int number);

    Process process;
    bool shutting_down = false;
    std::string run_id;  // at work on; "" = none

    void start(bool sweeps);
    void keep();  // leases, locks, stops: once a second while it lives and is not frozen

private:
    friend class SimWork;

    struct Kept {
        std::string attempt_id;
        StopSource stop;
    };

    void take_deliveries();
    void sweep();
    void settle();
    void handle(const Job& job);

    Shared& shared_;
    FakeLedger ledger_;
    FakeLedger impatient_;
    FakeOutputs outputs_;
    FakeOutputs sweep_outputs_;
    FakeRunQueue run_queue_;
    run::WorkerIdentity identity_;
    std::optional<Job> job_;
    std::vector<std::weak_ptr<Kept>> kept_;  // leases of the run at hand, and of those whose end is owed
    run::OwedEnds owed_;
};

}  // namespace headrace::sim
