// Numbers in the binary form of numeric: base 10,000 digits, no double in between. Pure.
#pragma once

#include "sink/postgres/column_type.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace headrace::sink::postgres_sink {

// Room for a decimal text of `size` characters, or for any 64-bit integer.
constexpr std::size_t numeric_size_max(std::size_t size) {
    return 8 + 2 * (size / 4 + 3);
}

inline constexpr std::size_t numeric_integer_size_max = 8 + 2 * 5;

// Each writes the value (without the length word) and returns the end of what it wrote.
char* write_numeric(char* out, bool negative, std::uint64_t magnitude);

// "-12.30", as data::Kind::decimal has it; keeps the zeros at the end. nullptr when the text is no such number (also
// for an exponent) or has more digits than the limits.
char* write_numeric(char* out, std::string_view text, const NumericLimits* limits);

// Decimal digits of the magnitude.
int digits_of(std::uint64_t magnitude);

}  // namespace headrace::sink::postgres_sink
