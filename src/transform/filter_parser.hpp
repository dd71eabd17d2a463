// The little language of `filter:`. Inside of transform/.
//   expression  comparisons joined by and, or, not and parentheses (words in any case)
//   comparison  column (= == != <> < <= > >=) (value or column) · column [not] in (value, …) · column is [not] null ·
//               column (a boolean one alone)
//   column      a plain name, or `any name` in back quotes or double quotes
//   value       12, -0.5, 'text' (a quote inside is doubled), true, false
#pragma once

#include "pipeline/definition.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::transform {

enum class Op { equal, unequal, less, less_equal, greater, greater_equal };

struct Literal {
    enum class Type { number, text, boolean };
    Type type = Type::text;
    std::string text;  // digits; the text without quotes; "true" or "false"
};

struct Expression {
    enum class Type { both, either, negated, compare_value, compare_column, in_list, is_null, truth };
    Type type = Type::truth;
    std::vector<std::unique_ptr<Expression>> parts;  // both, either: 2; negated: 1
    std::string column;
    std::string other;  // compare_column
    Op op = Op::equal;
    std::vector<Literal> literals;  // compare_value: 1; in_list: 1 or more
};

// Throws pipeline.invalid with what was expected and where. At most 64 levels and 16 KiB.
std::unique_ptr<Expression> parse_filter(std::string_view text, const pipeline::Place& place);

}  // namespace headrace::transform
