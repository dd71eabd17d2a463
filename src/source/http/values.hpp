// One JSON value (its text, already known to be valid) into a column. Pure.
#pragma once

#include "data/column.hpp"
#include "source/http/columns.hpp"
#include "source/http/scan.hpp"

#include <string>
#include <string_view>

namespace headrace::source::http {

// The text of a JSON string without its quotes; halves of surrogate pairs become U+FFFD.
void unescape(std::string_view inside, std::string& out);

// Appends a value that is not null and lies in a text as Scan wants it. Numbers may stand in quotes. False: it does not
// fit the type. `scratch` is memory that stays.
bool append_value(const ColumnPlan& plan, const Token& token, data::Column& column, std::string& scratch);

// The text of a scalar as people would write it: strings without quotes. For comparing.
std::string_view scalar_text(const Token& token, std::string& scratch);

// The value of an integer, also in quotes or written as 5.0 or 1e3.
std::optional<std::int64_t> integer_of(const Token& token, std::string& scratch);

}  // namespace headrace::source::http
