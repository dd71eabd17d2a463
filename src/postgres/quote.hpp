// Names and texts inside SQL that cannot be parameters (DDL). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace headrace::postgres {

inline constexpr std::size_t name_limit = 63;  // bytes; Postgres would cut a longer name silently

std::string quote_identifier(std::string_view name);                          // "a""b"
std::string quote_identifiers(const std::vector<std::string>& names);         // "a", "b"
std::string qualified_name(std::string_view schema, std::string_view table);  // "s"."t"
std::string quote_literal(std::string_view text);                             // 'it''s', E'back\\slash'; no NUL bytes

}  // namespace headrace::postgres
