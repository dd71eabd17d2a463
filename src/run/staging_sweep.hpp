// Staging tables of Postgres outputs whose attempt died between its load and its decision.
#pragma once

#include "postgres/connection.hpp"

#include <string>
#include <vector>

namespace headrace::run {

// Drops those whose attempt is over, or unknown, and began more than an hour ago; returns their names. One that
// somebody still uses, or a chunk of a run that may go on (run/chunks.hpp), is left for the next time. Safe to run many
// times at once.
std::vector<std::string> sweep_staging(postgres::Connection& db);

}  // namespace headrace::run
