#include "sink/postgres/copy_encoder.hpp"

#include "base/error.hpp"
#include "data/json.hpp"
#include "sink/postgres/big_endian.hpp"
#include "sink/postgres/numeric.hpp"
#include "sink/postgres/text_repair.hpp"

#include <fmt/core.h>

#include <bit>
#include <limits>

namespace headrace::sink::postgres_sink {
namespace {

using data::Batch;
using data::Column;
using data::Kind;

constexpr std::size_t piece = 512 * 1024;                             // of what `take` gets
constexpr std::size_t too_large = 8u << 20;                           // memory of a huge row is given back
constexpr std::size_t value_size_max = 4 + numeric_integer_size_max;  // length word and the longest of fixed size
constexpr std::uint32_t null_length = 0xffffffff;
constexpr char jsonb_version = 1;

// "PGCOPY\n\377\r\n\0", flags, length of the header's extension.
constexpr std::string_view header("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", 19);

// Postgres counts from 2000-01-01. The limits are those of its calendar; outside lie its infinities. (The last
// timestamp is beyond our own range.)
constexpr std::int64_t epoch_days = 10'957;
constexpr std::int64_t epoch_microseconds = epoch_days * 86'400'000'000;
constexpr std::int64_t first_day = -2'451'545;
constexpr std::int64_t last_day = 2'145'031'948;
constexpr std::int64_t first_timestamp = -211'813'488'000'000'000;
constexpr std::int64_t day_microseconds = 86'400'000'000;

std::uint64_t magnitude_of(std::int64_t value) {
    return value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
}

// Every text of the column, the boundaries between them included.
bool all_storable(const Column& column) {
    const std::size_t rows = column.size();
    if (rows == 0) {
        return true;
    }
    const std::uint32_t* ends = column.ends();
    const char* bytes = column.var();
    for (std::size_t row = 0; row + 1 < rows; ++row) {
        // A character that is cut in two by a boundary is whole in neither.
        if (ends[row] < ends[rows - 1] && (static_cast<unsigned char>(bytes[ends[row]]) & 0xc0) == 0x80) {
            return false;
        }
    }
    return is_storable({bytes, ends[rows - 1]});
}

}  // namespace

CopyEncoder::CopyEncoder(std::vector<CopyColumn> columns, Take take)
    : columns_(std::move(columns)), take_(std::move(take)), repaired_(columns_.size()), dirty_(columns_.size()) {
    data::append(out_, header);
}

void CopyEncoder::write(const Batch& batch) {
    check_nulls(batch);
    look_at_texts(batch);
    for (std::size_t row = 0; row < batch.rows(); ++row) {
        const std::size_t before = out_.size();
        out_.reserve(before + row_size_max(batch, row));
        const char* end = put_row(out_.data() + before, batch, row);
        out_.resize(static_cast<std::size_t>(end - out_.data()));
        if (out_.size() >= piece) {
            flush();
        }
    }
}

void CopyEncoder::finish() {
    put16(out_.extend(2), 0xffff);
    flush();
}

void CopyEncoder::flush() {
    bytes_ += out_.size();
    const std::size_t size = out_.size();
    take_(view(out_));
    out_.clear();
    if (size > too_large) {
        out_.release();
    }
}

void CopyEncoder::check_nulls(const Batch& batch) const {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (!columns_[i].never_null || !batch.column(i).has_nulls()) {
            continue;
        }
        for (std::size_t row = 0; row < batch.rows(); ++row) {
            if (batch.column(i).is_null(row)) {
                refuse(batch, i, row, "is null, and the table's column must have a value");
            }
        }
    }
}

void CopyEncoder::look_at_texts(const Batch& batch) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (columns_[i].wire == Wire::text) {
            dirty_[i] = all_storable(batch.column(i)) ? 0 : 1;
        }
    }
}

std::size_t CopyEncoder::row_size_max(const Batch& batch, std::size_t row) const {
    std::size_t size = 2 + columns_.size() * (value_size_max + 1);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        const auto& column = batch.column(i);
        if (data::is_var(column.kind())) {
            const auto length = column.text(row).size();
            size += columns_[i].wire == Wire::numeric ? numeric_size_max(length) : dirty_[i] != 0 ? 3 * length : length;
        }
    }
    return size;
}

char* CopyEncoder::put_row(char* out, const Batch& batch, std::size_t row) {
    out = put16(out, static_cast<std::uint16_t>(columns_.size()));
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        out = batch.column(i).is_null(row) ? put32(out, null_length) : put_value(out, batch, i, row);
    }
    return out;
}

char* CopyEncoder::put_value(char* out, const Batch& batch, std::size_t i, std::size_t row) {
    const auto& column = batch.column(i);
    switch (columns_[i].wire) {
        case Wire::boolean:
            out = put32(out, 1);
            *out = column.boolean(row) ? 1 : 0;
            return out + 1;
        case Wire::int2:
        case Wire::int4:
        case Wire::int8:
            return put_integer(out, batch, i, row);
        case Wire::numeric:
            return put_decimal(out, batch, i, row);
        case Wire::float8:
            return put64(put32(out, 8), std::bit_cast<std::uint64_t>(column.float64(row)));
        case Wire::date: {
            const auto days = column.int64(row);
            if (days < first_day + epoch_days || days > last_day + epoch_days) {
                refuse(batch, i, row, "is outside of the dates of Postgres");
            }
            return put32(put32(out, 4), static_cast<std::uint32_t>(days - epoch_days));
        }
        case Wire::time:
            if (column.int64(row) < 0 || column.int64(row) > day_microseconds) {
                refuse(batch, i, row, "is no time of a day");
            }
            return put64(put32(out, 8), column.uint64(row));
        case Wire::timestamp: {
            const auto at = column.int64(row);
            if (at < first_timestamp + epoch_microseconds) {
                refuse(batch, i, row, "is outside of the timestamps of Postgres");
            }
            return put64(put32(out, 8), static_cast<std::uint64_t>(at - epoch_microseconds));
        }
        case Wire::text:
        case Wire::bytea:
        case Wire::json:
        case Wire::jsonb:
            return put_text(out, i, column.text(row));
    }
    return out;
}

char* CopyEncoder::put_integer(char* out, const Batch& batch, std::size_t i, std::size_t row) const {
    const auto& column = batch.column(i);
    const auto wire = columns_[i].wire;
    const auto value = column.int64(row);
    const auto most = wire == Wire::int2   ? std::int64_t{std::numeric_limits<std::int16_t>::max()}
                      : wire == Wire::int4 ? std::int64_t{std::numeric_limits<std::int32_t>::max()}
                                           : std::numeric_limits<std::int64_t>::max();
    const bool fits = column.kind() == Kind::uint64 ? column.uint64(row) <= static_cast<std::uint64_t>(most)
                                                    : value <= most && value >= -most - 1;
    if (!fits) {
        refuse(batch, i, row, wire == Wire::int8 ? "is too large for a bigint" : "is too large for the table's column");
    }
    if (wire == Wire::int2) {
        return put16(put32(out, 2), static_cast<std::uint16_t>(value));
    }
    if (wire == Wire::int4) {
        return put32(put32(out, 4), static_cast<std::uint32_t>(value));
    }
    return put64(put32(out, 8), static_cast<std::uint64_t>(value));
}

char* CopyEncoder::put_decimal(char* out, const Batch& batch, std::size_t i, std::size_t row) const {
    const auto& column = batch.column(i);
    const auto* limits = columns_[i].limits ? &*columns_[i].limits : nullptr;
    char* const begin = out + 4;
    char* end = nullptr;
    if (column.kind() == Kind::decimal) {
        end = write_numeric(begin, column.text(row), limits);
    } else {
        const bool negative = column.kind() == Kind::int64 && column.int64(row) < 0;
        const auto magnitude = column.kind() == Kind::int64 ? magnitude_of(column.int64(row)) : column.uint64(row);
        if (limits == nullptr || digits_of(magnitude) <= limits->whole || magnitude == 0) {
            end = write_numeric(begin, negative, magnitude);
        }
    }
    if (end == nullptr) {
        refuse(batch, i, row, "is no number that the table's column keeps exactly");
    }
    put32(out, static_cast<std::uint32_t>(end - begin));
    return end;
}

char* CopyEncoder::put_text(char* out, std::size_t i, std::string_view text) {
    const auto wire = columns_[i].wire;
    const bool dirty =
        wire == Wire::text ? dirty_[i] != 0 && !is_storable(text) : wire == Wire::jsonb && !is_storable_json(text);
    if (dirty) {
        repair_.clear();
        wire == Wire::text ? append_repaired(repair_, text) : append_repaired_json(repair_, text);
        text = repair_;
        ++repaired_[i];
    }
    const std::size_t extra = wire == Wire::jsonb ? 1 : 0;
    out = put32(out, static_cast<std::uint32_t>(text.size() + extra));
    if (extra != 0) {
        *out++ = jsonb_version;
    }
    std::memcpy(out, text.data(), text.size());
    return out + text.size();
}

void CopyEncoder::refuse(const Batch& batch, std::size_t i, std::size_t row, std::string why) const {
    std::string shown;
    if (!batch.column(i).is_null(row)) {
        data::Buffer<char> value;
        data::append_plain_value(value, batch.column(i), row);
        shown = fmt::format(" `{}`", view(value).substr(0, 60));
    }
    throw Error(
        ErrorKind::permanent,
        "sink.invalid",
        fmt::format("row {}: column `{}`{} {}", batch.first_row + row, columns_[i].name, shown, why)
    );
}

}  // namespace headrace::sink::postgres_sink
