#include "base/text.hpp"
#include "pipeline/parse_parts.hpp"
#include "pipeline/suggest.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace headrace::pipeline {
namespace {

using data::Kind;
using yaml::Node;

constexpr int max_precision = 76;  // BigQuery's BIGNUMERIC and ClickHouse's Decimal256

constexpr Kind kinds[] = {
    Kind::boolean,
    Kind::int64,
    Kind::uint64,
    Kind::float64,
    Kind::decimal,
    Kind::string,
    Kind::bytes,
    Kind::date,
    Kind::time,
    Kind::timestamp,
    Kind::json};

// What other systems call these types.
struct Alias {
    std::string_view word;
    std::string_view type;
};

constexpr Alias aliases[] = {
    {"bigint", "int64"},          {"bool", "boolean"},    {"datetime", "timestamp"}, {"double", "float64"},
    {"float", "float64"},         {"float32", "float64"}, {"int", "int64"},          {"int32", "int64"},
    {"integer", "int64"},         {"jsonb", "json"},      {"number", "decimal"},     {"numeric", "decimal"},
    {"object", "json"},           {"real", "float64"},    {"str", "string"},         {"text", "string"},
    {"timestamptz", "timestamp"}, {"uint32", "uint64"},   {"varchar", "string"},     {"bytea", "bytes"}};

std::string type_hint(std::string_view word) {
    const auto alias =
        std::find_if(std::begin(aliases), std::end(aliases), [&](const Alias& a) { return a.word == word; });
    if (alias != std::end(aliases)) {
        return fmt::format("; did you mean `{}`?", alias->type);
    }
    const auto types = column_types();
    auto hint = did_you_mean(word, types);
    return hint.empty() ? fmt::format("; the types are {}", one_of(types)) : hint;
}

bool read_number(std::string_view text, int min, int max, std::uint8_t& out) {
    int value = 0;
    text = trimmed(text);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < min || value > max) {
        return false;
    }
    out = static_cast<std::uint8_t>(value);
    return true;
}

// "12,2" of decimal(12,2).
bool read_precision(std::string_view text, data::Field& field) {
    const auto comma = text.find(',');
    if (comma == std::string_view::npos) {
        return read_number(text, 1, max_precision, field.precision);
    }
    return read_number(text.substr(0, comma), 1, max_precision, field.precision) &&
           read_number(text.substr(comma + 1), 0, field.precision, field.scale);
}

void read_column(Problems& problems, const yaml::Entry& entry, std::vector<data::Field>& out) {
    const auto what = fmt::format("columns.{}", entry.key);
    const auto text = want_text(problems, entry.value, what);
    if (!text) {
        return;
    }
    data::Field field;
    field.name = entry.key;
    field.nullable = true;
    auto word = trimmed(*text);
    if (word.ends_with('!') || word.ends_with('?')) {
        field.nullable = word.ends_with('?');
        word = trimmed(word.substr(0, word.size() - 1));
    }
    const auto bracket = word.find('(');
    const auto type = trimmed(word.substr(0, bracket));
    const auto known =
        std::find_if(std::begin(kinds), std::end(kinds), [&](Kind kind) { return to_string(kind) == type; });
    if (known == std::end(kinds)) {
        problems.add(
            entry.value.mark, fmt::format("`{}`: unknown type `{}`{}", what, type.substr(0, 40), type_hint(type))
        );
        return;
    }
    field.kind = *known;
    if (bracket != std::string_view::npos) {
        const bool closed = word.ends_with(')');
        if (field.kind != Kind::decimal || !closed ||
            !read_precision(word.substr(bracket + 1, word.size() - bracket - 2), field)) {
            problems.add(
                entry.value.mark,
                field.kind != Kind::decimal
                    ? fmt::format("`{}`: only decimal has numbers in brackets, as in decimal(12,2)", what)
                    : fmt::format(
                          "`{}` must look like decimal(12,2): at most {} digits, and not more of them after "
                          "the point than there are",
                          what,
                          max_precision
                      )
            );
            return;
        }
    }
    out.push_back(std::move(field));
}

}  // namespace

std::vector<std::string_view> column_types() {
    std::vector<std::string_view> out;
    for (const auto kind : kinds) {
        out.push_back(to_string(kind));
    }
    return out;
}

std::vector<data::Field> read_columns(Problems& problems, const Node& node) {
    std::vector<data::Field> out;
    if (!want_map(problems, node, "columns")) {
        return out;
    }
    for (const auto& entry : node.entries) {
        if (entry.key.empty() || entry.key.size() > 256) {
            problems.add(entry.mark, "a column's name has 1 to 256 bytes");
            continue;
        }
        read_column(problems, entry, out);
    }
    return out;
}

}  // namespace headrace::pipeline
