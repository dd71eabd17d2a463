// One round of the reconciler: makes true again what faults left behind. Safe to run anywhere, many times at once:
//   runs of dead workers → queued again · outbox rows → queue · queued runs without a job → sent again ·
//   decided and unpublished outputs → published · outputs that Redis lost → published from Postgres, or by a new run ·
//   committed runs without anything left to publish → succeeded · replaced and orphaned rows in Redis → removed ·
//   staging tables of dead attempts → dropped.
#pragma once

#include "base/deadline.hpp"
#include "run/owed_ends.hpp"
#include "run/publisher.hpp"
#include "run/stores.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace headrace::run {

class Sweep {
public:
    using Changed = std::function<void(const std::string& run_id, const std::string& pipeline, bool created)>;

    // `interval` is the time between rounds: a queued run without a job waits two of them. `changed` is told of every
    // run that was moved. All outlive this; one thread.
    Sweep(
        LedgerStore& ledger,
        OutputStore& outputs,
        RunQueue& queue,
        OwedEnds& owed,
        milliseconds interval,
        Changed changed
    );

    // What fails is logged and left to the next round.
    void run();

private:
    bool part(std::string_view name, const std::function<void()>& body);
    void reap_dead();
    void resend_lost();
    void publish_overdue();
    void heal_outputs();
    void finish_committed();
    void drop_orphans();
    void publish(const Generation& generation, bool force);
    void republish(const std::string& pipeline);

    LedgerStore& ledger_;
    OutputStore& outputs_;
    RunQueue& queue_;
    OwedEnds& owed_;
    milliseconds interval_;
    Changed changed_;
    bool ledger_lost_ = false;
    Deadline staging_again_ = Deadline::in(milliseconds(0));
};

}  // namespace headrace::run
