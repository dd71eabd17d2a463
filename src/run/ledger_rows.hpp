// Writes to the ledger's rows that several moves share; each within the caller's transaction, under the run's row lock.
#pragma once

#include "postgres/connection.hpp"
#include "run/decision.hpp"

#include <string_view>

namespace headrace::run {

void write_counters(postgres::Connection& db, std::string_view run_id, const Counters& c);

// queued, running → cancelled.
void finish_cancelled(postgres::Connection& db, std::string_view run_id);

}  // namespace headrace::run
