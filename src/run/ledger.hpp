// The ledger: claim, decide and the other moves of a run, each one transaction in Postgres (docs/commit-protocol.md).
// Functions take the caller's connection; none keeps state. Lock order everywhere: run row, then outputs by id.
#pragma once

#include "base/deadline.hpp"
#include "base/error.hpp"
#include "base/ids.hpp"
#include "pipeline/incremental.hpp"
#include "pipeline/sink.hpp"
#include "postgres/connection.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace headrace::run {

using std::chrono::milliseconds;

// A delivery from the queue.
struct Delivery {
    std::string queue;
    std::string job_id;
    std::int64_t job_timestamp = 0;  // 0 for jobs that we sent
    std::string run_id;              // "" when a foreign producer added the job
    std::string pipeline;
};

// A range of the cursor that a person asked for, as they wrote it.
struct Backfill {
    std::string from;
    std::string to;
};

// How far the pipeline has come: the largest value of the cursor that was committed.
struct Watermark {
    std::string column;
    std::string value;  // canonical, pipeline/incremental.hpp
};

// What an attempt must know before it can claim: read without locks.
struct RunHead {
    std::string run_id;
    std::string pipeline;
    std::string definition;  // the frozen text
    int definition_version = 0;
    std::string state;
    std::string trigger;
    bool forced = false;
    int max_attempts = 1;
    std::optional<Backfill> backfill;
};

struct WorkerIdentity {
    std::int64_t id = 0;  // etl_workers.worker_id, also its advisory lock
    std::string name;     // shown in history
};

struct OutputSpec {
    std::string name;
    std::string kind;
};

struct Output {
    std::int64_t id = 0;
    std::string name;
    std::int64_t previous_rows = -1;  // of the last good generation; -1 = none yet
    std::int64_t previous_bytes = 0;
};

enum class ClaimOutcome {
    claimed,   // go on
    redo,      // committed: publish and acknowledge what was decided
    finished,  // final: just finish the job
    busy,      // somebody works on it, or it is not due yet: give the job back for `wait`
};

struct Claim {
    ClaimOutcome outcome = ClaimOutcome::finished;
    std::string state;  // after the claim
    milliseconds wait{0};
    std::string attempt_id;
    int attempt = 0;  // counts every claim
    int tries = 0;    // those that count against max_attempts: not the deaths of workers, not what they handed back
    std::int64_t last_log_seq = 0;
    std::vector<Output> outputs;  // in the order of the specs
    std::optional<Watermark> watermark;
};

struct Counters {
    std::uint64_t rows_read = 0;
    std::uint64_t rows_written = 0;
    std::uint64_t rows_rejected = 0;
    std::uint64_t rows_filtered = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
};

struct SealedOutput {
    std::int64_t output_id = 0;
    pipeline::Manifest manifest;
};

// What an incremental attempt read; stored with its rows.
struct CursorReached {
    pipeline::CursorRange range;
    std::string largest;   // "" = no row
    bool advances = true;  // becomes the watermark, if it is larger than the one that is there
};

// What an attempt asks to be decided.
struct Sealed {
    std::vector<SealedOutput> outputs;    // ascending by id
    std::string proof;                    // how the source proved that the read was complete
    std::optional<CursorReached> cursor;  // of an incremental read
};

enum class Decision { committed, fenced, cancelled };

// nullopt: no such pipeline (foreign jobs) or no such run. A foreign job gets its run row here (trigger "queue").
std::optional<RunHead> read_head(postgres::Connection& db, const Delivery& delivery);

// `attempt_id`: fresh for each call. When the answer to COMMIT is lost the caller knows by it what to give back.
Claim claim(
    postgres::Connection& db,
    std::string_view run_id,
    const WorkerIdentity& worker,
    const std::vector<OutputSpec>& outputs,
    milliseconds lease,
    const std::string& attempt_id = make_uuid_v4()
);

// Transaction D, with the statements of the manifests, which may take until `deadline`. Throws postgres::CommitUnknown
// when the answer to COMMIT was lost: then ask `verdict` on a new connection.
Decision decide(
    postgres::Connection& db,
    std::string_view run_id,
    std::string_view attempt_id,
    const Sealed& sealed,
    const Counters& counters,
    Deadline deadline
);

// What became of a decision whose COMMIT was not answered: waits on the row lock until the old backend is gone.
// committed; undecided = D did not happen and may be tried again by this attempt; fenced = somebody else owns the run.
enum class Verdict { committed, undecided, fenced };
Verdict verdict(postgres::Connection& db, std::string_view run_id, std::string_view attempt_id);

// After publish: marks the output published if seq is still the same, and the run succeeded when none is left.
void acknowledge(postgres::Connection& db, std::int64_t output_id, std::int64_t seq, std::string_view run_id);

// committed → superseded: Redis lost the staged rows of an output before anybody saw them, and no copy is kept. Without
// this the run would wait for ever and keep the next one from reading the source again. False: the run is not
// committed.
bool abandon(postgres::Connection& db, std::string_view run_id);

// The attempt ended without a decision. Returns the run's state after it, and how long to wait when it is queued again.
struct Ending {
    std::string state;  // "queued", "failed", "cancelled", or what somebody else made of it
    milliseconds wait{0};
};

struct AttemptEnd {
    Error error;
    std::string step;          // in which it went wrong; "" = none
    std::int64_t log_seq = 0;  // the line that tells
    milliseconds backoff{0};   // doubled with each try, at most to backoff_max
    milliseconds backoff_max{0};
    Counters counters;
};

Ending
end_attempt(postgres::Connection& db, std::string_view run_id, std::string_view attempt_id, const AttemptEnd& end);

// Shutdown, or the queue took the job away: running → queued, and the attempt does not count as a try; nothing but a
// `superseded` attempt when somebody else has the run.
void release(postgres::Connection& db, std::string_view run_id, std::string_view attempt_id);

// queued → failed without an attempt (the definition does not parse, the pipeline is gone).
void fail_unclaimed(postgres::Connection& db, std::string_view run_id, const Error& error);

// A worker died: running with an expired lease, or whose worker's advisory lock is free → queued with a new job, or
// quarantined (and the pipeline paused) at the third death without a verdict. Returns the runs that were moved.
struct Reaped {
    std::string run_id;
    std::string pipeline;
    std::string state;
};

std::vector<Reaped> reap(postgres::Connection& db);

// JSON of etl_runs.error.
std::string error_json(const Error& error, std::string_view step, std::int64_t log_seq);

inline constexpr int crash_limit = 3;
inline constexpr int worker_lock_class = 0x4845;  // first key of the advisory locks of workers

}  // namespace headrace::run
