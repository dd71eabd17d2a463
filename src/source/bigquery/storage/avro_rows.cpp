#include "source/bigquery/storage/avro_rows.hpp"

#include "base/encoding.hpp"
#include "data/json.hpp"
#include "data/number_text.hpp"
#include "data/time_text.hpp"
#include "source/bigquery/storage/avro_decimal.hpp"
#include "source/bigquery/storage/avro_reader.hpp"
#include "source/bigquery/storage/avro_schema.hpp"

#include <fmt/core.h>
#include <simdjson.h>

#include <cmath>
#include <utility>

namespace headrace::source::bigquery::storage {
namespace {

using data::Buffer;

constexpr std::int64_t first_day = -719'162;  // 0001-01-01
constexpr std::int64_t last_day = 2'932'896;  // 9999-12-31
constexpr std::int64_t day_micros = 86'400'000'000;
constexpr std::size_t look_every = 64 * 1024;  // bytes of rows between two looks at the size of the batch

bool is_utf8(std::string_view text) {
    constexpr std::uint64_t high = 0x8080808080808080;
    const auto word = [&](std::size_t at) {
        std::uint64_t out = 0;
        std::memcpy(&out, text.data() + at, sizeof out);
        return out;
    };
    std::uint64_t seen = 0;
    if (text.size() >= 8) {
        for (std::size_t i = 0; i + 8 < text.size(); i += 8) {
            seen |= word(i);
        }
        seen |= word(text.size() - 8);
    } else {
        for (const char c : text) {
            seen |= static_cast<std::uint8_t>(c);
        }
    }
    return (seen & high) == 0 || simdjson::validate_utf8(text.data(), text.size());
}

[[noreturn]] void no_such(const Type& type, std::string_view what) {
    bad_avro(fmt::format("{} {}", what, type.word));
}

std::int64_t checked(const Type& type, std::int64_t value) {
    std::int64_t least = INT64_MIN;
    std::int64_t most = INT64_MAX;
    if (type.shape == Shape::date) {
        least = first_day;
        most = last_day;
    } else if (type.shape == Shape::time) {
        least = 0;
        most = day_micros - 1;
    } else if (type.shape == Shape::timestamp) {
        least = first_day * day_micros;
        most = (last_day + 1) * day_micros - 1;
    }
    if (value < least || value > most) {
        no_such(type, fmt::format("{} is no", value));
    }
    return value;
}

std::string_view checked_text(const Type& type, std::string_view text) {
    if (!is_utf8(text)) {
        no_such(type, "the text is not UTF-8, as it must be for");
    }
    if (type.shape == Shape::json && !data::is_json(text)) {
        no_such(type, "the text is no JSON, as it must be for");
    }
    return text;
}

struct Digits {
    char space[decimal_text_max + data::buffer_padding];
    std::string_view text;
};

void read_decimal_text(const AvroType& type, AvroReader& in, Digits& out) {
    const char* end = write_decimal(out.space, in.bytes(), type.scale);
    if (end == nullptr) {
        no_such(type.type, "more than 32 bytes for");
    }
    out.text = {out.space, static_cast<std::size_t>(end - out.space)};
}

// True when the value is NULL.
bool read_null(const AvroType& type, AvroReader& in) {
    const auto branch = in.integer();
    if (branch != 0 && branch != 1) {
        bad_avro(fmt::format("there is no branch {} in a union of two", branch));
    }
    return branch == type.null_branch;
}

template <std::size_t Most, class Write>
void put(Buffer<char>& out, Write write) {
    char space[Most];
    out.append(space, static_cast<std::size_t>(write(space) - space));
}

void put_integer(const Type& type, std::int64_t value, Buffer<char>& out) {
    checked(type, value);
    switch (type.shape) {
        case Shape::date:
            put<data::time_text_max>(out, [&](char* at) { return data::write_date(at, value); });
            break;
        case Shape::time:
            put<data::time_text_max>(out, [&](char* at) { return data::write_time(at, value); });
            break;
        case Shape::timestamp:
            put<data::time_text_max>(out, [&](char* at) { return data::write_timestamp(at, value); });
            break;
        default:
            put<data::integer_text_max>(out, [&](char* at) { return data::write_int(at, value); });
    }
}

// "[2026-01-01, UNBOUNDED)"
void write_range(const AvroType& type, AvroReader& in, Buffer<char>& out) {
    data::append(out, "[");
    for (std::size_t i = 0; i < 2; ++i) {
        const auto& bound = type.parts[i];
        if (bound.nullable && read_null(bound, in)) {
            data::append(out, "UNBOUNDED");
        } else if (bound.form == Form::integer) {
            put_integer(bound.type, in.integer(), out);
        } else {
            data::append(out, checked_text(bound.type, in.bytes()));
        }
        data::append(out, i == 0 ? ", " : ")");
    }
}

void write_value(const AvroType& type, AvroReader& in, Buffer<char>& out);

// Blocks of elements, each with its count (negative: its size in bytes follows), up to one of none.
void write_list(const AvroType& type, AvroReader& in, Buffer<char>& out) {
    char before = '[';
    for (;;) {
        auto count = in.integer();
        if (count == 0) {
            break;
        }
        if (count < 0) {
            if (count == INT64_MIN) {
                bad_avro("a list of too many elements");
            }
            count = -count;
            in.integer();
        }
        for (; count > 0; --count) {
            const auto left = in.left();
            out.push_back(std::exchange(before, ','));
            write_value(type.parts.front(), in, out);
            if (in.left() == left) {
                bad_avro("elements of a list take no room");  // their number would be without bound
            }
        }
    }
    data::append(out, before == '[' ? "[]" : "]");
}

void write_fields(const AvroType& type, AvroReader& in, Buffer<char>& out) {
    char before = '{';
    for (const auto& field : type.parts) {
        out.push_back(std::exchange(before, ','));
        data::append_json_text(out, field.type.name);
        out.push_back(':');
        write_value(field, in, out);
    }
    data::append(out, before == '{' ? "{}" : "}");
}

void write_number(double value, Buffer<char>& out) {
    if (!std::isfinite(value)) {
        data::append(out, "null");
        return;
    }
    put<data::float_text_max>(out, [&](char* at) { return data::write_float(at, value); });
}

// As JSON: what values.cpp makes of the same value.
void write_value(const AvroType& type, AvroReader& in, Buffer<char>& out) {
    if (type.nullable && read_null(type, in)) {
        data::append(out, type.form == Form::array ? "[]" : "null");
        return;
    }
    switch (type.form) {
        case Form::integer: {
            const bool quoted = type.type.shape != Shape::integer;
            data::append(out, quoted ? "\"" : "");
            put_integer(type.type, in.integer(), out);
            data::append(out, quoted ? "\"" : "");
            break;
        }
        case Form::float64:
            write_number(in.float64(), out);
            break;
        case Form::float32:
            write_number(in.float32(), out);
            break;
        case Form::boolean:
            data::append(out, in.boolean() ? "true" : "false");
            break;
        case Form::text: {
            const auto text = checked_text(type.type, in.bytes());
            if (type.type.shape == Shape::json) {
                data::append(out, text);
            } else {
                data::append_json_text(out, text);
            }
            break;
        }
        case Form::bytes:
            data::append_json_text(out, base64_encode(in.bytes()));
            break;
        case Form::decimal: {
            Digits digits;
            read_decimal_text(type, in, digits);
            data::append(out, digits.text);
            break;
        }
        case Form::record:
            write_fields(type, in, out);
            break;
        case Form::array:
            write_list(type, in, out);
            break;
        case Form::range:
            data::append(out, "\"");
            write_range(type, in, out);
            data::append(out, "\"");
            break;
    }
}

// What was just read.
void add_text(std::string_view text, const AvroReader& in, data::Column& column) {
    if (in.left() >= data::buffer_padding) {
        column.add_padded_text(text);
    } else {
        column.add_text(text);
    }
}

void add_null(const AvroType& type, data::Column& column) {
    if (type.form == Form::array) {
        column.add_text("[]");
        return;
    }
    if (type.type.required) {
        bad_avro("NULL in a column that is REQUIRED");
    }
    column.add_null();
}

void add_value(const AvroType& type, AvroReader& in, data::Column& column, Buffer<char>& scratch) {
    if (type.nullable && read_null(type, in)) {
        add_null(type, column);
        return;
    }
    switch (type.form) {
        case Form::integer:
            column.add_int64(checked(type.type, in.integer()));
            break;
        case Form::float64:
            column.add_float64(in.float64());
            break;
        case Form::float32:
            column.add_float64(in.float32());
            break;
        case Form::boolean:
            column.add_boolean(in.boolean());
            break;
        case Form::text:
            add_text(checked_text(type.type, in.bytes()), in, column);
            break;
        case Form::bytes:
            add_text(in.bytes(), in, column);
            break;
        case Form::decimal: {
            Digits digits;
            read_decimal_text(type, in, digits);
            column.add_padded_text(digits.text);
            break;
        }
        case Form::range:
            scratch.clear();
            write_range(type, in, scratch);
            column.add_text(data::view(scratch));
            break;
        case Form::record:
        case Form::array: {
            scratch.clear();
            type.form == Form::array ? write_list(type, in, scratch) : write_fields(type, in, scratch);
            column.add_text(data::view(scratch));
            break;
        }
    }
}

}  // namespace

struct AvroRows::Machine {
    std::vector<AvroType> columns;
    AvroReader in;
    std::uint64_t rows = 0;  // of the response
    std::uint64_t done = 0;
    std::uint64_t first_row = 0;
    std::size_t column = 0;  // where a fault is
    Buffer<char> scratch;

    void fill(data::Batch& batch, std::size_t enough);
};

void AvroRows::Machine::fill(data::Batch& batch, std::size_t enough) {
    auto look_at = in.left();
    while (done < rows) {
        if (in.left() == 0) {
            throw Error(
                ErrorKind::transient, "source.incomplete", fmt::format("a response of {} rows holds {}", rows, done)
            );
        }
        if (in.left() <= look_at) {
            if (batch.bytes() >= enough) {
                return;
            }
            look_at = in.left() > look_every ? in.left() - look_every : 0;
        }
        for (column = 0; column < columns.size(); ++column) {
            add_value(columns[column], in, batch.column(column), scratch);
        }
        ++done;
    }
}

AvroRows::AvroRows(const Columns& columns, std::string_view schema) : machine_(std::make_unique<Machine>()) {
    machine_->columns = lay_beside(columns, schema);
}

AvroRows::~AvroRows() = default;

void AvroRows::begin(std::string_view bytes, std::uint64_t rows, std::uint64_t first_row) {
    machine_->in = AvroReader(bytes);
    machine_->rows = rows;
    machine_->done = 0;
    machine_->first_row = first_row;
}

bool AvroRows::decode(data::Batch& batch, std::size_t enough) {
    auto& machine = *machine_;
    try {
        machine.fill(batch, enough);
    } catch (const Error& error) {
        if (error.code() != "source.bad_data" || machine.column >= machine.columns.size()) {
            throw;
        }
        throw Error(
            error.kind(),
            error.code(),
            fmt::format(
                "row {}, column `{}`: {}",
                machine.first_row + machine.done + 1,
                machine.columns[machine.column].type.name,
                error.message()
            )
        );
    }
    if (machine.done < machine.rows) {
        return false;
    }
    if (machine.in.left() > 0) {
        throw Error(
            ErrorKind::transient,
            "source.incomplete",
            fmt::format("a response of {} rows holds {} bytes more", machine.rows, machine.in.left())
        );
    }
    return true;
}

}  // namespace headrace::source::bigquery::storage
