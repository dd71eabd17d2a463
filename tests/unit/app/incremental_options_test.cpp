#include "app/registry.hpp"
#include "pipeline/parse.hpp"

#include <gtest/gtest.h>

namespace headrace::app {
namespace {

pipeline::ParseResult
parse_incremental(const std::string& spec, const std::string& sink, const std::string& where = "") {
    return pipeline::parse_definition(
        "version: 1\nname: t\nsource: { type: clickhouse, credential: c, query: \"SELECT 1" + where +
            "\" }\nincremental: " + spec + "\nsinks:\n  - " + sink + "\n",
        "t.yaml",
        make_registry({}, {})
    );
}

constexpr const char* merge = "{ type: postgres, table: t, mode: merge, key: id }";

std::string first_problem(const pipeline::ParseResult& parsed) {
    return parsed.ok() ? "" : parsed.problems.front().text();
}

TEST(IncrementalOptions, AreRead) {
    const auto parsed = parse_incremental("{ cursor: at, start: 2024-01-01, lag: 2d }", merge);
    ASSERT_EQ(first_problem(parsed), "");
    const auto& spec = parsed.definition.incremental.value();
    EXPECT_EQ(spec.column, "at");
    EXPECT_EQ(spec.kind, pipeline::CursorKind::date);
    EXPECT_EQ(spec.start, "2024-01-01");
    EXPECT_EQ(spec.lag, 2);
    EXPECT_EQ(
        parse_incremental("{ cursor: at, start: 2024-01-01T00:00:00Z, lag: 1m }", merge).definition.incremental->lag,
        60'000'000
    );
    EXPECT_EQ(parse_incremental("{ cursor: id, start: 0, lag: 50 }", merge).definition.incremental->lag, 50);
    EXPECT_EQ(parse_incremental("{ cursor: id, start: 0 }", merge).definition.incremental->chunk_rows, 500'000u);
    const auto small = parse_incremental("{ cursor: id, start: 0, chunk_rows: 70 }", merge);
    EXPECT_EQ(small.definition.incremental->chunk_rows, 70u);
    EXPECT_EQ(
        first_problem(
            parse_incremental("{ cursor: id, start: 0 }", "{ type: postgres, table: t, mode: append, key: id }")
        ),
        ""
    );
    EXPECT_EQ(
        first_problem(
            parse_incremental("{ cursor: id, start: 0 }", "{ type: redis, as: keys, key: \"a:{id}\", mode: merge }")
        ),
        ""
    );
}

TEST(IncrementalOptions, WhatCannotWorkIsRefused) {
    const auto problem = [](const std::string& spec, const std::string& sink = merge, const std::string& where = "") {
        return first_problem(parse_incremental(spec, sink, where));
    };
    EXPECT_EQ(
        problem("{ start: 0 }"),
        "t.yaml:4:14: `incremental` needs `cursor`: the column that grows, such as updated_at or id"
    );
    EXPECT_EQ(
        problem("{ cursor: id }"),
        "t.yaml:4:14: `incremental` needs `start`: where the first run begins, such as 0 or 2024-01-01T00:00:00Z"
    );
    EXPECT_EQ(
        problem("{ cursor: d, start: 2024-01-01, lag: 1h }"),
        "t.yaml:4:51: `incremental.lag`: the cursor is a date, so whole days such as 2d, found `1h`"
    );
    EXPECT_NE(problem("{ cursor: d, start: x, lag: 1 }").find("a cursor that is text has no lag"), std::string::npos);
    EXPECT_NE(problem("{ cursor: id, start: 0, lagg: 1 }").find("did you mean `lag`"), std::string::npos);
    EXPECT_NE(
        problem("{ cursor: id, start: 0 }", "{ type: redis, as: json }").find("sinks[0] replaces its output"),
        std::string::npos
    );
    EXPECT_NE(
        problem("{ cursor: id, start: 0 }", "{ type: postgres, table: t, mode: append }").find("with `key`"),
        std::string::npos
    );
    EXPECT_NE(
        problem("{ cursor: id, start: 0 }", merge, " WHERE a > @cursor_from").find("and not @cursor_to"),
        std::string::npos
    );
}

}  // namespace
}  // namespace headrace::app
