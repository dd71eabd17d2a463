// Options of sinks that do not go together are problems of the file, with their place.
#include "app/registry.hpp"
#include "pipeline/parse.hpp"

#include <gtest/gtest.h>

namespace headrace::app {
namespace {

std::string problem_of(const std::string& sink) {
    const auto parsed = pipeline::parse_definition(
        "version: 1\nname: t\nsource: { type: clickhouse, credential: c, query: SELECT 1 }\nsinks:\n  - { type: redis "
        "}\n"
        "  - " +
            sink + "\n",
        "pipelines/t.yaml",
        make_registry({}, {})
    );
    return parsed.ok() ? std::string() : parsed.problems.front().text();
}

TEST(SinkOptions, PostgresSinkAtParseTime) {
    EXPECT_EQ(problem_of("{ type: postgres, table: reports.projects }"), "");
    EXPECT_EQ(problem_of("{ type: postgres, table: projects, mode: merge, key: [id, day] }"), "");
    const std::pair<const char*, const char*> bad[] = {
        {"{ type: postgres }", "pipelines/t.yaml:6:13: `sinks[1]` of type postgres needs `table`"},
        {"{ type: postgres, table: a.b.c }", "pipelines/t.yaml:6:5: `table` is `schema.table` or `table`"},
        {"{ type: postgres, table: etl_runs }", "pipelines/t.yaml:6:5: `table: etl_runs`: names that begin with etl_"},
        {"{ type: postgres, table: t, mode: merge }", "pipelines/t.yaml:6:5: `mode: merge` needs `key: [column, …]`"},
        {"{ type: postgres, table: t, mode: apend }", "pipelines/t.yaml:6:39: `sinks[1].mode` must be"},
        {"{ type: postgres, table: t, credential: pg }",
         "pipelines/t.yaml:6:5: a postgres sink writes to headrace's own"},
        {"{ type: postgres, table: t, kye: id }", "pipelines/t.yaml:6:33: unknown key"}};
    for (const auto& [sink, expected] : bad) {
        EXPECT_EQ(problem_of(sink).substr(0, std::string(expected).size()), expected) << problem_of(sink);
    }
}

}  // namespace
}  // namespace headrace::app
