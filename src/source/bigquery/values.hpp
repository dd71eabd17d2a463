// Text of one value, as BigQuery writes it, into a column or into the JSON text of a list or record. Pure.
#pragma once

#include "data/column.hpp"
#include "source/bigquery/schema.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::source::bigquery {

// Microseconds since 1970 from what the API has been seen to send: microseconds ("1700000000123456", also with an
// exponent), seconds with a fraction or an exponent ("1.7E9"), RFC 3339. nullopt: none of these, or parts of a
// microsecond would be lost.
std::optional<std::int64_t> parse_micros(std::string_view text);
// Plain digits as they are; an exponent is resolved into `space`. nullopt: no number.
std::optional<std::string_view> parse_digits(std::string_view text, std::string& space);
std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<double> parse_double(std::string_view text);  // also NaN, Infinity, -Infinity

// Appends a value that is not null. False: the text does not fit the type.
bool append_value(const Type& type, std::string_view text, data::Column& column);
// The same as JSON. Types without a JSON form of their own are strings; NaN and infinities are null.
bool append_json(const Type& type, std::string_view text, data::Buffer<char>& out);

}  // namespace headrace::source::bigquery
