// Rows in Avro, as a read session sends them, into the same columns and the same values that the pages of REST give.
// Every length and every count is checked against the bytes that are there; a value allocates nothing. One thread.
//
// Errors: those of avro_schema.hpp; source.bad_data (permanent) with row and column for bytes that are no such value;
// source.incomplete (transient) when a response holds fewer or more rows than it says.
#pragma once

#include "data/batch.hpp"
#include "source/bigquery/schema.hpp"

#include <cstdint>
#include <memory>
#include <string_view>

namespace headrace::source::bigquery::storage {

class AvroRows {
public:
    AvroRows(const Columns& columns, std::string_view schema);
    ~AvroRows();
    AvroRows(const AvroRows&) = delete;
    AvroRows& operator=(const AvroRows&) = delete;

    // A response of `rows` rows; `bytes` must live until decode() has returned true. `first_row` is the number of its
    // first row, for messages.
    void begin(std::string_view bytes, std::uint64_t rows, std::uint64_t first_row);

    // Appends rows to `batch` (columns of schema_of(columns)) until it has about `enough` bytes. True: the response is
    // over, and nothing of it is left.
    bool decode(data::Batch& batch, std::size_t enough);

private:
    struct Machine;
    std::unique_ptr<Machine> machine_;
};

}  // namespace headrace::source::bigquery::storage
