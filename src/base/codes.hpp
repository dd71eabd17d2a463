// Every stable error code with its sentence and its hint. The page, the API and docs/errors.md are made from this list;
// a test fails when code in src/ throws one that is not here.
#pragma once

#include <span>
#include <string_view>

namespace headrace {

struct CodeInfo {
    std::string_view code;      // stable, "area.what"
    std::string_view sentence;  // what happened, for a person
    std::string_view hint;      // what to do about it
};

std::span<const CodeInfo> all_codes();
const CodeInfo* find_code(std::string_view code);  // nullptr when unknown

}  // namespace headrace
