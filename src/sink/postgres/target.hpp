// The table that a sink writes to, as the catalog has it now. Reading takes no locks; the decision compares `shape`
// under its own lock, so that what was planned on is still true when it happens.
#pragma once

#include "postgres/connection.hpp"
#include "sink/postgres/column_type.hpp"
#include "sink/postgres/spec.hpp"

#include <optional>
#include <string>
#include <vector>

namespace headrace::sink::postgres_sink {

struct TargetColumn {
    std::string name;
    std::string sql_type;  // "numeric(12,2)"
    ColumnType type;
    bool not_null = false;
    bool has_default = false;  // also identity
    bool generated = false;    // computed by Postgres: nobody may write it
};

// An index, or a constraint with its index: what a table that takes the other's place must have too.
struct TargetIndex {
    std::string name;
    std::string constraint;  // "PRIMARY KEY (id)"; "" = a plain index
    std::string unique;      // "UNIQUE " or ""
    std::string rest;        // of a plain index, after the table's name: "USING btree (city)"
    std::string comment;     // on the index; "" = none
    std::string constraint_comment;
    std::vector<std::string> columns;  // of one that INSERT … ON CONFLICT may use; else empty
};

struct Grant {
    std::string privilege;  // "SELECT"
    std::string to;         // "reader WITH GRANT OPTION"
};

struct Target {
    std::int64_t oid = 0;
    std::string shape;  // a fingerprint of everything that a plan rests on
    bool partitioned = false;
    std::vector<TargetColumn> columns;
    std::vector<TargetIndex> indexes;
    std::vector<std::string> settings;  // storage parameters, "fillfactor='70'"
    std::vector<Grant> grants;          // but those of the owner
    std::string owner;                  // "" = the role that we are
    std::string comment;
    std::vector<std::string> obstacles;  // why another table cannot take its place: "view v", "trigger x on table y"
    std::vector<std::string> cascades;   // foreign keys that a DELETE would follow

    const TargetColumn* find(std::string_view name) const;
};

// nullopt: there is no such table. Throws sink.invalid when the name belongs to something else (a view).
std::optional<Target> inspect(postgres::Connection& db, const Spec& spec);

// SQL of the fingerprint of the table with this oid; null when it is gone.
std::string shape_sql(std::int64_t oid);

}  // namespace headrace::sink::postgres_sink
