#include "sink/postgres/spec.hpp"

#include "base/error.hpp"
#include "base/json_text.hpp"
#include "postgres/quote.hpp"
#include "postgres/staging.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <set>

namespace headrace::sink::postgres_sink {
namespace {

Error invalid(std::string message) {
    return {ErrorKind::invalid, "pipeline.invalid", std::move(message)};
}

bool is_good_name(std::string_view name) {
    const auto is_bad = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == 0x7f; };
    return !name.empty() && name.size() <= postgres::name_limit && name.front() != ' ' && name.back() != ' ' &&
           std::none_of(name.begin(), name.end(), is_bad) && is_utf8(name);
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
    return out;
}

void read_table(const std::string& text, Spec& spec) {
    const auto dot = text.find('.');
    spec.schema = dot == std::string::npos ? "public" : text.substr(0, dot);
    spec.table = dot == std::string::npos ? text : text.substr(dot + 1);
    if (!is_good_name(spec.schema) || !is_good_name(spec.table) || spec.table.find('.') != std::string::npos) {
        throw invalid(fmt::format(
            "`table` is `schema.table` or `table`, each of 1 to {} bytes and without quotes; found `{}`",
            postgres::name_limit,
            text
        ));
    }
    if (lower(spec.table).starts_with("etl_")) {
        throw invalid(fmt::format("`table: {}`: names that begin with etl_ are headrace's own; choose another", text));
    }
    if (spec.schema.starts_with("pg_") || spec.schema == "information_schema" ||
        spec.schema == postgres::staging_schema) {
        throw invalid(fmt::format("`table: {}`: the schema {} is not for outputs; choose another", text, spec.schema));
    }
}

Mode mode_of(const std::string& word) {
    if (word == "append") {
        return Mode::append;
    }
    return word == "merge" ? Mode::merge : Mode::replace;  // the option is a choice of the three
}

}  // namespace

std::string Spec::quoted() const {
    return postgres::qualified_name(schema, table);
}

Spec read_spec(const pipeline::Part& part) {
    Spec spec;
    read_table(part.options.get("table"), spec);
    spec.mode = mode_of(part.options.get("mode", "replace"));
    spec.key = part.options.get_list("key");
    if (!part.credential.empty()) {
        throw invalid(
            "a postgres sink writes to headrace's own database (DATABASE_URL); take `credential:` out of the sink"
        );
    }
    if (spec.mode == Mode::merge && spec.key.empty()) {
        throw invalid("`mode: merge` needs `key: [column, …]`: the columns that tell rows apart");
    }
    if (std::set<std::string>(spec.key.begin(), spec.key.end()).size() != spec.key.size()) {
        throw invalid("`key` names a column twice");
    }
    return spec;
}

}  // namespace headrace::sink::postgres_sink
