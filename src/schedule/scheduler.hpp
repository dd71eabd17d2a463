// Turns planned times into run rows. One tick is safe to run in any number of processes at once: the pipeline row is
// locked, slots are unique, and the next time is computed from what is in Postgres, never chained. All times are
// Postgres' now().
#pragma once

#include "base/time.hpp"
#include "postgres/connection.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace headrace::schedule {

struct Planned {
    std::string run_id;
    std::string pipeline;
    bool skipped = false;  // recorded with its reason, not run
};

struct Tick {
    std::vector<Planned> planned;
    // Until the next slot of any pipeline, at most one second.
    std::chrono::milliseconds wait{1000};
};

Tick tick(postgres::Connection& db);

}  // namespace headrace::schedule
