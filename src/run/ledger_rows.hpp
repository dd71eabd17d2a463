// Writes to the ledger's rows that several moves share; each within the caller's transaction, under the run's row lock.
#pragma once

#include "postgres/connection.hpp"
#include "run/decision.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace headrace::run {

// Locks the run's row (NO KEY: log lines and steps of the run refer to it, and can be written meanwhile).
enum class Owned { yes, cancelled, no };  // cancelled: the attempt's, but somebody wants it to end
Owned own_run(postgres::Connection& db, std::string_view run_id, std::string_view attempt_id);

// After own_run: locks the rows of the outputs, in the order of their ids. False: another attempt is the owner of one.
bool own_outputs(postgres::Connection& db, const std::vector<std::int64_t>& output_ids, std::string_view attempt_id);

void write_counters(postgres::Connection& db, std::string_view run_id, const Counters& c);

// queued, running → cancelled.
void finish_cancelled(postgres::Connection& db, std::string_view run_id);

}  // namespace headrace::run
