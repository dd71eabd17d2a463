// Notices that this Postgres is another one than the one that decided so far (failover to a standby, restore from
// backup) and raises the epoch, so that Redis takes this server's generations although their seq may be smaller.
#pragma once

#include "postgres/connection.hpp"

#include <cstdint>
#include <string_view>

namespace headrace::run {

// To be called once on every new connection of a long-lived owner. True when the epoch was raised by this call.
bool check_epoch(postgres::Connection& db);

// The same for what identifiers do not show (a dump restored into the same server, a crash without fsync): Redis has a
// generation of the output that Postgres, looked at afterwards, never decided. True when the epoch was raised.
bool raise_epoch_over(
    postgres::Connection& db,
    std::int64_t output_id,
    std::int64_t epoch,
    std::int64_t seq,
    std::string_view run_id
);

}  // namespace headrace::run
