#include "source/bigquery/values.hpp"

#include "base/encoding.hpp"
#include "data/decimal.hpp"
#include "data/json.hpp"
#include "data/number_text.hpp"
#include "data/time_text.hpp"

#include <charconv>
#include <cmath>

namespace headrace::source::bigquery {
namespace {

using data::Buffer;

// The year 10000, in seconds: whatever is beyond it cannot be meant as seconds.
constexpr std::string_view most_seconds = "253402300800";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// "-12.30": what NUMERIC looks like.
bool is_plain_decimal(std::string_view text) {
    std::size_t i = text.starts_with('-') ? 1 : 0;
    const std::size_t whole = i;
    while (i < text.size() && is_digit(text[i])) {
        ++i;
    }
    if (i == whole || (text[whole] == '0' && i - whole > 1)) {
        return false;
    }
    if (i == text.size()) {
        return true;
    }
    if (text[i] != '.' || i + 1 == text.size()) {
        return false;
    }
    for (++i; i < text.size(); ++i) {
        if (!is_digit(text[i])) {
            return false;
        }
    }
    return true;
}

std::optional<bool> parse_bool(std::string_view text) {
    if (text == "true" || text == "TRUE" || text == "True") {
        return true;
    }
    if (text == "false" || text == "FALSE" || text == "False") {
        return false;
    }
    return std::nullopt;
}

void append_text(Buffer<char>& out, std::string_view text) {
    data::append(out, text);
}

template <std::size_t Most, class Write>
void append_written(Buffer<char>& out, Write write, bool quoted) {
    char space[Most + 2];
    char* end = space;
    if (quoted) {
        *end++ = '"';
    }
    end = write(end);
    if (quoted) {
        *end++ = '"';
    }
    out.append(space, static_cast<std::size_t>(end - space));
}

template <class Value>
bool add_fixed(data::Column& column, std::optional<Value> value) {
    if (!value) {
        return false;
    }
    if constexpr (std::is_same_v<Value, double>) {
        column.add_float64(*value);
    } else {
        column.add_int64(*value);
    }
    return true;
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::optional<double> parse_double(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end != text.data() + text.size() || text.empty()) {
        return std::nullopt;
    }
    if (error == std::errc::result_out_of_range) {  // of an emulator: what JavaScript makes of it
        const auto number = data::parse_decimal(text);
        const bool tiny = number && number->whole_digits() == 0;
        value = tiny ? 0.0 : HUGE_VAL;
        return text.starts_with('-') ? -value : value;
    }
    return error == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<std::string_view> parse_digits(std::string_view text, std::string& space) {
    if (is_plain_decimal(text)) {
        return text;
    }
    const auto value = data::parse_decimal(text);
    if (!value) {
        return std::nullopt;
    }
    space = data::to_text(*value);
    return space;
}

std::optional<std::int64_t> parse_micros(std::string_view text) {
    if (const auto micros = parse_integer(text)) {
        return micros;
    }
    auto number = data::parse_decimal(text);
    if (!number) {
        constexpr std::string_view zone = " UTC";
        return data::parse_timestamp(text.ends_with(zone) ? text.substr(0, text.size() - zone.size()) : text);
    }
    data::Decimal magnitude = *number;
    magnitude.negative = false;
    if (data::compare(magnitude, *data::parse_decimal(most_seconds)) < 0 && !number->is_zero()) {
        number->scale -= 6;
    }
    return data::to_int64(*number);
}

bool append_value(const Type& type, std::string_view text, data::Column& column) {
    switch (type.shape) {
        case Shape::integer:
            return add_fixed(column, parse_integer(text));
        case Shape::floating:
            return add_fixed(column, parse_double(text));
        case Shape::boolean: {
            const auto value = parse_bool(text);
            return add_fixed(column, value ? std::optional<std::int64_t>(*value ? 1 : 0) : std::nullopt);
        }
        case Shape::date:
            return add_fixed(column, data::parse_date(text));
        case Shape::time:
            return add_fixed(column, data::parse_time(text));
        case Shape::timestamp:
            return add_fixed(column, parse_micros(text));
        case Shape::decimal: {
            std::string space;
            const auto digits = parse_digits(text, space);
            if (digits) {
                column.add_text(*digits);
            }
            return digits.has_value();
        }
        case Shape::bytes: {
            const auto bytes = base64_decode(text);
            if (bytes) {
                column.add_text(*bytes);
            }
            return bytes.has_value();
        }
        case Shape::json:
            if (!data::is_json(text)) {
                return false;
            }
            break;
        case Shape::text:
        case Shape::record:
            break;
    }
    column.add_text(text);
    return true;
}

bool append_json(const Type& type, std::string_view text, Buffer<char>& out) {
    switch (type.shape) {
        case Shape::integer: {
            const auto value = parse_integer(text);
            if (value) {
                append_written<data::integer_text_max>(
                    out, [&](char* at) { return data::write_int(at, *value); }, false
                );
            }
            return value.has_value();
        }
        case Shape::floating: {
            const auto value = parse_double(text);
            if (value && !std::isfinite(*value)) {
                append_text(out, "null");
            } else if (value) {
                append_written<data::float_text_max>(
                    out, [&](char* at) { return data::write_float(at, *value); }, false
                );
            }
            return value.has_value();
        }
        case Shape::boolean: {
            const auto value = parse_bool(text);
            append_text(out, value && *value ? "true" : "false");
            return value.has_value();
        }
        case Shape::decimal: {
            std::string space;
            const auto digits = parse_digits(text, space);
            append_text(out, digits.value_or(""));
            return digits.has_value();
        }
        case Shape::timestamp: {
            const auto micros = parse_micros(text);
            if (micros) {
                append_written<data::time_text_max>(
                    out, [&](char* at) { return data::write_timestamp(at, *micros); }, true
                );
            }
            return micros.has_value();
        }
        case Shape::time: {  // a fraction may have fewer digits there
            const auto micros = data::parse_time(text);
            if (micros) {
                append_written<data::time_text_max>(
                    out, [&](char* at) { return data::write_time(at, *micros); }, true
                );
            }
            return micros.has_value();
        }
        case Shape::json:
            append_text(out, text);
            return data::is_json(text);
        default:  // as BigQuery writes it: dates are the same text here, bytes are base64
            data::append_json_text(out, text);
            return true;
    }
}

}  // namespace headrace::source::bigquery
