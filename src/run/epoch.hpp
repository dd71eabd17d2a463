// Notices that this Postgres is another one than the one that decided so far (failover to a standby, restore from
// backup) and raises the epoch, so that Redis takes this server's generations although their seq may be smaller.
#pragma once

#include "postgres/connection.hpp"

namespace headrace::run {

// To be called once on every new connection of a long-lived owner. True when the epoch was raised by this call.
bool check_epoch(postgres::Connection& db);

}  // namespace headrace::run
