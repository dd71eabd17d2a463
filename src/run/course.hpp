// The course of one delivery: claim → (work) → decide → publish → acknowledge, and what follows when something of it
// fails, is lost, cancelled or stopped. All of a worker's decisions in the commit protocol are here; what a run reads
// and writes lies behind Work, what is stored behind run/stores, so that tests/sim can run this code in every order of
// events. Called on the run's thread; keeps nothing between deliveries. The one place that catches what a run throws.
#pragma once

#include "base/stop.hpp"
#include "pipeline/definition.hpp"
#include "run/journal.hpp"
#include "run/owed_ends.hpp"
#include "run/stores.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace headrace::run {

// What the queue should do with the job.
struct Done {
    enum class Kind { completed, failed, again };
    Kind kind = Kind::completed;
    std::string text;      // JSON result, or the failure's sentence
    milliseconds wait{0};  // again: not before
};

// The work of one delivery, in this order: outputs; after a good claim begin, stage, settle, close_journal.
class Work {
public:
    virtual ~Work() = default;
    // Throws pipeline.invalid: the run fails without an attempt.
    virtual std::vector<OutputSpec> outputs() = 0;
    virtual const pipeline::Definition& definition() const = 0;
    // From now on the lease is kept, and `stop` asked for when it is lost. The journal lives as long as this.
    virtual Journal& begin(const Claim& claim) = 0;
    virtual std::shared_ptr<const void> lease() const = 0;  // after begin: kept as long as this or what it gave
    virtual StopToken stop() const = 0;                     // with one of the reasons of run/lease_keeper.hpp
    virtual Deadline deadline() const = 0;                  // of the attempt
    // Reads, checks, stages and seals. Throws what went wrong.
    virtual Sealed stage() = 0;
    // What was staged is thrown away, unless it is to be kept.
    virtual void settle(bool keep) noexcept = 0;
    // What the journal holds is where people look, before the run's state says that it is over.
    virtual void close_journal() = 0;
    virtual void state_changed() = 0;  // of the run
};

using WorkFor = std::function<std::unique_ptr<Work>(const RunHead& head)>;

struct Hands {
    LedgerStore& ledger;
    OutputStore& outputs;
    OwedEnds& owed;
    const WorkerIdentity& worker;
    milliseconds lease;
};

// Never throws an Error: what cannot be handled now comes again.
Done run_course(const Hands& hands, const Delivery& delivery, const WorkFor& work_for);

}  // namespace headrace::run
