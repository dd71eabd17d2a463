// ClickHouse's `Native` format, as it is sent over HTTP (no block info, no serialization byte): blocks of columns.
//   block  = varint columns, varint rows, columns × (text name, text type, data of all rows)
// Layout of each type: README.md. Every length is checked before memory is taken: never more than what was received
// plus max_block_bytes. Belongs to one thread.
#pragma once

#include "data/batch.hpp"
#include "source/clickhouse/byte_reader.hpp"
#include "source/clickhouse/type.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace headrace::source::clickhouse {

struct DecodeOptions {
    std::size_t max_block_bytes = 64u << 20;  // of one decoded block; at most 1 GiB
    // Servers before 20 write a dictionary even for a LowCardinality with no values (in empty arrays).
    bool empty_dictionaries = false;
};

// How much one block may still grow.
class Budget {
public:
    explicit Budget(std::size_t most) : most_(most) {}

    void begin() { used_ = 0; }

    // Throws Error{permanent, "source.bad_data"}.
    void spend(std::uint64_t bytes) {
        if (bytes > most_ - used_) {
            refuse(bytes);
        }
        used_ += static_cast<std::size_t>(bytes);
    }

private:
    [[noreturn]] void refuse(std::uint64_t bytes) const;

    std::size_t most_;
    std::size_t used_ = 0;
};

// Reads what stands before the data of a column (the versions of dictionaries), then `rows` values into `out`, which
// has the kind of `type` and is empty.
void read_prefix(ByteReader& in, const Type& type);
void read_values(
    ByteReader& in,
    Budget& budget,
    const DecodeOptions& options,
    const Type& type,
    std::size_t rows,
    data::Column& out
);

// A result in one of the two formats. `in` must outlive it.
class Decoder {
public:
    Decoder(ByteReader& in, const DecodeOptions& options);
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;
    virtual ~Decoder() = default;

    // Reads the next rows into `out` (dropping what it held), at least one. False when the body ended where it may.
    virtual bool next_block(data::Batch& out) = 0;

    bool has_schema() const { return !types_.empty(); }

    const data::Schema& schema() const { return schema_; }

    std::uint64_t blocks() const { return blocks_; }  // read so far

protected:
    void add_column(std::string name, std::string type);

    ByteReader& in_;
    DecodeOptions options_;
    Budget budget_;
    data::Schema schema_;
    std::vector<std::string> type_texts_;
    std::vector<Type> types_;
    std::uint64_t blocks_ = 0;
};

class NativeDecoder final : public Decoder {
public:
    using Decoder::Decoder;

    // The body may end between two blocks. The first block decides the schema; a later one that differs throws
    // source.incomplete: a server that fails late writes its error text where a block should begin. Blocks without rows
    // are read over.
    bool next_block(data::Batch& out) override;

private:
    std::size_t read_head(std::uint64_t& rows);
    void read_column_head(std::size_t index);
};

// `RowBinaryWithNamesAndTypes`: varint columns, their names, their types, then the rows, value by value. The body may
// end between two rows. It has no marks between rows: what a server writes behind them after a late failure may look
// like rows, so that only its status after the end (wait_end_of_query) proves that they are all.
class RowBinaryDecoder final : public Decoder {
public:
    using Decoder::Decoder;

    // As many rows as make about a batch.
    bool next_block(data::Batch& out) override;

private:
    void read_head();

    bool head_read_ = false;
};

}  // namespace headrace::source::clickhouse
