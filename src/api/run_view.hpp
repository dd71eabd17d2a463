// Rows of etl_runs as the Run objects of api/openapi.yaml.
#pragma once

#include "api/json_writer.hpp"
#include "postgres/connection.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::api {

// The select list that write_run needs; the table's alias must be r.
extern const std::string_view run_columns;

// A whole Run object.
void write_run(JsonWriter& json, const postgres::Result& rows, std::size_t row);
// Its members only, into an object that the caller has begun.
void write_run_members(JsonWriter& json, const postgres::Result& rows, std::size_t row);

// One run as it is now; throws run.not_found, also for an id that is no UUID.
postgres::Result read_run(postgres::Connection& db, std::string_view id);
std::string run_json(postgres::Connection& db, std::string_view id);

// data of a run.state event: {"run":…,"lastLogSeq":n}
struct RunEvent {
    std::string id;
    std::string state;
    std::string data;
};

// For those of the ids that exist; one query.
std::vector<RunEvent> read_run_events(postgres::Connection& db, const std::vector<std::string>& ids);

// The run that keeps this pipeline busy, for 409 run.already_active.
std::optional<std::string> active_run(postgres::Connection& db, std::string_view pipeline);

}  // namespace headrace::api
