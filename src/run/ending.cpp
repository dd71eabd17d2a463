#include "run/ending.hpp"

#include "run/chunks.hpp"
#include "run/ledger_rows.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/core.h>

#include <random>

namespace headrace::run {
namespace {

namespace json = boost::json;
using postgres::Connection;

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

// Of `etl_runs r`; $1 is worker_lock_class. After a restart of Postgres no lock is held until the workers are back:
// that is no death. Leases still count. Asked again with the row locked: the lease may have been renewed in between.
constexpr std::string_view is_dead =
    "r.state = 'running' and (r.lease_until < now() or pg_postmaster_start_time() < now() - interval '2 seconds' and"
    " not exists (select 1 from pg_locks l where l.locktype = 'advisory' and l.granted and l.classid = $1::bigint::oid"
    " and l.objid = r.worker_id::oid and l.database = (select oid from pg_database where datname ="
    " current_database())))";

// One dead run, under its row lock; the state is looked at again because the worker may have come back.
std::optional<Reaped> reap_one(Connection& c, std::string_view run_id, std::string_view attempt_id) {
    const auto run = c.exec(
        fmt::format(
            "select pipeline, crash_count, cancel_requested from etl_runs r where run_id = $2 and attempt_id = $3"
            " and {} for update skip locked",
            is_dead
        ),
        {worker_lock_class, run_id, attempt_id}
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
        if (end.error.code() == "run.chunks") {
            forget_chunks(c, run_id);
        }
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

std::vector<Reaped> reap(Connection& db) {
    const auto dead =
        db.exec(fmt::format("select run_id, attempt_id from etl_runs r where {}", is_dead), {worker_lock_class});
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
