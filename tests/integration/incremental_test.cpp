// Incremental pipelines: the range that each run reads, the watermark that goes with the rows, backfills, and what
// happens when Redis loses rows.
#include "run/control.hpp"
#include "support/stack.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace headrace {
namespace {

using support::Stack;

class Incremental : public testing::Test {
protected:
    // Rows (id, at, v). `spec` is what stands in `incremental: {}`, `where` the end of the query.
    void define(const std::string& spec, const std::string& where = "", const std::string& more = "") {
        stack_.clickhouse("CREATE TABLE IF NOT EXISTS events (id UInt64, at DateTime, v String) ENGINE = Memory");
        stack_.write_pipeline(
            "p",
            fmt::format(
                "source:\n  type: clickhouse\n  credential: clickhouse\n  query: |\n    SELECT id, at, v FROM events "
                "{}\n"
                "incremental: {{ {} }}\nsinks:\n"
                "  - {{ type: postgres, table: merged, mode: merge, key: id }}\n"
                "  - {{ type: postgres, table: added, mode: append, key: id }}\n"
                "  - {{ type: redis, as: keys, key: \"e:{{id}}\", mode: merge }}\n"
                "retry: {{ attempts: 1, backoff: 100ms, max: 200ms }}\n{}",
                where,
                spec,
                more
            )
        );
    }

    void add(int id, const std::string& at, const std::string& v) {
        stack_.clickhouse(fmt::format("INSERT INTO events VALUES ({}, '{}', '{}')", id, at, v));
    }

    void start() { worker_ = stack_.start_worker(); }

    // One run to its end: state, rows read, and the code of its error.
    std::string run(std::optional<run::Backfill> backfill = std::nullopt) {
        run_id_ = run::trigger_run(
                      stack_.db(),
                      {.pipeline = "p",
                       .trigger = "manual",
                       .by = "test",
                       .reason = {},
                       .idempotency_key = {},
                       .retry_of = {},
                       .forced = false,
                       .backfill = std::move(backfill)}
        )
                      .run_id;
        if (stack_.await_final(run_id_).empty()) {
            ADD_FAILURE() << worker_->log();
        }
        return of_run("state || ' ' || rows_read || coalesce(' ' || (error->>'code'), '')");
    }

    std::string of_run(const std::string& expression) {
        return stack_.sql("select " + expression + " as x from etl_runs where run_id = $1", {run_id_});
    }

    std::string ids(const std::string& table) {
        return stack_.sql("select coalesce(string_agg(id || v, ' ' order by id), '') as x from " + table);
    }

    std::string watermark() {
        return stack_.sql(
            "select coalesce((select cursor_column || ' ' || value from etl_watermarks where pipeline = 'p'), '') as x"
        );
    }

    std::string in_redis(int id) {
        const auto value = stack_.get("e:" + std::to_string(id));
        const auto at = value.find("\"v\":\"");
        return at == std::string::npos ? value : value.substr(at + 5, 1);
    }

    Stack stack_;
    std::unique_ptr<support::HeadraceProcess> worker_;
    std::string run_id_;
};

TEST_F(Incremental, ReadsWhatIsNewAndWhatCameLate) {
    define("cursor: at, start: 2024-01-01T00:00:00Z, lag: 10m");
    add(1, "2023-12-31 23:59:59", "x");  // before `start`
    add(2, "2024-01-01 00:00:00", "a");
    add(3, "2024-01-02 00:00:00", "a");
    start();
    EXPECT_EQ(run(), "succeeded 2");
    EXPECT_EQ(watermark(), "at 2024-01-02T00:00:00.000000Z");
    EXPECT_EQ(
        of_run("cursor_range->>'from' || ' ' || (cursor_range->>'to')"),
        "2024-01-01T00:00:00.000000Z 2024-01-02T00:00:00.000000Z"
    );
    add(4, "2024-01-02 00:00:00", "b");  // the same value as the watermark
    add(5, "2024-01-01 23:50:00", "b");  // late, and within the lag
    add(6, "2024-01-01 23:49:59", "b");  // later than the lag allows
    add(3, "2024-01-02 00:00:01", "b");  // a newer version of a row
    EXPECT_EQ(run(), "succeeded 4");
    EXPECT_EQ(watermark(), "at 2024-01-02T00:00:01.000000Z");
    EXPECT_EQ(ids("merged"), "2a 3b 4b 5b");
    EXPECT_EQ(ids("added"), "2a 3a 4b 5b") << "a row that is there stays as it is";
    EXPECT_EQ(in_redis(3), "b");
    EXPECT_EQ(in_redis(6), "");
    EXPECT_EQ(run(), "succeeded 3") << "nothing is new: the lag alone";
    EXPECT_EQ(ids("added"), "2a 3a 4b 5b");
    EXPECT_EQ(watermark(), "at 2024-01-02T00:00:01.000000Z");
}

TEST_F(Incremental, BackfillReadsItsRangeAndLeavesTheWatermark) {
    define("cursor: id, start: 10");
    for (const int id : {3, 5, 7, 12}) {
        add(id, "2024-01-01 00:00:00", "a");
    }
    start();
    EXPECT_EQ(run(), "succeeded 1");
    EXPECT_EQ(run(run::Backfill{"5", "7"}), "succeeded 2");
    EXPECT_EQ(ids("merged"), "5a 7a 12a");
    EXPECT_EQ(watermark(), "id 12");
    EXPECT_EQ(run(run::Backfill{"0", "100"}), "succeeded 4");
    EXPECT_EQ(watermark(), "id 12") << "a backfill behind it does not move it";
    const auto first = run_id_;
    const auto again = run::retry_run(stack_.db(), first, "test", std::nullopt).run_id;
    ASSERT_EQ(stack_.await_final(again), "succeeded");
    EXPECT_EQ(
        stack_.sql("select rows_read || (backfill->>'to') as x from etl_runs where run_id = $1", {again}), "4100"
    );
    for (const auto& [from, to] : {std::pair{"5", "x"}, std::pair{"7", "5"}}) {
        try {
            run(run::Backfill{from, to});
            ADD_FAILURE() << from << " to " << to;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), "run.range");
        }
    }
}

// The placeholders stand where the query wants them; the upper end is fixed before the first row is read.
TEST_F(Incremental, WordsInTheQuery) {
    define("cursor: id, start: 0", "WHERE id >= @cursor_from AND id <= @cursor_to");
    add(1, "2024-01-01 00:00:00", "a");
    add(2, "2024-01-01 00:00:00", "a");
    start();
    EXPECT_EQ(run(), "succeeded 2");
    add(9, "2024-01-01 00:00:00", "b");
    EXPECT_EQ(run(), "succeeded 2");
    EXPECT_EQ(watermark(), "id 9");
    EXPECT_EQ(ids("merged"), "1a 2a 9b");
}

TEST_F(Incremental, AQueryThatComparesOtherwiseIsRefused) {
    define("cursor: id, start: 5", "WHERE id >= @cursor_from - 3 AND id <= @cursor_to");
    add(3, "2024-01-01 00:00:00", "a");
    add(6, "2024-01-01 00:00:00", "a");
    start();
    EXPECT_EQ(run(), "failed 2 source.cursor");
    EXPECT_EQ(watermark(), "");
}

TEST_F(Incremental, ACursorOfAnotherKindIsRefused) {
    define("cursor: at, start: 5");
    add(3, "2024-01-01 00:00:00", "a");
    start();
    const auto outcome = run();
    EXPECT_TRUE(outcome == "failed 0 source.cursor" || outcome == "failed 0 source.query") << outcome;
    EXPECT_NE(of_run("error->>'message'"), "");
}

TEST_F(Incremental, F11_RedisGetsAllItsRowsBackAndTablesNothingTwice) {
    define("cursor: id, start: 0");
    add(1, "2024-01-01 00:00:00", "a");
    start();
    EXPECT_EQ(run(), "succeeded 1");
    add(2, "2024-01-01 00:00:00", "b");
    EXPECT_EQ(run(), "succeeded 2");
    stack_.redis().command({"FLUSHALL"});
    EXPECT_TRUE(stack_.await([&] { return in_redis(1) == "a" && in_redis(2) == "b"; })) << worker_->log();
    EXPECT_EQ(watermark(), "id 2");
    EXPECT_EQ(ids("added"), "1a 2b");
}

// A sink that comes later must not begin in the middle.
TEST_F(Incremental, ANewOutputMakesTheRunReadEverything) {
    define("cursor: id, start: 0");
    add(1, "2024-01-01 00:00:00", "a");
    add(2, "2024-01-01 00:00:00", "b");
    start();
    EXPECT_EQ(run(), "succeeded 2");
    worker_.reset();
    define("cursor: id, start: 0", "", "description: with one more table\n");
    stack_.write_pipeline(
        "p",
        "source:\n  type: clickhouse\n  credential: clickhouse\n  query: SELECT id, at, v FROM events\n"
        "incremental: { cursor: id, start: 0 }\nsinks:\n"
        "  - { type: postgres, table: merged, mode: merge, key: id }\n"
        "  - { type: postgres, table: second, mode: merge, key: id }\n"
    );
    start();
    ASSERT_TRUE(stack_.await([&] {
        return stack_.sql("select summary->>'sinks' like '%second%' as x from etl_pipelines where name = 'p'") == "t";
    })) << worker_->log();
    EXPECT_EQ(run(), "succeeded 2");
    EXPECT_EQ(ids("second"), "1a 2b");
}

// The watermark is in the decision: a worker that dies around it loses neither rows nor moves ahead of them.
TEST_F(Incremental, WatermarkAndRowsAreDecidedTogether) {
    define("cursor: id, start: 0", "", "timeout: 30s\n");
    add(1, "2024-01-01 00:00:00", "a");
    for (const char* point : {"K9", "K10", "K11"}) {
        auto dying = stack_.start_worker({{"HEADRACE_KILL_AT", point}});
        const auto id = run::trigger_run(stack_.db(), {.pipeline = "p", .trigger = "manual", .by = "test"}).run_id;
        EXPECT_TRUE(dying->wait(std::chrono::seconds(30))) << point << dying->log();
        const bool there = stack_.sql("select coalesce(to_regclass('merged')::text, '') as x") == "merged";
        EXPECT_EQ(watermark() != "", there && ids("merged") == "1a") << point;
        auto healer = stack_.start_worker();
        EXPECT_EQ(stack_.await_final(id), "succeeded") << point << healer->log();
        EXPECT_NE(watermark(), "") << point;
        stack_.sql("delete from etl_watermarks returning 1 as x");
        stack_.sql("delete from merged returning 1 as x");
    }
}

}  // namespace
}  // namespace headrace
