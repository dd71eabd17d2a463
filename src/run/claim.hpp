// The first move of a run: an attempt becomes its owner, and that of its outputs (docs/commit-protocol.md, "claim").
// Functions take the caller's connection, as everywhere in run/ledger.
#pragma once

#include "base/ids.hpp"
#include "postgres/connection.hpp"
#include "run/chunks.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
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
    std::vector<Chunk> chunks;  // of earlier attempts, in order
};

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

}  // namespace headrace::run
