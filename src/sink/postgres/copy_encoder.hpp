// Columns → the bytes of a binary COPY. Values are exact: what a column of the table cannot hold is refused with row,
// column and value, never rounded or cut. One exception, as in JSON: text that Postgres cannot store (bytes that are
// not UTF-8, NUL) is repaired with U+FFFD and counted.
#pragma once

#include "data/batch.hpp"
#include "sink/postgres/column_type.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::sink::postgres_sink {

struct CopyColumn {
    std::string name;
    Wire wire = Wire::text;
    std::optional<NumericLimits> limits;  // of a numeric(p,s)
    bool never_null = false;              // the table's column is NOT NULL, or it is part of the key
};

// Not thread-safe. Memory: about a megabyte, or one row when that is larger.
class CopyEncoder {
public:
    using Take = std::function<void(std::string_view bytes)>;

    // `take` gets pieces of about half a megabyte. `columns` are those of the batches, in their order.
    CopyEncoder(std::vector<CopyColumn> columns, Take take);

    // Throws sink.invalid for a value that does not fit; what was taken before stays taken.
    void write(const data::Batch& batch);
    void finish();  // the trailer, and what is still here

    std::uint64_t bytes() const { return bytes_ + out_.size(); }

    const std::vector<CopyColumn>& columns() const { return columns_; }

    // Values of a column that were repaired.
    std::uint64_t repaired(std::size_t column) const { return repaired_[column]; }

private:
    void look_at_texts(const data::Batch& batch);
    void check_nulls(const data::Batch& batch) const;
    std::size_t row_size_max(const data::Batch& batch, std::size_t row) const;
    char* put_row(char* out, const data::Batch& batch, std::size_t row);
    char* put_value(char* out, const data::Batch& batch, std::size_t column, std::size_t row);
    char* put_integer(char* out, const data::Batch& batch, std::size_t column, std::size_t row) const;
    char* put_decimal(char* out, const data::Batch& batch, std::size_t column, std::size_t row) const;
    char* put_text(char* out, std::size_t column, std::string_view text);
    [[noreturn]] void refuse(const data::Batch& batch, std::size_t column, std::size_t row, std::string why) const;
    void flush();

    std::vector<CopyColumn> columns_;
    Take take_;
    data::Buffer<char> out_;
    std::string repair_;
    std::vector<std::uint64_t> repaired_;
    std::vector<std::uint8_t> dirty_;  // columns of this batch with a value to be repaired
    std::uint64_t bytes_ = 0;
};

}  // namespace headrace::sink::postgres_sink
