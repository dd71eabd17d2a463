// The SQL of one attempt: its staging, its keys, and what the decision runs. Pure text from a plan.
#pragma once

#include "sink/postgres/plan.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace headrace::sink::postgres_sink {

// A staged result: table in the staging schema, its size on disk when it was sealed (another one where Postgres
// was replaced by one that knows less), rows; and tables of chunks that it was made from.
struct Staged {
    std::string table;
    std::uint64_t size = 0;
    std::uint64_t rows = 0;
    std::vector<std::string> chunks = {};
};

// Makes the staging table; in one transaction with the COPY (FREEZE).
std::vector<std::string> create_statements(const Plan& plan, const std::string& table);
std::string copy_statement(const Plan& plan, const std::string& table);

// All rows of one staging table behind those of another.
std::string gather_statement(const Plan& plan, const std::string& from, const std::string& into);

// After the COPY, in its transaction: keys and indexes. Of rows that share a key the last one stays; how many went is
// then in the setting `headrace.repeated`.
std::vector<std::string> key_statements(const Plan& plan, const std::string& table);

// For the decision (pipeline::Manifest::statements): everything or nothing, and only if the staging is whole and the
// table still is what the plan was made on; else they raise 40001, so that the attempt is made again.
std::vector<std::string> decision_statements(const Plan& plan, const Staged& staged);

}  // namespace headrace::sink::postgres_sink
