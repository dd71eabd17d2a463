// The ends of attempts that were not decided: failed, cancelled, handed back, or dead with their worker.
#pragma once

#include "base/error.hpp"
#include "postgres/connection.hpp"
#include "run/decision.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::run {

using std::chrono::milliseconds;

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
