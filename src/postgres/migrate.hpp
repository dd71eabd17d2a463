// Schema migrations: migrations/NNNN_name.sql, embedded in the binary, each applied once in one transaction, all under
// one advisory lock so that any number of processes may start at once.
//
// Upgrades without a pause: a migration that only adds what older programs may pass over (a nullable column or one with
// a default, a table, an index) says so in its first line, "-- oldest program: N" with the number of the newest
// migration that these programs know. They then go on, and may be started again, beside newer ones. Without that line
// they are refused.
#pragma once

#include "postgres/connection.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace headrace::postgres {

struct Migration {
    int number = 0;
    std::string name;  // "0001_init"
};

// What a migration's first line says of the programs that can work with it; without one its own number.
int oldest_program(std::string_view name, std::string_view content);

// Applies what is missing; returns what it applied. Throws postgres.schema when the database needs a newer program or
// when an applied file was changed afterwards.
std::vector<Migration> migrate(Connection& connection);

// Throws postgres.schema when a migration is missing, or when the database needs a newer program (worker and api check
// at start).
void require_schema(Connection& connection);

}  // namespace headrace::postgres
