// JSON string escaping shared by the log, the journal and the batch encoder.
#pragma once

#include <string>
#include <string_view>

namespace headrace {

// Appends `text` as a JSON string with its quotes. Escapes only what RFC 8259 demands (", \, control characters).
// Rule for bytes that are not UTF-8: each maximal ill-formed part becomes U+FFFD (Unicode 15, §3.9 "best practice"),
// so that the output is always valid JSON and never longer than 3 × the input + escapes.
void append_json_string(std::string& out, std::string_view text);
std::string json_string(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace headrace
