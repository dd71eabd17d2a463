// Incremental reads: a run reads the rows whose cursor column lies in a range, and the largest value that it committed
// (the watermark) is where the next one begins. Cursor values travel as canonical text. Pure.
//
//   integer    -12                             int64, uint64 columns
//   date       2026-11-21                      date columns
//   timestamp  2026-11-21T18:00:01.102003Z     timestamp columns; always 6 decimals, UTC
//   text       anything                        string columns, compared byte by byte
#pragma once

#include "data/column.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::pipeline {

enum class CursorKind { integer, date, timestamp, text };

std::string_view to_string(CursorKind kind);
std::optional<CursorKind> parse_cursor_kind(std::string_view word);

// Of a column that is the cursor; nullopt: a column of this kind cannot be one.
std::optional<CursorKind> cursor_kind_of(data::Kind kind);

// `incremental:` of a pipeline file.
struct IncrementalSpec {
    std::string column;
    CursorKind kind = CursorKind::timestamp;  // that of `start`
    std::string start;                        // canonical; the first run begins here
    std::int64_t lag = 0;                     // read again before the watermark: microseconds, days or units
    std::uint64_t chunk_rows = 500'000;       // run/chunks.hpp; 0 = none
};

// What is read: both ends belong to it, but `from` does not when an earlier attempt came as far.
struct CursorRange {
    std::string column;
    CursorKind kind = CursorKind::timestamp;
    std::string from;
    std::optional<std::string> to;  // nullopt: up to what the source has now (Source::restrict fixes it)
    bool behind_from = false;       // begins with the next value; then `to` is known
};

// What people write → canonical text; nullopt when it is no value of this kind.
std::optional<std::string> canonical_cursor(CursorKind kind, std::string_view text);
// The kind that a start value speaks for: digits, a date, a point in time, else text.
CursorKind guess_cursor_kind(std::string_view text);

// Canonical values of one kind: < 0, 0, > 0.
int compare_cursors(CursorKind kind, std::string_view a, std::string_view b);
// `value` − `lag`, not below the smallest value of the kind. Text has no lag.
std::string cursor_minus(CursorKind kind, const std::string& value, std::int64_t lag);

// The value of a row that is not null; `column` is of a kind that can be a cursor.
std::string cursor_value(const data::Column& column, std::size_t row);

// Rows in the order of the cursor: the first of those that share the last row's value. `column` is not empty.
std::size_t begin_of_last_value(const data::Column& column);

inline constexpr std::string_view cursor_from_word = "@cursor_from";
inline constexpr std::string_view cursor_to_word = "@cursor_to";

// Whether the words stand in the SQL, outside of its strings, quoted names and comments.
struct CursorWords {
    bool from = false;
    bool to = false;
};

CursorWords cursor_words(std::string_view sql);
// Puts the literals in the place of the words.
std::string bind_cursor(std::string_view sql, std::string_view from_literal, std::string_view to_literal);

// Where a run stands: the smallest and largest value among the rows that came. Not thread-safe.
class CursorTracker {
public:
    explicit CursorTracker(CursorRange range) : range_(std::move(range)) {}

    // An earlier attempt came so far, or a chunk ends here: from now on only larger values may come.
    void go_behind(const std::string& value) {
        range_.from = value;
        range_.behind_from = true;
        largest_ = value;
    }

    // Throws source.cursor: a value outside of the range (the query compares differently), or a null.
    void see(const data::Column& column, std::uint64_t first_row);

    // "" when no row came.
    const std::string& largest() const { return largest_; }

private:
    CursorRange range_;
    std::string largest_;
};

}  // namespace headrace::pipeline
