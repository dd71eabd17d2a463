#include "support/scene.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace headrace::support {

void expect_whole(Stack& stack, const std::string& run_id, int version, int rows) {
    EXPECT_EQ(stack.sql("select count(*) as x from etl_commits where run_id = $1", {run_id}), "6");
    EXPECT_EQ(stack.sql("select count(*) as x from etl_outputs where not published"), "0");
    EXPECT_EQ(stack.sql("select count(*) as x from etl_runs where state in ('running', 'committed')"), "0");
    const auto seen = look_at(stack.get("cache:t"), rows);
    EXPECT_EQ(seen.version, version) << seen.problem;
    EXPECT_EQ(stack.redis().command({"HLEN", "cache:t:hash"}).integer(), rows);
    EXPECT_EQ(stack.redis().command({"LLEN", "cache:t:list"}).integer(), rows / 100);
    EXPECT_EQ(stack.redis().command({"ZCARD", "cache:t:zset"}).integer(), rows);
    EXPECT_EQ(stack.redis().command({"HGET", "cache:t:meta", "run"}).str(), run_id);
    EXPECT_EQ(stack.redis().command({"HGET", "cache:t:meta", "rows"}).str(), std::to_string(rows));
    EXPECT_EQ(stack.redis().command({"TTL", "cache:t"}).integer(), -1)
        << "the staging's TTL must not reach the live key";
    const auto whole = fmt::format("{} {} {} {}", rows, rows, version, version);
    EXPECT_EQ(stack.sql("select concat_ws(' ', count(*), count(distinct id), min(v), max(v)) as x from out.t"), whole);
    EXPECT_EQ(
        stack.sql(
            "select concat_ws(' ', count(*), count(distinct id), min(v), max(v)) as x from out.history where v = $1",
            {version}
        ),
        whole
    ) << "what is appended is there exactly once";
}

std::string run_of(Stack& stack, const std::string& column, const std::string& run_id) {
    return stack.sql("select (" + column + ")::text as x from etl_runs where run_id = $1", {run_id});
}

std::string log_of(Stack& stack, const std::string& run_id) {
    return stack.sql(
        "select coalesce(string_agg(message, E'\\n' order by seq), '') as x from etl_logs where run_id = $1", {run_id}
    );
}

void write_slow_pipeline(
    Stack& stack,
    int count,
    int milliseconds,
    const std::string& more,
    const std::string& timeout
) {
    stack.clickhouse("CREATE TABLE IF NOT EXISTS version (v UInt32) ENGINE = Memory");
    const auto before = stack.sql("select coalesce(max(definition_version), 0) as x from etl_pipelines");
    stack.write_pipeline(
        "t",
        fmt::format(
            // Blocks of 100 rows: ClickHouse refuses to sleep for more than 3 s in one.
            "source:\n  type: clickhouse\n  credential: clickhouse\n  max_block_size: 100\n  query: |\n"
            "    SELECT number AS id, sleepEachRow({}) AS s, (SELECT max(v) FROM version) AS v\n"
            "    FROM system.numbers LIMIT {}\n"
            "sinks:\n  - {{ type: redis, as: json, key: \"cache:t\" }}\n"
            "retry: {{ attempts: 3, backoff: 100ms, max: 200ms }}\ntimeout: {}\n{}",
            milliseconds / 1000.0,
            count,
            timeout,
            more
        )
    );
    // Workers that run take it within a second; without one the next start does.
    stack.await(
        [&] { return stack.sql("select coalesce(max(definition_version), 0) as x from etl_pipelines") != before; },
        std::chrono::seconds(3)
    );
}

Scene::Scene(const Places& places, const std::function<HeadraceProcess::Env(Stack&)>& change)
    : stack(
          places.database_url.empty() ? servers().fresh_database() : places.database_url,
          places.redis_url.empty() ? servers().fresh_redis() : places.redis_url
      ) {
    if (change) {
        env = change(stack);
    }
    stack.write_versioned_pipeline(rows);
    stack.set_version(1);
    worker = stack.start_worker(env);
    const auto state = stack.await_final(stack.trigger("t"));
    if (state != "succeeded") {
        throw std::runtime_error("the first generation is " + state + ":\n" + worker->log());
    }
    stack.set_version(2);
}

}  // namespace headrace::support
