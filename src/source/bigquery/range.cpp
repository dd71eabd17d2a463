#include "source/bigquery/range.hpp"

#include "base/error.hpp"

#include <fmt/core.h>

#include <charconv>
#include <string_view>

namespace headrace::source::bigquery {
namespace {

using pipeline::CursorKind;
using pipeline::CursorRange;

std::string_view type_of(CursorKind kind) {
    switch (kind) {
        case CursorKind::integer:
            return "INT64";
        case CursorKind::date:
            return "DATE";
        case CursorKind::timestamp:
            return "TIMESTAMP";
        case CursorKind::text:
            break;
    }
    return "STRING";
}

// Nothing of the type is larger.
std::string_view open_end(CursorKind kind) {
    switch (kind) {
        case CursorKind::integer:
            return "9223372036854775807";
        case CursorKind::date:
            return "9999-12-31";
        case CursorKind::timestamp:
            return "9999-12-31T23:59:59.999999Z";
        case CursorKind::text:
            break;
    }
    return "\U0010FFFF\U0010FFFF\U0010FFFF\U0010FFFF";
}

std::string quoted_name(std::string_view name) {
    std::string out = "`";
    for (const char c : name) {
        if (c == '`' || c == '\\') {
            out += '\\';
        }
        out += c;
    }
    return out + '`';
}

void add_parameter(Config& config, std::string_view word, const CursorRange& range, std::string_view value) {
    std::int64_t number = 0;
    if (range.kind == CursorKind::integer &&
        std::from_chars(value.data(), value.data() + value.size(), number).ec != std::errc()) {
        throw Error(
            ErrorKind::permanent,
            "source.cursor",
            fmt::format("the cursor `{}` is to be compared with {}, which is no INT64", range.column, value)
        );
    }
    config.parameters.push_back({std::string(word.substr(1)), std::string(type_of(range.kind)), std::string(value)});
}

}  // namespace

Config largest_query(Config config, const CursorRange& range) {
    const auto words = pipeline::cursor_words(config.query);
    const auto column = quoted_name(range.column);
    add_parameter(config, pipeline::cursor_from_word, range, range.from);
    if (words.to) {
        add_parameter(config, pipeline::cursor_to_word, range, open_end(range.kind));
    }
    config.query = fmt::format(
        "SELECT MAX({0}) AS headrace_largest FROM (\n{1}\n) WHERE {0} >= {2}",
        column,
        config.query,
        pipeline::cursor_from_word
    );
    return config;
}

Config range_query(Config config, const CursorRange& range) {
    const auto words = pipeline::cursor_words(config.query);
    const bool own = words.from || words.to;
    if (!own || words.from) {
        add_parameter(config, pipeline::cursor_from_word, range, range.from);
    }
    if (!own || words.to) {
        add_parameter(config, pipeline::cursor_to_word, range, range.to.value_or(range.from));
    }
    if (!own) {
        config.query = fmt::format(
            "SELECT * FROM (\n{1}\n) WHERE {0} >= {2} AND {0} <= {3} ORDER BY {0}",
            quoted_name(range.column),
            config.query,
            pipeline::cursor_from_word,
            pipeline::cursor_to_word
        );
    }
    return config;
}

}  // namespace headrace::source::bigquery
