// ClickHouse type names ("Nullable(Decimal(12, 2))") as a small tree, and the column kind that each becomes. Pure.
#pragma once

#include "data/schema.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::source::clickhouse {

enum class Layout : std::uint8_t {
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,  // to int64; uint64 stays unsigned
    int128,
    int256,
    uint128,
    uint256,  // to decimal digits
    float32,
    float64,
    bfloat16,
    boolean,
    string,
    fixed_string,
    date,
    date32,
    date_time,
    date_time64,
    time,
    time64,
    decimal32,
    decimal64,
    decimal128,
    decimal256,
    enum8,
    enum16,
    uuid,
    ipv4,
    ipv6,
    nothing,
    low_cardinality,
    array,
    tuple,
    map,
};

struct Type {
    Layout layout = Layout::nothing;
    bool nullable = false;                                    // Nullable(T)
    std::size_t width = 0;                                    // fixed_string: bytes
    int precision = 0;                                        // decimals
    int scale = 0;                                            // decimals; digits of date_time64 and time64
    std::vector<std::pair<std::int64_t, std::string>> names;  // enums, sorted by value
    std::vector<Type> items;                                  // low_cardinality, array 1; map 2 (key, value); tuple any
    std::vector<std::string> fields;                          // tuple with names, else empty

    const std::string* name_of(std::int64_t value) const;  // enums; nullptr when unknown
};

// Throws Error{permanent, "source.unsupported"} that names the column and says what to cast; also for text that is no
// type.
Type parse_type(std::string_view text, std::string_view column);

data::Field field_of(std::string name, const Type& type);

}  // namespace headrace::source::clickhouse
