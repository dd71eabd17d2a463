// Sends what the outbox holds to the queue: for every unsent row one BullMQ job {"runId","pipeline","trigger",
// "scheduledFor"} with a deterministic id, then marks it sent. Safe to run anywhere, any number of times: BullMQ
// ignores an id that exists, and a job that comes twice meets the ledger.
#pragma once

#include "bullmq/queue.hpp"
#include "postgres/connection.hpp"

#include <cstddef>

namespace headrace::run {

// Sends at most `limit` rows, oldest first; rows that another process is sending are left to it. Returns how many.
std::size_t dispatch(postgres::Connection& db, bullmq::Queue& queue, std::size_t limit = 100);

}  // namespace headrace::run
