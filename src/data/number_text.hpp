// Numbers as text, straight into memory that the caller has reserved. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace headrace::data {

inline constexpr std::size_t integer_text_max = 20;  // -9223372036854775808, 18446744073709551615
// The longest is 25 (-1.2345678901234567e-100 and the like); block-wise copies may use the rest.
inline constexpr std::size_t float_text_max = 32;

// Each returns the end of what it wrote.
char* write_uint(char* out, std::uint64_t value);
char* write_int(char* out, std::int64_t value);
char* write_two_digits(char* out, unsigned value);  // 00..99

// The text that JSON.stringify of a JavaScript engine gives: shortest digits that read back the same bits, no exponent
// between 1e-6 and 1e21. One difference: negative zero is "-0", because "0" would not read back the same.
// The value must be finite.
char* write_float(char* out, double value);

}  // namespace headrace::data
