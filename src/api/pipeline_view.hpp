// Rows of etl_pipelines, with what their runs say of them, as the Pipeline objects of api/openapi.yaml.
#pragma once

#include "api/json_writer.hpp"
#include "api/schedule_cache.hpp"
#include "postgres/connection.hpp"

#include <boost/json/object.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::api {

struct PipelineRow {
    std::string name;
    boost::json::object summary;  // of the current definition, see etl_pipelines.summary
    bool removed = false;
    bool paused = false;
    std::optional<std::string> paused_by, pause_reason;
    std::optional<Timestamp> paused_at;
    std::optional<std::string> override_cron, override_timezone, override_by;
    std::optional<Timestamp> override_at;
    std::int64_t version = 0;
    Timestamp slots_through;
    Timestamp created_at;
    bool running = false;
    std::optional<Timestamp> waiting_since;  // planned time of the oldest run that nobody takes up
    std::string ended_state;                 // of the last finished run that counts, "" = none
    std::optional<Timestamp> good_at;        // end of the last success
    bool ever_ran = false;                   // a run that is not merely skipped
    std::string watermark;                   // JSON {column, value, at, run}, "" = none
    std::string recent;                      // JSON array of RunMini, oldest first; empty unless asked for
    std::optional<std::int64_t> p50_ms, p95_ms;
};

struct PipelineQuery {
    std::optional<std::string> name;  // this one, even when its file is gone; else all that have a file
    bool with_recent = true;          // recent runs and percentiles
};

std::vector<PipelineRow> read_pipelines(postgres::Connection& db, const PipelineQuery& query);

// failing running late paused healthy never, and since when it is late.
struct PipelineCondition {
    std::string_view state;
    std::optional<Timestamp> late_since;
};

PipelineCondition condition_of(const PipelineRow& row, ScheduleCache& schedules, Timestamp now);

inline constexpr std::string_view pipeline_states[] = {"failing", "running", "late", "paused", "healthy", "never"};

// `last_run`: JSON of a Run or ""; `definition`: the YAML text, left out when nullopt.
void write_pipeline(
    JsonWriter& json,
    const PipelineRow& row,
    const PipelineCondition& condition,
    std::string_view last_run,
    const std::optional<std::string>& definition,
    ScheduleCache& schedules,
    Timestamp now
);

// The newest run that is not skipped, for each pipeline or for the named one: name → JSON of a Run.
std::map<std::string, std::string, std::less<>>
read_last_runs(postgres::Connection& db, const std::optional<std::string>& name);

// The whole Pipeline object; throws pipeline.not_found.
struct PipelineDocument {
    std::int64_t version = 0;
    std::string json;
};

PipelineDocument
read_pipeline(postgres::Connection& db, std::string_view name, ScheduleCache& schedules, Timestamp now);

}  // namespace headrace::api
