#include "run/ledger.hpp"

#include "base/ids.hpp"
#include "base/killpoint.hpp"
#include "base/process_stats.hpp"
#include "run/broken_twin.hpp"
#include "run/manifest.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/core.h>

#include <random>

namespace headrace::run {
namespace {

namespace json = boost::json;
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

void finish_cancelled(Connection& db, std::string_view run_id) {
    db.exec(
        "update etl_runs set state = 'cancelled', finished_at = now(), reason = 'cancelled by ' || "
        "coalesce(cancelled_by, '?')"
        " where run_id = $1 and state in ('queued', 'running')",
        {run_id}
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
}

milliseconds full_jitter(milliseconds first, milliseconds most, int tries) {
    thread_local std::mt19937_64 random{std::random_device{}()};
    auto span = first;
    for (int i = 1; i < tries && span < most; ++i) {
        span *= 2;
    }
    span = std::min(span, most);
    return milliseconds(
        std::uniform_int_distribution<std::int64_t>(span.count() / 2, std::max<std::int64_t>(1, span.count()))(random)
    );
}

void end_attempt_row(
    Connection& db,
    std::string_view run_id,
    std::string_view attempt_id,
    std::string_view outcome,
    const std::optional<std::string>& error
) {
    db.exec(
        "update etl_attempts set finished_at = now(), outcome = $3, error = $4 where run_id = $1 and attempt_id = $2"
        " and finished_at is null",
        {run_id, attempt_id, outcome, error}
    );
}

// Its decision stands although it could not learn so: the acknowledgement will end this attempt as successful.
bool decided_by(const postgres::Result& run, std::string_view attempt_id) {
    return !run.empty() && run.text(0, "attempt_id") == attempt_id &&
           (run.text(0, "state") == "committed" || run.text(0, "state") == "succeeded");
}

void write_counters(Connection& db, std::string_view run_id, const Counters& c) {
    db.exec(
        "update etl_runs set rows_read = $2, rows_written = $3, rows_rejected = $4, rows_filtered = $5, bytes_read = "
        "$6,"
        " bytes_written = $7, peak_rss = $8 where run_id = $1",
        {run_id,
         c.rows_read,
         c.rows_written,
         c.rows_rejected,
         c.rows_filtered,
         c.bytes_read,
         c.bytes_written,
         peak_rss_bytes()}
    );
}

// With the rows, in their transaction: the watermark never passes what is committed, and never goes back.
void write_cursor(Connection& db, std::string_view run_id, const CursorReached& reached) {
    const auto& range = reached.range;
    db.exec(
        "update etl_runs set cursor_range = $2 where run_id = $1",
        {run_id,
         json::serialize(json::object{
             {"column", range.column},
             {"from", range.from},
             {"to", range.to.value_or(range.from)},
             {"largest", reached.largest.empty() ? json::value(nullptr) : json::value(reached.largest)}})}
    );
    if (!reached.advances || reached.largest.empty()) {
        return;
    }
    const auto known = db.exec(
        "select value, cursor_column from etl_watermarks w join etl_runs r using (pipeline) where r.run_id = $1 and"
        " w.partition = '' for update of w",
        {run_id}
    );
    if (!known.empty() && known.text(0, "cursor_column") == range.column &&
        pipeline::compare_cursors(range.kind, known.text(0, "value"), reached.largest) >= 0) {
        return;
    }
    db.exec(
        "insert into etl_watermarks (pipeline, value, run_id, cursor_column) select pipeline, $2, run_id, $3 from"
        " etl_runs where run_id = $1 on conflict (pipeline, partition) do update set value = excluded.value, run_id ="
        " excluded.run_id, cursor_column = excluded.cursor_column, updated_at = now()",
        {run_id, reached.largest, range.column}
    );
}

// Last of all: they take locks on tables that others read. The run's row stays locked meanwhile, which lease, journal
// and reaper step around.
void run_statements(Connection& c, const std::vector<SealedOutput>& outputs, Deadline deadline) {
    const bool any = std::any_of(outputs.begin(), outputs.end(), [](const SealedOutput& output) {
        return !output.manifest.statements.empty();
    });
    if (!any) {
        return;
    }
    // 0 is for ever: the deadline stops the attempt, and with it the statement.
    c.exec("select set_config('lock_timeout', '5000', true), set_config('statement_timeout', '0', true)");
    for (const auto& output : outputs) {
        for (const auto& statement : output.manifest.statements) {
            c.exec_until(deadline, statement);
        }
    }
}

}  // namespace

std::string error_json(const Error& error, std::string_view step, std::int64_t log_seq) {
    json::object out;
    out["code"] = error.code();
    out["message"] = error.message();
    out["context"] = json::array(error.context().begin(), error.context().end());
    out["hint"] = error.hint();
    out["kind"] = to_string(error.kind());
    out["step"] = step.empty() ? json::value(nullptr) : json::value(step);
    out["transient"] = error.kind() == ErrorKind::transient;
    out["logSeq"] = log_seq > 0 ? json::value(log_seq) : json::value(nullptr);
    return json::serialize(out);
}

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

Decision decide(
    Connection& db,
    std::string_view run_id,
    std::string_view attempt_id,
    const Sealed& sealed,
    const Counters& counters,
    Deadline deadline
) {
    const auto& outputs = sealed.outputs;
    auto decision = Decision::fenced;
    db.transaction([&](Connection& c) {
        decision = Decision::fenced;
        broken_twin::no_fence(c, run_id, attempt_id);
        // NO KEY: log lines and steps of the run refer to this row, and can be written while statements run.
        const auto run = c.exec(
            "select state, attempt_id, cancel_requested from etl_runs where run_id = $1 for no key update", {run_id}
        );
        if (run.empty() || run.text(0, "state") != "running" || run.text(0, "attempt_id") != attempt_id) {
            return;
        }
        if (run.boolean(0, "cancel_requested")) {
            decision = Decision::cancelled;
            return;
        }
        std::vector<std::string> ids;
        for (const auto& output : outputs) {
            ids.push_back(std::to_string(output.output_id));
        }
        const auto owned = c.exec(
            "select output_id, owner, removed from etl_outputs where output_id = any($1::bigint[]) order by output_id "
            "for update",
            {Param::array(ids)}
        );
        for (std::size_t i = 0; i < owned.rows(); ++i) {
            if (owned.text(i, "owner") != attempt_id) {
                return;
            }
        }
        for (const auto& output : outputs) {
            const auto& m = output.manifest;
            const auto next = c.exec(
                "update etl_outputs o set seq = o.seq + 1, epoch = m.epoch, run_id = $2, attempt_id = $3, manifest = "
                "$4, payload = $5,"
                " rows = $6, bytes = $7, schema_hash = $8, published = $9, decided_at = now() from etl_meta m"
                " where o.output_id = $1 returning o.seq, o.epoch",
                {output.output_id,
                 run_id,
                 attempt_id,
                 manifest_json(m),
                 m.payload.empty() ? Param(nullptr) : Param::bytes(m.payload),
                 m.rows,
                 m.bytes,
                 m.schema_hash,
                 m.keys.empty()}
            );
            c.exec(
                "insert into etl_commits (run_id, output_id, epoch, seq, attempt_id, rows, bytes, manifest) values "
                "($1, $2, $3, $4, $5, $6, $7, $8)",
                {run_id,
                 output.output_id,
                 next.text(0, "epoch"),
                 next.text(0, "seq"),
                 attempt_id,
                 m.rows,
                 m.bytes,
                 manifest_json(m)}
            );
        }
        c.exec(
            "update etl_runs set state = 'committed', committed_at = now(), proof = $3 where run_id = $1 and "
            "attempt_id = $2"
            " and state = 'running'",
            {run_id, attempt_id, sealed.proof}
        );
        write_counters(c, run_id, counters);
        if (sealed.cursor) {
            write_cursor(c, run_id, *sealed.cursor);
        }
        run_statements(c, outputs, deadline);
        decision = Decision::committed;
        HEADRACE_POINT("K10");
    });
    HEADRACE_POINT("K11");
    return decision;
}

Verdict verdict(Connection& db, std::string_view run_id, std::string_view attempt_id) {
    auto found = Verdict::fenced;
    db.transaction([&](Connection& c) {
        const auto run = c.exec("select state, attempt_id from etl_runs where run_id = $1 for update", {run_id});
        if (run.empty() || run.text(0, "attempt_id") != attempt_id) {
            found = Verdict::fenced;
        } else if (run.text(0, "state") == "committed" || run.text(0, "state") == "succeeded") {
            found = Verdict::committed;
        } else {
            found = run.text(0, "state") == "running" ? Verdict::undecided : Verdict::fenced;
        }
    });
    return found;
}

void acknowledge(Connection& db, std::int64_t output_id, std::int64_t seq, std::string_view run_id) {
    db.transaction([&](Connection& c) {
        const auto run = c.exec("select state from etl_runs where run_id = $1 for update", {run_id});
        c.exec("update etl_outputs set published = true where output_id = $1 and seq = $2", {output_id, seq});
        HEADRACE_POINT("K14");
        if (!run.empty() && run.text(0, "state") == "committed") {
            c.exec(
                "update etl_runs r set state = 'succeeded', finished_at = now() where run_id = $1 and state = "
                "'committed' and not exists"
                " (select 1 from etl_outputs o join etl_commits k on k.output_id = o.output_id and k.run_id = r.run_id"
                "  where o.run_id = r.run_id and not o.published)",
                {run_id}
            );
            c.exec(
                "update etl_attempts a set finished_at = now(), outcome = 'succeeded' from etl_runs r where r.run_id = "
                "$1"
                " and r.state = 'succeeded' and a.run_id = r.run_id and a.attempt = r.attempt and a.finished_at is "
                "null",
                {run_id}
            );
        }
    });
    HEADRACE_POINT("K15");
}

bool abandon(Connection& db, std::string_view run_id) {
    bool moved = false;
    db.transaction([&](Connection& c) {
        moved = c.exec(
                     "update etl_runs set state = 'superseded', finished_at = now(), reason = 'Redis lost the staged "
                     "rows before they were visible; the source is read again' where run_id = $1 and state = "
                     "'committed'",
                     {run_id}
                )
                    .affected() == 1;
        if (moved) {
            c.exec(
                "update etl_attempts set finished_at = now(), outcome = 'superseded' where run_id = $1 and finished_at "
                "is null",
                {run_id}
            );
        }
    });
    return moved;
}

Ending end_attempt(Connection& db, std::string_view run_id, std::string_view attempt_id, const AttemptEnd& end) {
    Ending ending;
    db.transaction([&](Connection& c) {
        ending = Ending{};
        const auto run = c.exec(
            "select state, attempt_id, attempt - spared as tries, max_attempts, cancel_requested from etl_runs where "
            "run_id = $1 for update",
            {run_id}
        );
        ending.state = run.empty() ? "" : std::string(run.text(0, "state"));
        const auto details = error_json(end.error, end.step, end.log_seq);
        if (run.empty() || ending.state != "running" || run.text(0, "attempt_id") != attempt_id) {
            if (!decided_by(run, attempt_id)) {
                end_attempt_row(c, run_id, attempt_id, "superseded", details);
            }
            return;
        }
        write_counters(c, run_id, end.counters);
        const auto tries = static_cast<int>(run.integer(0, "tries"));
        // The request itself may be forgotten by now: a standby that did not know of it took Postgres' place.
        if (run.boolean(0, "cancel_requested") || end.error.code() == "run.cancelled") {
            finish_cancelled(c, run_id);
            end_attempt_row(c, run_id, attempt_id, "cancelled", std::nullopt);
            ending.state = "cancelled";
        } else if (end.error.kind() == ErrorKind::transient && tries < run.integer(0, "max_attempts")) {
            ending.state = "queued";
            ending.wait = full_jitter(end.backoff, end.backoff_max, tries);
            c.exec(
                "update etl_runs set state = 'queued', attempt_id = null, lease_until = null, worker_id = null, error "
                "= $3,"
                " available_at = now() + $4 * interval '1 ms' where run_id = $1 and attempt_id = $2 and state = "
                "'running'",
                {run_id, attempt_id, details, static_cast<std::int64_t>(ending.wait.count())}
            );
            end_attempt_row(c, run_id, attempt_id, "retried", details);
        } else {
            ending.state = "failed";
            c.exec(
                "update etl_runs set state = 'failed', finished_at = now(), lease_until = null, error = $3"
                " where run_id = $1 and attempt_id = $2 and state = 'running'",
                {run_id, attempt_id, details}
            );
            end_attempt_row(c, run_id, attempt_id, "failed", details);
        }
    });
    return ending;
}

void release(Connection& db, std::string_view run_id, std::string_view attempt_id) {
    db.transaction([&](Connection& c) {
        const auto run = c.exec("select state, attempt_id from etl_runs where run_id = $1 for update", {run_id});
        const auto moved = c.exec(
            "update etl_runs set state = 'queued', attempt_id = null, lease_until = null, worker_id = null, "
            "available_at = now(),"
            " spared = spared + 1 where run_id = $1 and attempt_id = $2 and state = 'running'",
            {run_id, attempt_id}
        );
        if (moved.affected() > 0 || !decided_by(run, attempt_id)) {
            end_attempt_row(c, run_id, attempt_id, moved.affected() > 0 ? "released" : "superseded", std::nullopt);
        }
    });
}

void fail_unclaimed(Connection& db, std::string_view run_id, const Error& error) {
    db.exec(
        "update etl_runs set state = 'failed', finished_at = now(), error = $2 where run_id = $1 and state = 'queued'",
        {run_id, error_json(error, "", 0)}
    );
}

namespace {

// One dead run, under its row lock; the state is looked at again because the worker may have come back.
std::optional<Reaped> reap_one(Connection& c, std::string_view run_id, std::string_view attempt_id) {
    const auto run = c.exec(
        "select pipeline, crash_count, cancel_requested from etl_runs where run_id = $1 and attempt_id = $2"
        " and state = 'running' for update skip locked",
        {run_id, attempt_id}
    );
    if (run.empty()) {
        return std::nullopt;
    }
    const auto pipeline = std::string(run.text(0, "pipeline"));
    const auto crashes = run.integer(0, "crash_count") + 1;
    const Error died(
        ErrorKind::transient,
        "run.worker_died",
        fmt::format("the worker died during the run (death {} of {})", crashes, crash_limit)
    );
    const auto details = error_json(died, "", 0);
    end_attempt_row(c, run_id, attempt_id, "died", details);
    if (run.boolean(0, "cancel_requested")) {
        finish_cancelled(c, run_id);
        return Reaped{std::string(run_id), pipeline, "cancelled"};
    }
    if (crashes >= crash_limit) {
        const Error poison(
            ErrorKind::permanent, "run.quarantined", fmt::format("{} workers died during this run", crashes)
        );
        c.exec(
            "update etl_runs set state = 'quarantined', crash_count = $3, finished_at = now(), lease_until = null, "
            "error = $4,"
            " reason = $5 where run_id = $1 and attempt_id = $2 and state = 'running'",
            {run_id, attempt_id, crashes, error_json(poison, "", 0), poison.message()}
        );
        c.exec(
            "update etl_pipelines set paused = true, paused_by = 'headrace', paused_at = now(), pause_reason = $2,"
            " version = version + 1 where name = $1 and not paused",
            {pipeline, fmt::format("run {} was quarantined: {} workers died during it", run_id, crashes)}
        );
        return Reaped{std::string(run_id), pipeline, "quarantined"};
    }
    // A death is no try of the pipeline's own: it is counted by crash_count.
    c.exec(
        "update etl_runs set state = 'queued', crash_count = $3, attempt_id = null, lease_until = null, worker_id = "
        "null, error = $4,"
        " available_at = now(), spared = spared + 1, sends = sends + 1, job_timestamp = 0,"
        " job_id = 'run-' || run_id || '-' || (sends + 1) where run_id = $1 and attempt_id = $2 and state = 'running'",
        {run_id, attempt_id, crashes, details}
    );
    c.exec("insert into etl_outbox (run_id) values ($1)", {run_id});
    return Reaped{std::string(run_id), pipeline, "queued"};
}

}  // namespace

std::vector<Reaped> reap(Connection& db) {
    // After a restart of Postgres no lock is held until the workers are back: that is no death. Leases still count.
    const auto dead = db.exec(
        "select run_id, attempt_id from etl_runs r where state = 'running' and (lease_until < now() or"
        " pg_postmaster_start_time() < now() - interval '2 seconds' and not exists (select 1 from pg_locks l where "
        "l.locktype = 'advisory' and l.granted and l.classid = $1::bigint::oid and"
        "  l.objid = r.worker_id::oid and l.database = (select oid from pg_database where datname = "
        "current_database())))",
        {worker_lock_class}
    );
    std::vector<Reaped> moved;
    for (std::size_t i = 0; i < dead.rows(); ++i) {
        db.transaction([&](Connection& c) {
            if (auto one = reap_one(c, dead.text(i, "run_id"), dead.text(i, "attempt_id"))) {
                moved.push_back(std::move(*one));
            }
        });
    }
    return moved;
}

}  // namespace headrace::run
