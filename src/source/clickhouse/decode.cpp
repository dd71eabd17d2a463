#include "source/clickhouse/decode.hpp"

#include "base/error.hpp"
#include "source/clickhouse/values.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::source::clickhouse {
namespace {

[[noreturn]] void differs(std::uint64_t block) {
    throw Error(
        ErrorKind::transient,
        "source.incomplete",
        fmt::format("block {} does not repeat the columns of the first one: the result was broken off", block + 1)
    );
}

}  // namespace

void Budget::refuse(std::uint64_t bytes) const {
    throw Error(
        ErrorKind::permanent,
        "source.bad_data",
        fmt::format(
            "one block would take {} bytes, but `max_block_bytes` is {}",
            used_ + bytes < bytes ? bytes : used_ + bytes,
            most_
        )
    )
        .with_hint("Lower `max_block_size` (rows), or raise `max_block_bytes`.");
}

Decoder::Decoder(ByteReader& in, const DecodeOptions& options)
    : in_(in), options_(options), budget_(std::min<std::size_t>(options.max_block_bytes, std::size_t{1} << 30)) {}

void Decoder::add_column(std::string name, std::string type) {
    types_.push_back(parse_type(type, name));
    type_texts_.push_back(std::move(type));
    schema_.fields.push_back(field_of(std::move(name), types_.back()));
}

std::size_t NativeDecoder::read_head(std::uint64_t& rows) {
    const std::uint64_t columns = in_.varint();
    rows = in_.varint();
    if (blocks_ > 0 && columns != types_.size()) {
        differs(blocks_);
    }
    if (columns == 0 || columns > most_columns) {
        throw Error(ErrorKind::permanent, "source.bad_data", fmt::format("a block of {} columns", columns));
    }
    return static_cast<std::size_t>(columns);
}

void NativeDecoder::read_column_head(std::size_t index) {
    auto name = in_.text(most_name);
    auto type = in_.text(most_type);
    if (blocks_ > 0) {
        if (name != schema_.fields[index].name || type != type_texts_[index]) {
            differs(blocks_);
        }
        return;
    }
    add_column(std::move(name), std::move(type));
}

bool NativeDecoder::next_block(data::Batch& out) {
    out.reset(schema_);
    while (out.rows() == 0) {
        if (in_.at_end()) {
            return false;
        }
        budget_.begin();
        std::uint64_t rows = 0;
        const std::size_t columns = read_head(rows);
        for (std::size_t i = 0; i < columns; ++i) {
            read_column_head(i);
            if (blocks_ == 0) {
                out.add(schema_.fields[i]);
            }
            if (rows == 0) {
                continue;  // no rows are no bytes, not even a prefix
            }
            budget_.spend(rows < (std::uint64_t{1} << 32) ? rows : ~std::uint64_t{0});
            try {
                read_prefix(in_, types_[i]);
                read_values(in_, budget_, options_, types_[i], static_cast<std::size_t>(rows), out.column(i));
            } catch (Error& error) {
                error.within(fmt::format("column `{}` ({})", schema_.fields[i].name, type_texts_[i].substr(0, 80)));
                throw;
            }
        }
        ++blocks_;
    }
    return true;
}

}  // namespace headrace::source::clickhouse
