#include "sink/postgres/column_type.hpp"

#include <fmt/core.h>

namespace headrace::sink::postgres_sink {
namespace {

using data::Kind;

constexpr int modifier_header = 4;  // VARHDRSZ
constexpr int microseconds = 6;     // digits; a time column of less would round

int numeric_modifier(int precision, int scale) {
    return ((precision << 16) | (scale & 0x7ff)) + modifier_header;
}

// A negative scale, numeric(5,-2), would round.
bool is_exact_numeric(const ColumnType& type) {
    const auto limits = numeric_limits(type);
    return type.base == "numeric" && (!limits || limits->scale >= 0);
}

std::optional<Wire> integer_wire(const ColumnType& type) {
    if (type.base == "int8") {
        return Wire::int8;
    }
    if (type.base == "int4") {
        return Wire::int4;
    }
    if (type.base == "int2") {
        return Wire::int2;
    }
    return is_exact_numeric(type) ? std::optional(Wire::numeric) : std::nullopt;
}

std::optional<Wire> decimal_wire(const data::Field& field, const ColumnType& type) {
    if (!is_exact_numeric(type)) {
        return std::nullopt;
    }
    const auto limits = numeric_limits(type);
    if (limits && field.precision > 0 &&
        (field.scale > limits->scale || field.precision - field.scale > limits->whole)) {
        return std::nullopt;
    }
    return Wire::numeric;
}

bool keeps_microseconds(const ColumnType& type) {
    return type.modifier < 0 || type.modifier == microseconds;
}

}  // namespace

std::optional<NumericLimits> numeric_limits(const ColumnType& type) {
    if (type.modifier < modifier_header) {
        return std::nullopt;
    }
    const int packed = type.modifier - modifier_header;
    const int scale = ((packed & 0x7ff) ^ 1024) - 1024;  // 11 bits with a sign
    return NumericLimits{.whole = ((packed >> 16) & 0xffff) - scale, .scale = scale};
}

std::string sql_type(const data::Field& field) {
    switch (field.kind) {
        case Kind::boolean:
            return "boolean";
        case Kind::int64:
            return "bigint";
        case Kind::uint64:
            return "numeric(20)";
        case Kind::float64:
            return "double precision";
        case Kind::decimal:
            return field.precision > 0 ? fmt::format("numeric({},{})", field.precision, field.scale) : "numeric";
        case Kind::string:
            return "text";
        case Kind::bytes:
            return "bytea";
        case Kind::date:
            return "date";
        case Kind::time:
            return "time";
        case Kind::timestamp:
            return "timestamptz";
        case Kind::json:
            return "jsonb";
    }
    return "text";
}

ColumnType type_for(const data::Field& field) {
    switch (field.kind) {
        case Kind::boolean:
            return {"bool"};
        case Kind::int64:
            return {"int8"};
        case Kind::uint64:
            return {"numeric", numeric_modifier(20, 0)};
        case Kind::float64:
            return {"float8"};
        case Kind::decimal:
            return {"numeric", field.precision > 0 ? numeric_modifier(field.precision, field.scale) : -1};
        case Kind::string:
            return {"text"};
        default:
            return {sql_type(field)};  // the others have one name
    }
}

std::optional<Wire> wire_for(const data::Field& field, const ColumnType& type) {
    const auto only = [&](std::string_view base, Wire wire) {
        return type.base == base ? std::optional(wire) : std::nullopt;
    };
    switch (field.kind) {
        case Kind::boolean:
            return only("bool", Wire::boolean);
        case Kind::int64:
        case Kind::uint64:
            return integer_wire(type);
        case Kind::float64:
            return only("float8", Wire::float8);
        case Kind::decimal:
            return decimal_wire(field, type);
        case Kind::string:
            return type.base == "text" || type.base == "varchar" ? std::optional(Wire::text) : std::nullopt;
        case Kind::bytes:
            return only("bytea", Wire::bytea);
        case Kind::date:
            return only("date", Wire::date);
        case Kind::time:
            return keeps_microseconds(type) ? only("time", Wire::time) : std::nullopt;
        case Kind::timestamp:
            return keeps_microseconds(type) ? only("timestamptz", Wire::timestamp) : std::nullopt;
        case Kind::json:
            return type.base == "json" ? std::optional(Wire::json) : only("jsonb", Wire::jsonb);
    }
    return std::nullopt;
}

}  // namespace headrace::sink::postgres_sink
