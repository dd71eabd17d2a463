// What Postgres cannot store in text and jsonb, made storable by the rule of base/json_text.hpp: each maximal part that
// is not UTF-8, and each NUL, becomes U+FFFD. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace headrace::sink::postgres_sink {

// True when a text column may hold it as it is.
bool is_storable(std::string_view text);
// Appends the repaired text to `out`; never more than 3 × the input.
void append_repaired(std::string& out, std::string_view text);

// jsonb decodes its strings: \u0000 and halves of surrogate pairs are refused. `json` is valid JSON.
bool is_storable_json(std::string_view json);
void append_repaired_json(std::string& out, std::string_view json);  // as long as the input

}  // namespace headrace::sink::postgres_sink
