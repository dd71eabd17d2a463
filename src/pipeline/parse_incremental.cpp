#include "pipeline/parse_incremental.hpp"

#include <fmt/core.h>

namespace headrace::pipeline {
namespace {

constexpr std::string_view incremental_keys[] = {"cursor", "start", "lag", "chunk_rows"};
constexpr Elsewhere incremental_elsewhere[] = {{"key", "sinks"}};
constexpr std::int64_t day_ms = 86'400'000;

void read_lag(Problems& problems, const yaml::Node& node, IncrementalSpec& spec) {
    if (spec.kind == CursorKind::text) {
        problems.add(node.mark, "`incremental.lag`: a cursor that is text has no lag; leave it out");
    } else if (spec.kind == CursorKind::integer) {
        spec.lag = want_integer(problems, node, "incremental.lag", 0, 1'000'000'000'000).value_or(0);
    } else if (const auto span = want_duration(problems, node, "incremental.lag", milliseconds(0), std::chrono::hours(24 * 366))) {
        const auto ms = span->count();
        if (spec.kind == CursorKind::date && ms % day_ms != 0) {
            problems.add(
                node.mark,
                fmt::format("`incremental.lag`: the cursor is a date, so whole days such as 2d, found {}", found(node))
            );
        }
        spec.lag = spec.kind == CursorKind::date ? ms / day_ms : ms * 1000;
    }
}

void check_source(Problems& problems, const yaml::Node& node, const Registry& registry, const Definition& out) {
    for (const auto& type : registry.sources()) {
        if (type.name == out.source.type && !type.incremental) {
            problems.add(node.mark, fmt::format("`incremental`: a source of type {} cannot read a range", type.name));
        }
    }
    const auto words = cursor_words(out.source.options.get("query"));
    if (words.from != words.to) {
        problems.add(
            node.mark,
            fmt::format(
                "the query has {} and not {}; write both (`>= {}` and `<= {}`), or neither: then headrace adds the "
                "comparison",
                words.from ? cursor_from_word : cursor_to_word,
                words.from ? cursor_to_word : cursor_from_word,
                cursor_from_word,
                cursor_to_word
            )
        );
    }
}

// What replaces its output would show the new rows alone.
void check_sinks(Problems& problems, const yaml::Node& node, const Registry& registry, const Definition& out) {
    for (std::size_t i = 0; i < out.sinks.size(); ++i) {
        for (const auto& type : registry.sinks()) {
            if (type.name == out.sinks[i].type && (!type.takes_rows_again || !type.takes_rows_again(out.sinks[i]))) {
                problems.add(
                    node.mark,
                    fmt::format(
                        "`incremental`: sinks[{}] replaces its output, and would hold the rows of the last run only; "
                        "take {}",
                        i,
                        type.name == "postgres" ? "`mode: merge` or `mode: append`, with `key`"
                                                : "`as: keys` with `mode: merge`"
                    )
                );
            }
        }
    }
}

}  // namespace

void read_incremental(Problems& problems, const yaml::Node& node, const Registry& registry, Definition& out) {
    if (!want_map(problems, node, "incremental")) {
        return;
    }
    check_keys(problems, node, "incremental", incremental_keys, incremental_elsewhere);
    IncrementalSpec spec;
    if (const auto* cursor = node.find("cursor"); cursor == nullptr) {
        problems.add(node.mark, "`incremental` needs `cursor`: the column that grows, such as updated_at or id");
    } else {
        spec.column = want_text(problems, *cursor, "incremental.cursor").value_or("");
    }
    const auto* start = node.find("start");
    if (start == nullptr) {
        problems.add(
            node.mark, "`incremental` needs `start`: where the first run begins, such as 0 or 2024-01-01T00:00:00Z"
        );
    } else if (const auto text = want_text(problems, *start, "incremental.start")) {
        spec.kind = guess_cursor_kind(*text);
        spec.start = canonical_cursor(spec.kind, *text).value_or("");
    }
    if (const auto* lag = node.find("lag"); lag != nullptr && start != nullptr) {
        read_lag(problems, *lag, spec);
    }
    if (const auto* rows = node.find("chunk_rows")) {
        spec.chunk_rows = static_cast<std::uint64_t>(
            want_integer(problems, *rows, "incremental.chunk_rows", 0, 1'000'000'000).value_or(0)
        );
    }
    out.incremental = std::move(spec);
    check_source(problems, node, registry, out);
    check_sinks(problems, node, registry, out);
}

}  // namespace headrace::pipeline
