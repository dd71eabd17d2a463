// An incremental read as GoogleSQL. Pure. Values travel as named parameters of the cursor's type and never in the SQL.
#pragma once

#include "pipeline/incremental.hpp"
#include "source/bigquery/config.hpp"

namespace headrace::source::bigquery {

// `config` with the question for the largest value of the cursor at or after `range.from`: one row, null when there is
// none. Where the query has @cursor_from and @cursor_to, the upper one is bound to the end of the type.
// Throws source.cursor: an integer that is no INT64.
Config largest_query(Config config, const pipeline::CursorRange& range);

// `config` with the rows of the range, both ends included; `range.to` is set. A query without @cursor_from and
// @cursor_to is wrapped, and its rows come ordered by the cursor: of rows with one key the newest is then the last.
Config range_query(Config config, const pipeline::CursorRange& range);

}  // namespace headrace::source::bigquery
