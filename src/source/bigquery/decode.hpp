// Rows of a page into columns: {"f":[{"v":"1"},{"v":null},…]}, positional. One thread; memory stays between windows.
//
// Errors: source.bad_data (permanent) with row, column and BigQuery's type, e.g. for text that is no JSON, a value that
// does not fit its type, a row with more or fewer values than columns.
#pragma once

#include "data/batch.hpp"
#include "source/bigquery/page.hpp"
#include "source/bigquery/schema.hpp"

#include <cstdint>
#include <memory>

namespace headrace::source::bigquery {

// What is remembered of the rows of one page, however it came in pieces.
struct PageMark {
    std::uint64_t rows = 0;
    std::uint64_t hash = 0;   // of the rows' bytes, in order
    std::uint64_t first = 0;  // hash of the first row
    bool uniform = true;      // all rows are the same: such a page may honestly come twice
    // For a page that is read again: its hash after so many rows.
    std::uint64_t watch = 0;
    std::uint64_t watched = 0;

    void add(std::uint64_t row_hash);
};

class RowDecoder {
public:
    explicit RowDecoder(const Columns& columns);
    ~RowDecoder();
    RowDecoder(const RowDecoder&) = delete;
    RowDecoder& operator=(const RowDecoder&) = delete;

    // Appends the rows of the window, but for the first `skip` of them, to `batch` (columns of schema_of(columns)).
    // `first_row` is the number of the first appended row, for messages. Returns how many rows the window has.
    std::size_t
    decode(const Window& window, std::size_t skip, std::uint64_t first_row, data::Batch& batch, PageMark& mark);

private:
    struct Machine;
    std::unique_ptr<Machine> machine_;
};

}  // namespace headrace::source::bigquery
