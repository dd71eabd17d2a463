// What the readers of column data share. Inside of the decoder: decode_values.cpp, decode_nested.cpp.
#pragma once

#include "data/buffer.hpp"
#include "data/column.hpp"
#include "source/clickhouse/decode.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace headrace::source::clickhouse {

using Flags = data::Buffer<std::uint8_t>;  // one byte per row: not 0 = null

struct Context {
    ByteReader& in;
    Budget& budget;
    const DecodeOptions& options;
    const Flags* nulls = nullptr;  // of the column that is read, when it is nullable

    // What stands under a null is arbitrary: it must not be refused.
    bool is_null(std::size_t row) const { return nulls != nullptr && (*nulls)[row] != 0; }
};

constexpr std::uint64_t most_columns = 16 * 1024;
constexpr std::size_t most_name = 64 * 1024;
constexpr std::size_t most_type = 1024 * 1024;  // an Enum16 can be long

[[noreturn]] void bad_data(std::string message);

// `count` records of `width` (1..64) bytes; calls each(pointer, row of the first, how many) for every run that lies
// together.
template <class Each>
void read_records(Context& c, std::size_t count, std::size_t width, Each each) {
    char split[64];  // a record that is cut by the end of a piece
    for (std::size_t row = 0; row < count;) {
        c.in.need_some();
        if (c.in.available() >= width) {
            const std::size_t run = std::min(count - row, c.in.available() / width);
            each(c.in.data(), row, run);
            c.in.skip(run * width);
            row += run;
        } else {
            c.in.read(split, width);
            each(static_cast<const char*>(split), row, std::size_t{1});
            ++row;
        }
    }
}

// An empty one for values of this type.
data::Column column_for(const Type& type);
// A key of a map as JSON, which has text keys only.
void append_key(data::Buffer<char>& bytes, data::Buffer<char>& scratch, const data::Column& keys, std::size_t row);

// Numbers, times and texts: everything but dictionaries, lists, tuples and maps. Null flags were read before. Appends.
void read_scalar(Context& c, const Type& type, std::size_t rows, data::Column& out);

}  // namespace headrace::source::clickhouse
