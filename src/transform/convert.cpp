#include "transform/convert.hpp"

#include "base/json_text.hpp"
#include "data/decimal.hpp"
#include "data/json.hpp"
#include "data/number_text.hpp"
#include "data/time_text.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>

namespace headrace::transform {
namespace {

using data::Column;
using data::Decimal;
using data::Field;
using data::Kind;

constexpr std::int64_t day_micros = 86'400'000'000;

std::optional<Decimal> decimal_of(double value) {
    if (!std::isfinite(value)) {
        return std::nullopt;
    }
    char text[data::float_text_max];
    return data::parse_decimal({text, static_cast<std::size_t>(data::write_float(text, value) - text)});
}

// Any number, as a decimal. Text must be a number and nothing else.
std::optional<Decimal> decimal_at(const Column& in, std::size_t row) {
    char text[data::integer_text_max];
    switch (in.kind()) {
        case Kind::float64:
            return decimal_of(in.float64(row));
        case Kind::int64:
            return data::parse_decimal({text, static_cast<std::size_t>(data::write_int(text, in.int64(row)) - text)});
        case Kind::uint64:
            return data::parse_decimal({text, static_cast<std::size_t>(data::write_uint(text, in.uint64(row)) - text)});
        default:
            return data::parse_decimal(in.text(row));
    }
}

bool copy_fixed(const Column& in, std::size_t row, const Field&, Column& out) {
    out.add_int64(in.int64(row));
    return true;
}

bool copy_text(const Column& in, std::size_t row, const Field&, Column& out) {
    out.add_text(in.text(row));
    return true;
}

bool integer_sign_change(const Column& in, std::size_t row, const Field&, Column& out) {
    if (in.int64(row) < 0) {  // negative, or above the largest int64: the same bit
        return false;
    }
    out.add_int64(in.int64(row));
    return true;
}

bool to_int64(const Column& in, std::size_t row, const Field&, Column& out) {
    const auto number = decimal_at(in, row);
    const auto value = number ? data::to_int64(*number) : std::nullopt;
    if (value) {
        out.add_int64(*value);
    }
    return value.has_value();
}

bool to_uint64(const Column& in, std::size_t row, const Field&, Column& out) {
    const auto number = decimal_at(in, row);
    const auto value = number ? data::to_uint64(*number) : std::nullopt;
    if (value) {
        out.add_uint64(*value);
    }
    return value.has_value();
}

// Exact means: the shortest text of the double is the same number.
bool to_float64(const Column& in, std::size_t row, const Field&, Column& out) {
    const auto number = decimal_at(in, row);
    if (!number) {
        return false;
    }
    const auto text = data::to_text(*number);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || decimal_of(value) != number) {
        return false;
    }
    out.add_float64(value);
    return true;
}

bool to_decimal(const Column& in, std::size_t row, const Field& to, Column& out) {
    const auto number = decimal_at(in, row);
    if (!number) {
        return false;
    }
    if (to.precision == 0) {
        out.add_text(data::to_text(*number));
        return true;
    }
    const auto text = data::to_text(*number, to.scale);
    if (!text || number->whole_digits() > to.precision - to.scale) {
        return false;
    }
    out.add_text(*text);
    return true;
}

bool to_boolean(const Column& in, std::size_t row, const Field&, Column& out) {
    if (in.kind() == Kind::string) {
        const auto text = in.text(row);
        const bool yes = text == "true" || text == "1";
        if (!yes && text != "false" && text != "0") {
            return false;
        }
        out.add_boolean(yes);
        return true;
    }
    const auto value = in.int64(row);
    if (value != 0 && value != 1) {
        return false;
    }
    out.add_int64(value);
    return true;
}

bool is_finite_number(const Column& in, std::size_t row) {
    return in.kind() != Kind::float64 || std::isfinite(in.float64(row));
}

bool to_string(const Column& in, std::size_t row, const Field&, Column& out) {
    if (!is_finite_number(in, row)) {
        return false;
    }
    data::Buffer<char> text;
    data::append_plain_value(text, in, row);
    out.add_text(data::view(text));
    return true;
}

bool bytes_to_string(const Column& in, std::size_t row, const Field&, Column& out) {
    if (!is_utf8(in.text(row))) {
        return false;
    }
    out.add_text(in.text(row));
    return true;
}

bool to_json(const Column& in, std::size_t row, const Field&, Column& out) {
    if (!is_finite_number(in, row)) {
        return false;
    }
    data::Buffer<char> text;
    data::append_json_value(text, in, row);
    out.add_text(data::view(text));
    return true;
}

bool string_to_json(const Column& in, std::size_t row, const Field&, Column& out) {
    if (!data::is_json(in.text(row))) {
        return false;
    }
    out.add_text(in.text(row));
    return true;
}

bool timestamp_to_date(const Column& in, std::size_t row, const Field&, Column& out) {
    if (in.int64(row) % day_micros != 0) {
        return false;
    }
    out.add_int64(in.int64(row) / day_micros);
    return true;
}

bool date_to_timestamp(const Column& in, std::size_t row, const Field&, Column& out) {
    std::int64_t micros = 0;
    if (__builtin_mul_overflow(in.int64(row), day_micros, &micros)) {
        return false;
    }
    out.add_int64(micros);
    return true;
}

template <std::optional<std::int64_t> (*Parse)(std::string_view)>
bool parse_text(const Column& in, std::size_t row, const Field&, Column& out) {
    const auto value = Parse(in.text(row));
    if (value) {
        out.add_int64(*value);
    }
    return value.has_value();
}

bool is_number(Kind kind) {
    return kind == Kind::int64 || kind == Kind::uint64 || kind == Kind::float64 || kind == Kind::decimal;
}

Convert to_number(Kind from, Kind to) {
    if (from == Kind::boolean && (to == Kind::int64 || to == Kind::uint64)) {
        return copy_fixed;
    }
    if (!is_number(from) && from != Kind::string) {
        return nullptr;
    }
    const bool integers = (from == Kind::int64 || from == Kind::uint64) && (to == Kind::int64 || to == Kind::uint64);
    if (integers) {
        return integer_sign_change;
    }
    switch (to) {
        case Kind::int64:
            return to_int64;
        case Kind::uint64:
            return to_uint64;
        case Kind::float64:
            return to_float64;
        default:
            return to_decimal;
    }
}

}  // namespace

Convert find_convert(Kind from, Kind to) {
    if (from == to && to != Kind::decimal) {
        return data::is_var(to) ? copy_text : copy_fixed;
    }
    switch (to) {
        case Kind::boolean:
            return from == Kind::int64 || from == Kind::uint64 || from == Kind::string ? to_boolean : nullptr;
        case Kind::int64:
        case Kind::uint64:
        case Kind::float64:
        case Kind::decimal:
            return to_number(from, to);
        case Kind::string:
            return from == Kind::bytes ? bytes_to_string : to_string;
        case Kind::bytes:
            return from == Kind::string ? copy_text : nullptr;
        case Kind::json:
            return from == Kind::string ? string_to_json : to_json;
        case Kind::date:
            return from == Kind::timestamp ? timestamp_to_date
                   : from == Kind::string  ? parse_text<data::parse_date>
                                           : nullptr;
        case Kind::time:
            return from == Kind::string ? parse_text<data::parse_time> : nullptr;
        case Kind::timestamp:
            return from == Kind::date     ? date_to_timestamp
                   : from == Kind::string ? parse_text<data::parse_timestamp>
                                          : nullptr;
    }
    return nullptr;
}

}  // namespace headrace::transform
