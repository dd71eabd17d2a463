// Avro's decimals: big-endian two's complement and a scale, as the text that BigQuery writes for them. Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace headrace::source::bigquery::storage {

inline constexpr std::size_t decimal_text_max = 96;

// Digits without zeros at the end of the fraction; returns the end of what it wrote, nullptr for more than 32 bytes.
// `scale` is at most 38.
char* write_decimal(char* out, std::string_view bytes, unsigned scale);

}  // namespace headrace::source::bigquery::storage
