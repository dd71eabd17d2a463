// What people and the scheduler do to runs and pipelines. Each function is one Postgres transaction on the caller's
// connection; after it the caller may `dispatch` (dispatcher.hpp) to send the job at once instead of within a sweep.
// Every change is written to etl_audit with its actor.
#pragma once

#include "postgres/connection.hpp"
#include "run/ledger.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace headrace::run {

struct TriggerRequest {
    std::string pipeline;
    std::string trigger = "manual";  // manual | api | retry | queue | republish (rollback: run/rollback.hpp)
    std::string by;                  // actor, shown in history
    std::optional<std::string> reason;
    std::optional<std::string> idempotency_key;  // same key = same run
    std::optional<std::string> retry_of;         // run id
    bool forced = false;                         // guards do not apply
    std::optional<Backfill> backfill;            // of an incremental pipeline: this range, and the watermark stays
};

struct Triggered {
    std::string run_id;
    bool created = true;  // false: the idempotency key was seen before
};

// Throws pipeline.not_found, pipeline.paused (invalid; republish and forced pass), run.already_active (invalid) when
// the pipeline's overlap policy is skip and a run is queued, running or committed; run.range (invalid) for a backfill
// of a pipeline that is not incremental, or of a range that is none.
Triggered trigger_run(postgres::Connection& db, const TriggerRequest& request);

// queued → cancelled at once; running → cancel_requested, the worker stops within a second or two.
// Throws run.not_found, run.not_cancellable (decided or final). Cancelling twice is fine.
// Returns the state after it ("cancelled" or "running").
std::string cancel_run(postgres::Connection& db, std::string_view run_id, std::string_view by);

// A new run of the same pipeline. Throws run.not_found, and run.already_active as trigger_run.
Triggered retry_run(
    postgres::Connection& db,
    std::string_view run_id,
    std::string_view by,
    std::optional<std::string> idempotency_key
);

struct PipelineChange {
    std::optional<bool> paused;
    std::optional<std::string> reason;
    bool revert_schedule = false;     // back to the file
    std::optional<std::string> cron;  // both or none; already checked by the caller
    std::optional<std::string> timezone;
};

// Compare-and-set on version. Returns the new version, nullopt when `version` is not the current one (edit conflict).
// Throws pipeline.not_found. Resuming moves slots_through to now unless the catch-up policy says otherwise.
std::optional<std::int64_t> change_pipeline(
    postgres::Connection& db,
    std::string_view pipeline,
    std::int64_t version,
    const PipelineChange& change,
    std::string_view by
);

}  // namespace headrace::run
