#include "api/pipeline_view.hpp"

#include "api/problem.hpp"
#include "api/run_view.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/core.h>

namespace headrace::api {
namespace {

namespace json = boost::json;

constexpr auto slot_grace =
    std::chrono::minutes(2);  // a slot without a run, or a run without a worker, is late after this

// Walks etl_runs_by_pipeline backwards for each pipeline; the open runs come from their own small index.
constexpr std::string_view select_head =
    "select p.*, coalesce(open.running, false) as running, open.waiting_since, ended.state as ended_state, "
    "good.finished_at as good_at,"
    " ran.run_id is not null as ever_ran, (select json_build_object('column', w.cursor_column, 'value', w.value, 'at',"
    " to_char(w.updated_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), 'run', w.run_id)"
    " from etl_watermarks w where w.pipeline = p.name and w.partition = '') as watermark";
constexpr std::string_view select_recent = ", stats.recent, stats.p50, stats.p95";
constexpr std::string_view select_from =
    " from etl_pipelines p"
    " left join (select pipeline, bool_or(state in ('running', 'committed')) as running,"
    "   min(coalesce(slot, queued_at)) filter (where state = 'queued' and attempt = 0 and available_at < now() - "
    "interval '2 minutes')"
    "     as waiting_since"
    "   from etl_runs where state in ('queued', 'running', 'committed') group by pipeline) open on open.pipeline = "
    "p.name"
    " left join lateral (select r.state from etl_runs r where r.pipeline = p.name"
    "   and r.state in ('succeeded', 'failed', 'cancelled', 'quarantined') order by r.queued_at desc, r.run_id desc "
    "limit 1) ended on true"
    " left join lateral (select r.finished_at from etl_runs r where r.pipeline = p.name and r.state = 'succeeded'"
    "   order by r.queued_at desc, r.run_id desc limit 1) good on true"
    " left join lateral (select r.run_id from etl_runs r where r.pipeline = p.name and r.state <> 'skipped'"
    "   order by r.queued_at desc, r.run_id desc limit 1) ran on true";
constexpr std::string_view select_stats =
    " cross join lateral (select"
    "   json_agg(json_build_object('id', x.run_id, 'state', x.state, 'startedAt', to_char(x.started_at at time zone "
    "'UTC',"
    "     'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), 'durationMs', x.ms, 'rows', x.rows_written) order by x.n desc) filter "
    "(where x.n <= 20)"
    "     as recent,"
    "   percentile_disc(0.5) within group (order by x.ms) filter (where x.state = 'succeeded') as p50,"
    "   percentile_disc(0.95) within group (order by x.ms) filter (where x.state = 'succeeded') as p95"
    "   from (select r.run_id, r.state, r.started_at, r.rows_written,"
    "     (extract(epoch from r.finished_at - r.started_at) * 1000)::bigint as ms,"
    "     row_number() over (order by r.queued_at desc, r.run_id desc) as n"
    "     from etl_runs r where r.pipeline = p.name order by r.queued_at desc, r.run_id desc limit 50) x) stats";

std::string text_of(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

const json::object* object_of(const json::object& object, const char* name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_object() ? &value->as_object() : nullptr;
}

const json::array& array_of(const json::object& object, const char* name) {
    static const json::array none;
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_array() ? value->as_array() : none;
}

bool is_enabled(const PipelineRow& row) {
    const auto* value = row.summary.if_contains("enabled");
    return !row.removed && (value == nullptr || !value->is_bool() || value->as_bool());
}

struct Effective {
    std::string cron;
    std::string timezone;
};

// The schedule that the scheduler follows; none when the file has none or is switched off.
std::optional<Effective> effective_schedule(const PipelineRow& row) {
    if (!is_enabled(row)) {
        return std::nullopt;
    }
    if (row.override_cron) {
        return Effective{*row.override_cron, row.override_timezone.value_or("UTC")};
    }
    const auto* file = object_of(row.summary, "schedule");
    if (file == nullptr || text_of(*file, "cron").empty()) {
        return std::nullopt;
    }
    const auto zone = text_of(*file, "timezone");
    return Effective{text_of(*file, "cron"), zone.empty() ? "UTC" : zone};
}

std::optional<Timestamp> late_since(const PipelineRow& row, ScheduleCache& schedules, Timestamp now) {
    if (const auto schedule = effective_schedule(row)) {
        const auto known = schedules.get(schedule->cron, schedule->timezone, now);
        const auto slot = known->cron ? known->cron->next(row.slots_through) : std::nullopt;
        if (slot && *slot < now - slot_grace) {
            return slot;
        }
    }
    if (row.waiting_since) {
        return row.waiting_since;
    }
    const auto* fresh = row.summary.if_contains("freshWithinMs");
    if (fresh != nullptr && fresh->is_int64() && fresh->as_int64() > 0) {
        const auto due = row.good_at.value_or(row.created_at) + std::chrono::milliseconds(fresh->as_int64());
        if (due < now) {
            return due;
        }
    }
    return std::nullopt;
}

std::optional<std::int64_t> integer_or_none(const postgres::Result& rows, std::size_t i, std::string_view column) {
    return rows.is_null(i, column) ? std::nullopt : std::optional(rows.integer(i, column));
}

PipelineRow row_of(const postgres::Result& rows, std::size_t i, bool with_recent) {
    PipelineRow row;
    row.name = rows.text(i, "name");
    row.summary = json::parse(std::string(rows.text(i, "summary"))).as_object();
    row.removed = rows.boolean(i, "removed");
    row.paused = rows.boolean(i, "paused");
    row.paused_by = rows.optional(i, "paused_by");
    row.paused_at = rows.time(i, "paused_at");
    row.pause_reason = rows.optional(i, "pause_reason");
    row.override_cron = rows.optional(i, "override_cron");
    row.override_timezone = rows.optional(i, "override_timezone");
    row.override_by = rows.optional(i, "override_by");
    row.override_at = rows.time(i, "override_at");
    row.version = rows.integer(i, "version");
    row.slots_through = rows.time(i, "slots_through").value_or(Timestamp());
    row.created_at = rows.time(i, "created_at").value_or(Timestamp());
    row.running = rows.boolean(i, "running");
    row.waiting_since = rows.time(i, "waiting_since");
    row.ended_state = rows.text(i, "ended_state");
    row.good_at = rows.time(i, "good_at");
    row.ever_ran = rows.boolean(i, "ever_ran");
    row.watermark = rows.text(i, "watermark");
    if (with_recent) {
        row.recent = rows.is_null(i, "recent") ? "[]" : std::string(rows.text(i, "recent"));
        row.p50_ms = integer_or_none(rows, i, "p50");
        row.p95_ms = integer_or_none(rows, i, "p95");
    }
    return row;
}

std::vector<std::string>
write_schedule(JsonWriter& out, const PipelineRow& row, ScheduleCache& schedules, Timestamp now) {
    out.key("schedule");
    const auto schedule = effective_schedule(row);
    if (!schedule) {
        out.null();
        return {};
    }
    static const json::object none;
    const auto* file = object_of(row.summary, "schedule");
    const auto& spec = file != nullptr ? *file : none;
    const auto known = schedules.get(schedule->cron, schedule->timezone, now);
    const auto word = [&](const char* name, std::string_view otherwise) {
        const auto text = text_of(spec, name);
        return text.empty() ? std::string(otherwise) : text;
    };
    out.begin_object();
    out.key("cron").text(schedule->cron).key("timezone").text(schedule->timezone).key("text").text(known->text);
    out.key("overridden").boolean(row.override_cron.has_value());
    out.key("overriddenBy").text_or_null(row.override_by).key("overriddenAt").time_or_null(row.override_at);
    const auto cron = text_of(spec, "cron");
    out.key("fileCron").text_or_null(cron.empty() ? std::nullopt : std::optional(cron));
    out.key("nextRuns").begin_array();
    for (const auto time : row.paused ? std::vector<Timestamp>() : known->next(now, 5)) {
        out.time(time);
    }
    out.end();
    out.key("catchup").text(word("catchup", "last")).key("overlap").text(word("overlap", "skip"));
    out.end();
    return known->warnings;
}

void write_ends(JsonWriter& out, const PipelineRow& row) {
    static const json::object none;
    const auto* source = object_of(row.summary, "source");
    const auto credential = text_of(source != nullptr ? *source : none, "credential");
    out.key("source").begin_object().key("type").text(text_of(source != nullptr ? *source : none, "type"));
    out.key("credential").text_or_null(credential.empty() ? std::nullopt : std::optional(credential)).end();
    out.key("sinks").begin_array();
    for (const auto& sink : array_of(row.summary, "sinks")) {
        if (!sink.is_object()) {
            continue;
        }
        const auto& members = sink.as_object();
        out.begin_object().key("type").text(text_of(members, "type")).key("as").text(text_of(members, "as"));
        for (const auto* name : {"key", "table"}) {
            if (const auto value = text_of(members, name); !value.empty()) {
                out.key(name).text(value);
            }
        }
        out.end();
    }
    out.end();
}

void write_number_or_null(JsonWriter& out, std::string_view key, std::optional<std::int64_t> value) {
    out.key(key);
    value ? out.number(*value) : out.null();
}

}  // namespace

std::vector<PipelineRow> read_pipelines(postgres::Connection& db, const PipelineQuery& query) {
    std::string sql(select_head);
    sql += query.with_recent ? select_recent : std::string_view();
    sql += select_from;
    sql += query.with_recent ? select_stats : std::string_view();
    std::vector<postgres::Param> params;
    if (query.name) {
        sql += " where p.name = $1";
        params.emplace_back(*query.name);
    } else {
        sql += " where not p.removed order by p.name";
    }
    const auto rows = db.exec(sql, params);
    std::vector<PipelineRow> out;
    out.reserve(rows.rows());
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        out.push_back(row_of(rows, i, query.with_recent));
    }
    return out;
}

PipelineCondition condition_of(const PipelineRow& row, ScheduleCache& schedules, Timestamp now) {
    if (row.paused) {
        return {"paused", std::nullopt};
    }
    if (row.running) {
        return {"running", std::nullopt};
    }
    if (row.ended_state == "failed" || row.ended_state == "quarantined") {
        return {"failing", std::nullopt};
    }
    if (const auto since = late_since(row, schedules, now)) {
        return {"late", since};
    }
    return {row.ever_ran ? "healthy" : "never", std::nullopt};
}

void write_pipeline(
    JsonWriter& out,
    const PipelineRow& row,
    const PipelineCondition& condition,
    std::string_view last_run,
    const std::optional<std::string>& definition,
    ScheduleCache& schedules,
    Timestamp now
) {
    out.begin_object();
    out.key("name").text(row.name);
    out.key("description").text(text_of(row.summary, "description"));
    out.key("owner").text(text_of(row.summary, "owner"));
    out.key("tags").begin_array();
    for (const auto& tag : array_of(row.summary, "tags")) {
        if (tag.is_string()) {
            out.text(std::string_view(tag.as_string().data(), tag.as_string().size()));
        }
    }
    out.end();
    out.key("enabled").boolean(is_enabled(row));
    out.key("paused").boolean(row.paused);
    out.key("pausedBy").text_or_null(row.paused_by).key("pausedAt").time_or_null(row.paused_at);
    out.key("pauseReason").text_or_null(row.pause_reason);
    out.key("state").text(condition.state);
    if (condition.late_since) {
        out.key("lateSince").time(*condition.late_since);
    }
    auto warnings = write_schedule(out, row, schedules, now);
    write_ends(out, row);
    out.key("recent").raw(row.recent.empty() ? std::string_view("[]") : std::string_view(row.recent));
    out.key("lastRun").raw(last_run.empty() ? std::string_view("null") : last_run);
    write_number_or_null(out, "p50Ms", row.p50_ms);
    write_number_or_null(out, "p95Ms", row.p95_ms);
    if (!row.watermark.empty()) {
        out.key("watermark").raw(row.watermark);
    }
    out.key("version").number(row.version);
    if (definition) {
        out.key("definition").text(*definition);
    }
    if (row.removed) {
        warnings.insert(
            warnings.begin(), "The file of this pipeline is gone. Its history stays; it does not run any more."
        );
    }
    out.key("warnings").texts(warnings);
    out.end();
}

std::map<std::string, std::string, std::less<>>
read_last_runs(postgres::Connection& db, const std::optional<std::string>& name) {
    const auto rows = db.exec(
        fmt::format(
            "select {} from etl_pipelines p cross join lateral (select * from etl_runs x where x.pipeline = p.name and "
            "x.state <> 'skipped' order by x.queued_at desc, x.run_id desc limit 1) r where $1::text is null or p.name "
            "= $1",
            run_columns
        ),
        {postgres::Param(name)}
    );
    std::map<std::string, std::string, std::less<>> out;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        JsonWriter run;
        write_run(run, rows, i);
        out.emplace(rows.text(i, "pipeline"), run.take());
    }
    return out;
}

PipelineDocument
read_pipeline(postgres::Connection& db, std::string_view name, ScheduleCache& schedules, Timestamp now) {
    const auto rows = read_pipelines(db, {.name = std::string(name), .with_recent = true});
    if (rows.empty()) {
        throw Problem("pipeline.not_found", fmt::format("there is no pipeline {}", name));
    }
    const auto& row = rows.front();
    const auto text = db.exec(
        "select d.text from etl_definitions d join etl_pipelines p on p.name = d.pipeline and p.definition_version = "
        "d.version "
        "where p.name = $1",
        {name}
    );
    const auto last = read_last_runs(db, row.name);
    JsonWriter json;
    write_pipeline(
        json,
        row,
        condition_of(row, schedules, now),
        last.empty() ? std::string_view() : last.begin()->second,
        text.empty() ? std::string() : std::string(text.text(0, "text")),
        schedules,
        now
    );
    return {row.version, json.take()};
}

}  // namespace headrace::api
