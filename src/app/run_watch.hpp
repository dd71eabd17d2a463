// Follows a run in Postgres until it is over.
#pragma once

#include "base/stop.hpp"
#include "postgres/connection.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace headrace::app {

struct RunView {
    std::string run_id;
    std::string pipeline;
    std::string state;
    std::int64_t rows = 0;
    std::int64_t rows_read = 0;
    std::int64_t bytes = 0;
    std::int64_t duration_ms = 0;
    std::int64_t peak_rss = 0;
    std::string error;    // "code: message" and the hint, "" when none
    std::string outputs;  // keys, comma separated
};

RunView view_run(postgres::Connection& db, std::string_view run_id);

// Looks several times a second; `progress` is called after each look.
RunView watch_run(
    postgres::Connection& db,
    std::string_view run_id,
    const StopToken& stop,
    const std::function<void(const RunView&)>& progress = {}
);

}  // namespace headrace::app
