// Some rows in columnar form: the unit that flows from source through transforms and checks to the sinks.
// Bounded by bytes, not by rows (a source stops filling at about `target_bytes`), and reused: clear() keeps the memory.
// Belongs to one thread at a time; handed over by std::move or through a bounded queue.
#pragma once

#include "data/column.hpp"
#include "data/schema.hpp"

#include <cstdint>
#include <vector>

namespace headrace::data {

// A source aims at this many bytes per batch; a single larger row makes a larger batch.
inline constexpr std::size_t target_batch_bytes = 1 << 20;

class Batch {
public:
    Batch() = default;

    explicit Batch(const Schema& schema) { reset(schema); }

    // Drops all rows and takes the columns of `schema`. Memory of columns in the same place is kept.
    void reset(const Schema& schema);
    void clear();  // drops all rows, keeps schema and memory

    const Schema& schema() const { return schema_; }

    std::size_t rows() const { return columns_.empty() ? 0 : columns_.front().size(); }

    std::size_t bytes() const;

    std::size_t width() const { return columns_.size(); }

    Column& column(std::size_t i) { return columns_[i]; }

    const Column& column(std::size_t i) const { return columns_[i]; }

    // Number of the first row within the attempt (0-based).
    std::uint64_t first_row = 0;

    // Which row of the source, counted from 0, is row `i` of this batch: filters do not change the answer.
    std::uint64_t source_row(std::size_t i) const { return first_row + (origins_.empty() ? i : origins_[i]); }

    void filter(const std::uint8_t* keep);                                   // see Column::filter
    void truncate(std::size_t rows);                                         // keeps the first rows
    void append_rows(const Batch& other, std::size_t from, std::size_t to);  // of a batch with the same schema

    // For transforms; each keeps schema and columns in step. A column that goes leaves its memory for the next reset().
    void rename(std::size_t i, std::string name) { schema_.fields[i].name = std::move(name); }

    void drop(std::size_t i);
    Column& add(const Field& field);  // a new last column; the caller fills it with rows() values
    void replace(std::size_t i, const Field& field, Column&& column);  // `column` gets the old one
    void select(const std::vector<std::size_t>& order);  // keeps these columns in this order; no index twice

private:
    Column take_spare(Kind kind);

    Schema schema_;
    std::vector<Column> columns_;
    std::vector<Column> spare_;           // memory of columns that transforms took away
    std::vector<std::uint32_t> origins_;  // row before the first filter; empty = none was used
};

}  // namespace headrace::data
