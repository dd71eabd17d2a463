#include "run/control.hpp"

#include "base/ids.hpp"
#include "base/killpoint.hpp"
#include "pipeline/incremental.hpp"
#include "run/states.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fmt/core.h>

namespace headrace::run {
namespace {

namespace json = boost::json;
using postgres::Connection;

void audit(
    Connection& db,
    std::string_view actor,
    std::string_view action,
    std::string_view object,
    const json::object& detail
) {
    db.exec(
        "insert into etl_audit (actor, action, object, detail) values ($1, $2, $3, $4)",
        {actor, action, object, json::serialize(detail)}
    );
}

Error not_found(std::string_view pipeline) {
    return {ErrorKind::invalid, "pipeline.not_found", fmt::format("there is no pipeline {}", pipeline)};
}

// The summary that the loader of the definition wrote.
json::object summary_of(const postgres::Result& row) {
    return json::parse(std::string(row.text(0, "summary"))).as_object();
}

std::string overlap_of(const json::object& summary) {
    const auto* schedule = summary.if_contains("schedule");
    if (schedule != nullptr && schedule->is_object() && schedule->as_object().contains("overlap")) {
        return std::string(schedule->as_object().at("overlap").as_string());
    }
    return "skip";
}

void refuse_when_busy(Connection& db, std::string_view pipeline) {
    const auto open = db.exec(
        "select run_id, state from etl_runs where pipeline = $1 and state in ('queued', 'running', 'committed') limit "
        "1",
        {pipeline}
    );
    if (!open.empty()) {
        throw Error(
            ErrorKind::invalid,
            "run.already_active",
            fmt::format("run {} of {} is {}", open.text(0, "run_id"), pipeline, open.text(0, "state"))
        );
    }
}

// As JSON for etl_runs.backfill, with canonical ends. `summary` is that of the definition that will run.
std::optional<std::string>
backfill_json(const std::optional<Backfill>& backfill, std::string_view pipeline, const json::object& summary) {
    if (!backfill) {
        return std::nullopt;
    }
    const auto refuse = [](std::string message) { return Error(ErrorKind::invalid, "run.range", std::move(message)); };
    const auto* incremental = summary.if_contains("incremental");
    if (incremental == nullptr || !incremental->is_object()) {
        throw refuse(fmt::format("{} is not incremental: every run of it reads everything", pipeline));
    }
    const auto word = std::string_view(incremental->as_object().at("kind").as_string());
    const auto kind = pipeline::parse_cursor_kind(word).value();
    const auto from = pipeline::canonical_cursor(kind, backfill->from);
    const auto to = pipeline::canonical_cursor(kind, backfill->to);
    if (!from || !to) {
        throw refuse(fmt::format(
            "`{}: {}` is no {}, which the cursor `{}` is",
            !from ? "from" : "to",
            !from ? backfill->from : backfill->to,
            word,
            std::string_view(incremental->as_object().at("cursor").as_string())
        ));
    }
    if (pipeline::compare_cursors(kind, *from, *to) > 0) {
        throw refuse(fmt::format("the range ends at {}, before it begins at {}", *to, *from));
    }
    return json::serialize(json::object{{"from", *from}, {"to", *to}});
}

Triggered insert_run(Connection& db, const TriggerRequest& request) {
    // The pipeline row serialises triggers of one pipeline: two at once cannot both see "nothing active".
    const auto row = db.exec(
        "select paused, removed, definition_version, summary from etl_pipelines where name = $1 for update",
        {request.pipeline}
    );
    if (row.empty() || row.boolean(0, "removed")) {
        throw not_found(request.pipeline);
    }
    if (request.idempotency_key) {
        const auto known = db.exec(
            "select run_id from etl_runs where pipeline = $1 and idempotency_key = $2",
            {request.pipeline, *request.idempotency_key}
        );
        if (!known.empty()) {
            return {std::string(known.text(0, "run_id")), false};
        }
    }
    if (row.boolean(0, "paused") && !request.forced && request.trigger != "republish") {
        throw Error(ErrorKind::invalid, "pipeline.paused", fmt::format("pipeline {} is paused", request.pipeline));
    }
    const auto summary = summary_of(row);
    if (overlap_of(summary) == "skip") {
        refuse_when_busy(db, request.pipeline);
    }
    auto backfill = backfill_json(request.backfill, request.pipeline, summary);
    if (!backfill && request.retry_of) {  // the same range again
        const auto before = db.exec("select backfill from etl_runs where run_id = $1", {*request.retry_of});
        backfill = before.empty() ? std::nullopt : before.optional(0, "backfill");
    }
    const auto run_id = make_uuid_v7();
    const auto* attempts = summary.if_contains("maxAttempts");
    db.exec(
        "insert into etl_runs (run_id, pipeline, definition_version, idempotency_key, trigger, triggered_by, "
        "trigger_reason, retry_of,"
        " forced, job_id, max_attempts, backfill) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        {run_id,
         request.pipeline,
         row.text(0, "definition_version"),
         request.idempotency_key,
         request.trigger,
         request.by,
         request.reason,
         request.retry_of,
         request.forced,
         "run-" + run_id,
         attempts != nullptr && attempts->is_int64() ? attempts->as_int64() : std::int64_t{3},
         backfill}
    );
    db.exec("insert into etl_outbox (run_id) values ($1)", {run_id});
    audit(
        db,
        request.by,
        "run.trigger",
        request.pipeline,
        {{"run", run_id}, {"trigger", request.trigger}, {"forced", request.forced}}
    );
    return {run_id, true};
}

}  // namespace

Triggered trigger_run(Connection& db, const TriggerRequest& request) {
    Triggered done;
    db.transaction([&](Connection& c) { done = insert_run(c, request); });
    return done;
}

std::string cancel_run(Connection& db, std::string_view run_id, std::string_view by) {
    std::string state;
    db.transaction([&](Connection& c) {
        const auto row = c.exec("select state, pipeline from etl_runs where run_id = $1 for update", {run_id});
        if (row.empty()) {
            throw Error(ErrorKind::invalid, "run.not_found", fmt::format("there is no run {}", run_id));
        }
        state = std::string(row.text(0, "state"));
        if (state == "cancelled") {
            return;
        }
        if (state != "queued" && state != "running") {
            throw Error(ErrorKind::invalid, "run.not_cancellable", fmt::format("the run is already {}", state));
        }
        if (state == "queued") {
            c.exec(
                "update etl_runs set state = 'cancelled', cancel_requested = true, cancelled_by = $2, finished_at = "
                "now(),"
                " reason = $3 where run_id = $1 and state = 'queued'",
                {run_id, by, fmt::format("cancelled by {}", by)}
            );
            state = "cancelled";
        } else {
            c.exec(
                "update etl_runs set cancel_requested = true, cancelled_by = coalesce(cancelled_by, $2) where run_id = "
                "$1 and "
                "state = 'running'",
                {run_id, by}
            );
        }
        audit(c, by, "run.cancel", row.text(0, "pipeline"), {{"run", std::string(run_id)}});
    });
    return state;
}

Triggered
retry_run(Connection& db, std::string_view run_id, std::string_view by, std::optional<std::string> idempotency_key) {
    const auto row = db.exec("select pipeline from etl_runs where run_id = $1", {run_id});
    if (row.empty()) {
        throw Error(ErrorKind::invalid, "run.not_found", fmt::format("there is no run {}", run_id));
    }
    return trigger_run(
        db,
        {.pipeline = std::string(row.text(0, "pipeline")),
         .trigger = "retry",
         .by = std::string(by),
         .reason = std::nullopt,
         .idempotency_key = std::move(idempotency_key),
         .retry_of = std::string(run_id)}
    );
}

std::optional<std::int64_t> change_pipeline(
    Connection& db,
    std::string_view pipeline,
    std::int64_t version,
    const PipelineChange& change,
    std::string_view by
) {
    std::optional<std::int64_t> now_at;
    db.transaction([&](Connection& c) {
        now_at.reset();
        const auto row = c.exec(
            "select version, paused, summary, removed from etl_pipelines where name = $1 for update", {pipeline}
        );
        if (row.empty() || row.boolean(0, "removed")) {
            throw not_found(pipeline);
        }
        if (row.integer(0, "version") != version) {
            return;
        }
        json::object detail;
        if (change.paused && *change.paused) {
            c.exec(
                "update etl_pipelines set paused = true, paused_by = $2, paused_at = now(), pause_reason = $3 where "
                "name = $1",
                {pipeline, by, change.reason}
            );
            detail["paused"] = true;
        } else if (change.paused && row.boolean(0, "paused")) {
            // Silence while paused was wanted: planned times of that span are not made up for.
            c.exec(
                "update etl_pipelines set paused = false, paused_by = null, paused_at = null, pause_reason = null,"
                " slots_through = now() where name = $1",
                {pipeline}
            );
            detail["paused"] = false;
        }
        if (change.revert_schedule) {
            c.exec(
                "update etl_pipelines set override_cron = null, override_timezone = null, override_by = null, "
                "override_at = null,"
                " slots_through = now() where name = $1",
                {pipeline}
            );
            detail["schedule"] = nullptr;
        } else if (change.cron) {
            c.exec(
                "update etl_pipelines set override_cron = $2, override_timezone = $3, override_by = $4, override_at = "
                "now(),"
                " slots_through = now() where name = $1",
                {pipeline, *change.cron, change.timezone.value_or("UTC"), by}
            );
            detail["schedule"] = {{"cron", *change.cron}, {"timezone", change.timezone.value_or("UTC")}};
        }
        now_at =
            c.exec(
                 "update etl_pipelines set version = version + 1, updated_at = now() where name = $1 returning version",
                 {pipeline}
            )
                .integer(0, "version");
        HEADRACE_POINT("A5");
        audit(c, by, "pipeline.change", pipeline, detail);
    });
    return now_at;
}

}  // namespace headrace::run
