// Column types of the data path and the schema of a batch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::data {

// Storage class in brackets. Integers, decimals and times never pass through a double.
//   boolean   [fixed]  0 or 1
//   int64     [fixed]
//   uint64    [fixed]  the same 8 bytes, read as unsigned (ClickHouse ids and counts)
//   float64   [fixed]  IEEE 754 bits; NaN and infinities are written as null in JSON
//   decimal   [var]    digits as text, "-12.30": exact, any precision
//   string    [var]    text; bytes that are not UTF-8 are replaced when written as JSON (base/json_text.hpp)
//   bytes     [var]    any bytes; base64 in JSON
//   date      [fixed]  days since 1970-01-01
//   time      [fixed]  microseconds since midnight
//   timestamp [fixed]  microseconds since 1970-01-01T00:00:00Z
//   json      [var]    JSON text of a nested value; the decoder guarantees that it is valid JSON
enum class Kind : std::uint8_t { boolean, int64, uint64, float64, decimal, string, bytes, date, time, timestamp, json };

std::string_view to_string(Kind kind);
std::optional<Kind> parse_kind(std::string_view text);

constexpr bool is_var(Kind kind) {
    return kind == Kind::decimal || kind == Kind::string || kind == Kind::bytes || kind == Kind::json;
}

struct Field {
    std::string name;
    Kind kind = Kind::string;
    bool nullable = false;
    std::uint8_t precision = 0;  // decimal only; 0 = not declared
    std::uint8_t scale = 0;      // decimal only

    bool operator==(const Field&) const = default;
};

// A type as people write it: "int64", "decimal(12,2)", "string!" (! = never null). The name of the result is empty.
std::optional<Field> parse_type(std::string_view text);
std::string type_text(const Field& field);

struct Schema {
    std::vector<Field> fields;

    std::size_t size() const { return fields.size(); }

    std::optional<std::size_t> index_of(std::string_view name) const;
    // Stable fingerprint of names, kinds, precisions and nullability (16 hex digits), shown in an output's meta.
    std::string hash() const;
    bool operator==(const Schema&) const = default;
};

}  // namespace headrace::data
