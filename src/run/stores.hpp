// The stores of the commit protocol as its decisions see them (docs/commit-protocol.md): the ledger, the live outputs,
// the queue. One call is one transaction, one script or one command. Between any two calls others may come in and the
// process may die; a call that throws a transient Error may have had its effect all the same (its answer was lost).
//
// The decisions themselves are in run/course (a worker's), run/publisher and run/sweep (the reconciler's). They know
// only these interfaces: tests/sim runs that very code over fakes in every order of events, and tests/contract holds
// fakes and real stores (run/postgres_ledger, run/redis_outputs, run/bullmq_queue) to the same sentences.
// An object belongs to one thread, but for LedgerStore, which any thread may use.
#pragma once

#include "run/control.hpp"
#include "run/generation.hpp"
#include "run/ledger.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::run {

// --- The queue

struct RunJob {
    std::string id;  // deterministic: sending twice is one job
    std::string pipeline;
    std::string data;       // JSON {"runId","pipeline","trigger","scheduledFor"}
    milliseconds delay{0};  // not before
};

class RunQueue {
public:
    virtual ~RunQueue() = default;
    virtual void add(const RunJob& job) = 0;  // nothing when a job of this id is there
    // completed failed delayed active waiting prioritized waiting-children unknown
    virtual std::string state(std::string_view job_id) = 0;
    virtual void promote(std::string_view job_id) = 0;  // a delayed job is due now; nothing for others
};

// --- Outputs in Redis

enum class Applied {
    applied,   // readers see it now
    already,   // Redis has this one or a newer one
    no_stage,  // the staged rows are gone, nothing was changed
    more,      // merge: some rows are in, call again
};

// What a reader would find of an output.
struct Live {
    std::int64_t epoch = -1;  // -1: never applied, or lost
    std::int64_t seq = -1;
    std::string run_id;  // that decided it
    bool whole = false;  // the live keys of that generation are there, as far as can be seen
};

// Rows of an output that nobody needs any more.
struct Retirable {
    pipeline::RedisSpace space;
    std::string pointer;            // "" = none
    bool expired = false;           // the live generation's time is over
    std::vector<std::string> keep;  // generations that Postgres still points at
};

class OutputStore {
public:
    virtual ~OutputStore() = default;
    // `staging` is the manifest's, or a rebuilt one. `force` writes again what Redis says is there.
    virtual Applied apply(const Generation& generation, const std::string& staging, bool force) = 0;
    virtual std::string rebuild(const Generation& generation, const std::string& payload) = 0;  // its staging
    virtual std::vector<Live> look_at(const std::vector<Generation>& generations) = 0;          // in their order
    virtual bool sweep_rows(const Generation& generation) = 0;  // merge: old rows, some at a time; true: call again
    virtual void retire(const std::vector<Retirable>& outputs, Deadline until) = 0;
};

// --- The ledger

struct QueuedRun {
    std::string run_id;
    std::string job_id;
};

struct DecidedRun {
    std::string run_id;
    std::string pipeline;
};

class LedgerStore {
public:
    virtual ~LedgerStore() = default;

    // A run's moves, as in run/ledger.hpp and run/control.hpp.
    virtual std::optional<RunHead> read_head(const Delivery& delivery) = 0;
    virtual Claim claim(
        std::string_view run_id,
        const WorkerIdentity& worker,
        const std::vector<OutputSpec>& outputs,
        milliseconds lease,
        const std::string& attempt_id
    ) = 0;
    virtual bool add_chunk(std::string_view run_id, std::string_view attempt_id, const Chunk& chunk) = 0;
    // Throws postgres::CommitUnknown when the answer to COMMIT was lost: `verdict` tells.
    virtual Decision decide(
        std::string_view run_id,
        std::string_view attempt_id,
        const Sealed& sealed,
        const Counters& counters,
        Deadline deadline,
        const StopToken& stop
    ) = 0;
    virtual Verdict verdict(std::string_view run_id, std::string_view attempt_id) = 0;
    virtual void acknowledge(std::int64_t output_id, std::int64_t seq, std::string_view run_id) = 0;
    virtual bool abandon(std::string_view run_id) = 0;
    virtual Ending end_attempt(std::string_view run_id, std::string_view attempt_id, const AttemptEnd& end) = 0;
    virtual void release(std::string_view run_id, std::string_view attempt_id) = 0;
    virtual void fail_unclaimed(std::string_view run_id, const Error& error) = 0;
    virtual Triggered trigger(const TriggerRequest& request) = 0;

    // What was decided.
    virtual std::optional<Generation> generation(std::int64_t output_id) = 0;  // nullopt: none, or removed
    virtual std::vector<Generation> generations() = 0;                         // of all outputs in Redis
    virtual std::vector<std::int64_t> unpublished(std::string_view run_id) = 0;
    virtual std::optional<std::string> payload(const Generation& generation) = 0;  // nullopt: none, or another one's
    virtual std::vector<Retirable> retirable() = 0;

    // What the sweep looks for. "Overdue": its own worker had two seconds to do it.
    virtual bool check_epoch() = 0;  // true: this Postgres took another one's place, and the epoch was raised
    // The same for what identifiers do not show: Redis has a generation of the output that was never decided here.
    virtual bool raise_epoch_over(std::int64_t output_id, const Live& live) = 0;
    virtual std::vector<Reaped> reap() = 0;
    virtual std::size_t send_outbox(RunQueue& queue) = 0;
    virtual std::vector<QueuedRun> queued_for(milliseconds age) = 0;  // with nothing of it in the outbox
    virtual void send_again(const QueuedRun& run) = 0;                // under a new job id, by the outbox
    virtual std::vector<std::int64_t> overdue_outputs() = 0;
    virtual std::vector<DecidedRun> overdue_runs() = 0;    // committed, every output out
    virtual std::vector<std::string> sweep_staging() = 0;  // tables of dead attempts; what was dropped
};

}  // namespace headrace::run
