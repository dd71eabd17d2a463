#include "api/run_view.hpp"

#include "api/problem.hpp"
#include "base/ids.hpp"

#include <fmt/core.h>

namespace headrace::api {

const std::string_view run_columns =
    "r.run_id, r.pipeline, r.state, r.trigger, r.triggered_by, r.trigger_reason, r.retry_of, r.forced, r.slot, "
    "r.attempt,"
    " r.attempt - r.spared as tries, r.max_attempts, r.crash_count, r.cancel_requested, r.queued_at, r.started_at, "
    "r.finished_at, r.available_at, "
    "r.rows_read,"
    " r.rows_written, r.rows_rejected, r.rows_filtered, r.bytes_read, r.bytes_written, r.worker, r.reason, r.error,"
    " r.definition_version, r.backfill, r.cursor_range, (extract(epoch from r.finished_at - r.started_at) * "
    "1000)::bigint as duration_ms";

namespace {

void write_trigger(JsonWriter& json, const postgres::Result& rows, std::size_t row) {
    json.key("trigger").begin_object();
    json.key("kind").text(rows.text(row, "trigger"));
    const auto by = rows.text(row, "triggered_by");
    json.key("by");
    by.empty() ? json.null() : json.text(by);
    if (!rows.is_null(row, "retry_of")) {
        json.key("retryOf").text(rows.text(row, "retry_of"));
    }
    if (!rows.is_null(row, "trigger_reason")) {
        json.key("reason").text(rows.text(row, "trigger_reason"));
    }
    if (rows.boolean(row, "forced")) {
        json.key("force").boolean(true);
    }
    json.end();
}

}  // namespace

void write_run_members(JsonWriter& json, const postgres::Result& rows, std::size_t row) {
    json.key("id").text(rows.text(row, "run_id"));
    json.key("pipeline").text(rows.text(row, "pipeline"));
    json.key("state").text(rows.text(row, "state"));
    write_trigger(json, rows, row);
    if (const auto slot = rows.time(row, "slot")) {
        json.key("slot").time(*slot);
    }
    json.key("attempt").number(rows.integer(row, "attempt"));
    json.key("tries").number(rows.integer(row, "tries"));
    json.key("maxAttempts").number(rows.integer(row, "max_attempts"));
    json.key("crashCount").number(rows.integer(row, "crash_count"));
    json.key("cancelRequested").boolean(rows.boolean(row, "cancel_requested"));
    json.key("queuedAt").time_or_null(rows.time(row, "queued_at"));
    json.key("startedAt").time_or_null(rows.time(row, "started_at"));
    json.key("finishedAt").time_or_null(rows.time(row, "finished_at"));
    json.key("durationMs");
    rows.is_null(row, "duration_ms") ? json.null() : json.number(rows.integer(row, "duration_ms"));
    json.key("rowsRead").number(rows.integer(row, "rows_read"));
    json.key("rowsWritten").number(rows.integer(row, "rows_written"));
    json.key("rowsRejected").number(rows.integer(row, "rows_rejected"));
    json.key("rowsFiltered").number(rows.integer(row, "rows_filtered"));
    json.key("bytesRead").number(rows.integer(row, "bytes_read"));
    json.key("bytesWritten").number(rows.integer(row, "bytes_written"));
    json.key("worker").text_or_null(rows.optional(row, "worker"));
    if (!rows.is_null(row, "reason")) {
        json.key("reason").text(rows.text(row, "reason"));
    }
    if (!rows.is_null(row, "error")) {
        json.key("error").raw(rows.text(row, "error"));
    }
    for (const auto& [name, column] : {std::pair{"backfill", "backfill"}, std::pair{"cursor", "cursor_range"}}) {
        if (!rows.is_null(row, column)) {
            json.key(name).raw(rows.text(row, column));
        }
    }
    const auto available = rows.time(row, "available_at");
    if (available && rows.text(row, "state") == "queued" && rows.integer(row, "attempt") > 0) {
        json.key("retryAt").time(*available);
    }
}

void write_run(JsonWriter& json, const postgres::Result& rows, std::size_t row) {
    json.begin_object();
    write_run_members(json, rows, row);
    json.end();
}

postgres::Result read_run(postgres::Connection& db, std::string_view id) {
    if (is_uuid(id)) {
        auto rows = db.exec(fmt::format("select {} from etl_runs r where r.run_id = $1", run_columns), {id});
        if (!rows.empty()) {
            return rows;
        }
    }
    throw Problem("run.not_found", fmt::format("there is no run {}", id));
}

std::string run_json(postgres::Connection& db, std::string_view id) {
    JsonWriter json;
    write_run(json, read_run(db, id), 0);
    return json.take();
}

std::vector<RunEvent> read_run_events(postgres::Connection& db, const std::vector<std::string>& ids) {
    std::vector<RunEvent> out;
    if (ids.empty()) {
        return out;
    }
    const auto rows = db.exec(
        fmt::format(
            "select {}, coalesce((select max(seq) from etl_logs l where l.run_id = r.run_id), 0) as last_seq from "
            "etl_runs r "
            "where r.run_id = any ($1::uuid[])",
            run_columns
        ),
        {postgres::Param::array(ids)}
    );
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        JsonWriter json;
        json.begin_object().key("run");
        write_run(json, rows, i);
        json.key("lastLogSeq").number(rows.integer(i, "last_seq")).end();
        out.push_back({std::string(rows.text(i, "run_id")), std::string(rows.text(i, "state")), json.take()});
    }
    return out;
}

std::optional<std::string> active_run(postgres::Connection& db, std::string_view pipeline) {
    const auto rows = db.exec(
        "select run_id from etl_runs where pipeline = $1 and state in ('queued', 'running', 'committed') order by "
        "queued_at limit 1",
        {pipeline}
    );
    return rows.empty() ? std::nullopt : rows.optional(0, "run_id");
}

}  // namespace headrace::api
