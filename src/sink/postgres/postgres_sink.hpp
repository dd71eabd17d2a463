// Tables in headrace's own Postgres. Rows go by binary COPY into a staging table of the attempt, in a transaction of
// its own; what readers see changes in the decision and nowhere else (pipeline::Manifest::statements): the run is
// committed and its rows are in the table, or neither.
//
//   mode: append    adds the rows; with a key only those whose key is not there yet
//   mode: merge     UPDATE of what differs, INSERT of what is missing; of rows with one key the last one counts
//   mode: replace   the staging takes the table's place; where a view, a foreign key or the like holds on to the table,
//                   DELETE and INSERT instead
//
// A table that is missing is made from the columns; columns that are new are added; nothing is dropped.
#pragma once

#include "pipeline/registry.hpp"
#include "postgres/connection.hpp"

namespace headrace::sink::postgres_sink {

// `db` is the ledger's database (DATABASE_URL).
pipeline::SinkType type(postgres::ConnectOptions db);

}  // namespace headrace::sink::postgres_sink
