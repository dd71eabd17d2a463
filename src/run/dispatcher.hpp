// Sends what the outbox holds to the queue: for every unsent row one job {"runId","pipeline","trigger","scheduledFor"}
// with a deterministic id, then marks it sent. Safe to run anywhere, any number of times: the queue ignores an id that
// exists, and a job that comes twice meets the ledger.
#pragma once

#include "postgres/connection.hpp"
#include "run/stores.hpp"

#include <cstddef>

namespace headrace::run {

// Sends at most `limit` rows, oldest first; rows that another process is sending are left to it. Returns how many.
std::size_t dispatch(postgres::Connection& db, RunQueue& queue, std::size_t limit = 100);

}  // namespace headrace::run
