// Schema migrations: migrations/NNNN_name.sql, embedded in the binary, each applied once in one transaction, all under
// one advisory lock so that any number of processes may start at once.
#pragma once

#include "postgres/connection.hpp"

#include <string>
#include <vector>

namespace headrace::postgres {

struct Migration {
    int number = 0;
    std::string name;  // "0001_init"
};

// Applies what is missing; returns what it applied. Throws postgres.schema when the database is newer than this program
// or when an applied file was changed afterwards.
std::vector<Migration> migrate(Connection& connection);

// Throws postgres.schema when a migration is missing (worker and api check at start).
void require_schema(Connection& connection);

}  // namespace headrace::postgres
