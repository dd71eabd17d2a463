// An incremental read as ClickHouse SQL. Pure text. Literals and not parameters, because servers before 19.14 have
// none.
#pragma once

#include "pipeline/incremental.hpp"

#include <string>
#include <string_view>

namespace headrace::source::clickhouse {

// One row with the largest value of the cursor at or after `range.from`; no row when there is none. `server_major`: 20
// and later know times with fractions of a second.
std::string largest_sql(std::string_view query, const pipeline::CursorRange& range, int server_major);

// The rows of the range, both ends included. Where the query has no @cursor_from and @cursor_to it is wrapped, and its
// rows come ordered by the cursor: of rows with one key the newest is then the last.
std::string range_sql(std::string_view query, const pipeline::CursorRange& range, int server_major);

}  // namespace headrace::source::clickhouse
