#include "run/claim.hpp"

#include "base/killpoint.hpp"
#include "run/ledger_rows.hpp"

#include <algorithm>

namespace headrace::run {
namespace {

using postgres::Connection;
using postgres::Param;

RunHead head_of(const postgres::Result& row) {
    return {
        .run_id = std::string(row.text(0, "run_id")),
        .pipeline = std::string(row.text(0, "pipeline")),
        .definition = std::string(row.text(0, "text")),
        .definition_version = static_cast<int>(row.integer(0, "definition_version")),
        .state = std::string(row.text(0, "state")),
        .trigger = std::string(row.text(0, "trigger")),
        .forced = row.boolean(0, "forced"),
        .max_attempts = static_cast<int>(row.integer(0, "max_attempts")),
        .backfill = row.is_null(0, "backfill_from")
                        ? std::nullopt
                        : std::make_optional(Backfill{
                              std::string(row.text(0, "backfill_from")), std::string(row.text(0, "backfill_to"))})};
}

// A job that a foreign producer put into the queue has no row yet; the unique key makes duplicates meet.
std::string adopt_foreign(Connection& db, const Delivery& delivery) {
    const auto run_id = make_uuid_v7();
    const auto made = db.exec(
        "insert into etl_runs (run_id, pipeline, definition_version, trigger, triggered_by, queue, job_id, "
        "job_timestamp, max_attempts)"
        " select $1, name, definition_version, 'queue', 'queue ' || $3, $3, $4, $5, "
        "coalesce((summary->>'maxAttempts')::int, 3)"
        " from etl_pipelines where name = $2 and not removed on conflict (queue, job_id, job_timestamp) do nothing "
        "returning run_id",
        {run_id, delivery.pipeline, delivery.queue, delivery.job_id, delivery.job_timestamp}
    );
    if (!made.empty()) {
        return run_id;
    }
    const auto known = db.exec(
        "select run_id from etl_runs where queue = $1 and job_id = $2 and job_timestamp = $3",
        {delivery.queue, delivery.job_id, delivery.job_timestamp}
    );
    return known.empty() ? std::string() : std::string(known.text(0, "run_id"));
}

struct Locked {
    std::string state;
    std::string pipeline;
    std::string trigger;
    bool cancel_requested = false;
    std::int64_t due_in_ms = 0;  // > 0: not before
    std::int64_t lease_left_ms = 0;
    int attempt = 0;
    int spared = 0;
};

std::optional<Locked> lock_run(Connection& db, std::string_view run_id) {
    const auto row = db.exec(
        "select state, pipeline, trigger, cancel_requested, attempt, spared,"
        " ceil(extract(epoch from available_at - clock_timestamp()) * 1000)::bigint as due_in,"
        " coalesce(ceil(extract(epoch from lease_until - clock_timestamp()) * 1000)::bigint, 0) as lease_left"
        " from etl_runs where run_id = $1 for update",
        {run_id}
    );
    if (row.empty()) {
        return std::nullopt;
    }
    return Locked{
        .state = std::string(row.text(0, "state")),
        .pipeline = std::string(row.text(0, "pipeline")),
        .trigger = std::string(row.text(0, "trigger")),
        .cancel_requested = row.boolean(0, "cancel_requested"),
        .due_in_ms = row.integer(0, "due_in"),
        .lease_left_ms = row.integer(0, "lease_left"),
        .attempt = static_cast<int>(row.integer(0, "attempt")),
        .spared = static_cast<int>(row.integer(0, "spared"))};
}

std::vector<Output> lock_outputs(Connection& db, std::string_view pipeline, const std::vector<OutputSpec>& specs) {
    std::vector<std::string> names;
    for (const auto& spec : specs) {
        db.exec(
            "insert into etl_outputs (pipeline, name, kind) values ($1, $2, $3) on conflict (pipeline, name) do "
            "nothing",
            {pipeline, spec.name, spec.kind}
        );
        names.push_back(spec.name);
    }
    const auto rows = db.exec(
        "select output_id, name, bytes, case when seq > 0 then rows else -1 end as rows from etl_outputs"
        " where pipeline = $1 and name = any($2) order by output_id for update",
        {pipeline, Param::array(names)}
    );
    std::vector<Output> outputs;
    for (const auto& name : names) {
        for (std::size_t i = 0; i < rows.rows(); ++i) {
            if (rows.text(i, "name") == name) {
                outputs.push_back(
                    {rows.integer(i, "output_id"), name, rows.integer(i, "rows"), rows.integer(i, "bytes")}
                );
            }
        }
    }
    return outputs;
}

// Another run of the same pipeline that is at work; "" when there is none.
std::string other_run(Connection& db, std::string_view run_id, const Locked& run) {
    const auto other = db.exec(
        "select run_id from etl_runs where pipeline = $1 and run_id <> $2 and state in ('running', 'committed') limit "
        "1",
        {run.pipeline, run_id}
    );
    return other.empty() ? std::string() : std::string(other.text(0, "run_id"));
}

// overlap: cancel_old. Outside the claim, so that no transaction ever holds two run rows.
void cancel_if_policy_says(Connection& db, std::string_view other) {
    db.exec(
        "update etl_runs r set cancel_requested = true, cancelled_by = 'a newer run' from etl_pipelines p where "
        "r.run_id = $1"
        " and r.state = 'running' and p.name = r.pipeline and p.summary->'schedule'->>'overlap' = 'cancel_old'",
        {other}
    );
}

void take(Connection& db, std::string_view run_id, const WorkerIdentity& worker, milliseconds lease, Claim& claim) {
    for (const auto& output : claim.outputs) {
        db.exec("update etl_outputs set owner = $2 where output_id = $1", {output.id, claim.attempt_id});
    }
    db.exec(
        "update etl_runs set state = 'running', attempt = $3, attempt_id = $2, worker_id = $4, worker = $5,"
        " lease_until = now() + $6 * interval '1 ms', started_at = coalesce(started_at, now()), error = null, reason = "
        "null,"
        " rows_read = 0, rows_written = 0, rows_rejected = 0, rows_filtered = 0, bytes_read = 0, bytes_written = 0"
        " where run_id = $1 and state = 'queued'",
        {run_id, claim.attempt_id, claim.attempt, worker.id, worker.name, static_cast<std::int64_t>(lease.count())}
    );
    db.exec(
        "insert into etl_attempts (run_id, attempt, attempt_id, worker) values ($1, $2, $3, $4)",
        {run_id, claim.attempt, claim.attempt_id, worker.name}
    );
    const auto known = db.exec(
        "select (select coalesce(max(seq), 0) from etl_logs l where l.run_id = r.run_id) as last_log, w.cursor_column,"
        " w.value from etl_runs r left join etl_watermarks w on w.pipeline = r.pipeline and w.partition = ''"
        " where r.run_id = $1",
        {run_id}
    );
    claim.last_log_seq = known.integer(0, "last_log");
    if (!known.is_null(0, "value")) {
        claim.watermark = Watermark{std::string(known.text(0, "cursor_column")), std::string(known.text(0, "value"))};
    }
    claim.chunks = take_chunks(db, run_id, claim.attempt);
}

}  // namespace

std::optional<RunHead> read_head(Connection& db, const Delivery& delivery) {
    const auto run_id = delivery.run_id.empty() ? adopt_foreign(db, delivery) : delivery.run_id;
    if (!is_uuid(run_id)) {
        return std::nullopt;
    }
    const auto row = db.exec(
        "select r.run_id, r.pipeline, r.definition_version, r.state, r.trigger, r.forced, r.max_attempts, d.text,"
        " r.backfill->>'from' as backfill_from, r.backfill->>'to' as backfill_to from etl_runs r"
        " join etl_definitions d on d.pipeline = r.pipeline and d.version = r.definition_version where r.run_id = $1",
        {run_id}
    );
    return row.empty() ? std::nullopt : std::make_optional(head_of(row));
}

Claim claim(
    Connection& db,
    std::string_view run_id,
    const WorkerIdentity& worker,
    const std::vector<OutputSpec>& outputs,
    milliseconds lease,
    const std::string& attempt_id
) {
    Claim claim;
    std::string other;
    HEADRACE_POINT("K1");
    db.transaction([&](Connection& c) {
        claim = Claim{};
        other.clear();
        const auto run = lock_run(c, run_id);
        claim.state = run ? run->state : "";
        if (!run || run->state == "committed") {
            claim.outcome = run ? ClaimOutcome::redo : ClaimOutcome::finished;
            return;
        }
        if (run->state == "running") {
            // A duplicate delivery, or the worker died: the reaper decides which, after the lease or sooner.
            claim.outcome = ClaimOutcome::busy;
            claim.wait = std::clamp(milliseconds(run->lease_left_ms), milliseconds(200), lease);
            return;
        }
        if (run->state != "queued") {
            return;
        }
        if (run->cancel_requested) {
            finish_cancelled(c, run_id);
            claim.state = "cancelled";
            return;
        }
        if (run->due_in_ms > 0) {
            claim.outcome = ClaimOutcome::busy;
            claim.wait = milliseconds(run->due_in_ms);
            return;
        }
        claim.outputs = lock_outputs(c, run->pipeline, outputs);
        if (other = other_run(c, run_id, *run); !other.empty()) {
            claim.outcome = ClaimOutcome::busy;
            claim.wait = milliseconds(500);
            return;
        }
        claim.outcome = ClaimOutcome::claimed;
        claim.state = "running";
        claim.attempt = run->attempt + 1;
        claim.tries = claim.attempt - run->spared;
        claim.attempt_id = attempt_id;
        take(c, run_id, worker, lease, claim);
        HEADRACE_POINT("K2");
    });
    if (!other.empty()) {
        cancel_if_policy_says(db, other);
    }
    HEADRACE_POINT("K3");
    return claim;
}

}  // namespace headrace::run
