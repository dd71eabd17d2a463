// Incremental pipelines that read BigQuery: the range of each run, the watermark, backfills, the loss of Redis.
#include "run/control.hpp"
#include "support/bigquery/simulator.hpp"
#include "support/stack.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace headrace {
namespace {

using support::Stack;
using support::bigquery::Simulator;
using support::bigquery::Table;

class BigQueryIncremental : public testing::Test {
protected:
    BigQueryIncremental() {
        stack_.set_credential(
            {.name = "bigquery",
             .kind = "bigquery",
             .settings = {{"url", simulator_.url()}},
             .allowed_hosts = {simulator_.address()}},
            Secret(simulator_.key_file())
        );
    }

    void define(const std::string& spec, const std::string& where = "") {
        stack_.write_pipeline(
            "p",
            fmt::format(
                "source:\n  type: bigquery\n  credential: bigquery\n  default_dataset: d\n  query: |\n"
                "    SELECT id, at, v FROM events {}\n"
                "incremental: {{ {} }}\nsinks:\n"
                "  - {{ type: postgres, table: merged, mode: merge, key: id }}\n"
                "  - {{ type: postgres, table: added, mode: append, key: id }}\n"
                "  - {{ type: redis, as: keys, key: \"e:{{id}}\", mode: merge }}\n"
                "retry: {{ attempts: 1 }}\n",
                where,
                spec
            )
        );
        serve();
        worker_ = stack_.start_worker();
    }

    void add(int id, std::int64_t microseconds, const std::string& v) {
        rows_.push_back({fmt::format("\"{}\"", id), fmt::format("\"{}\"", microseconds), "\"" + v + "\""});
        serve();
    }

    void serve() {
        Table table{"headrace-test.d.events", rows_.size(), {}};
        const std::pair<const char*, const char*> columns[] = {{"id", "INTEGER"}, {"at", "TIMESTAMP"}, {"v", "STRING"}};
        for (std::size_t i = 0; i < std::size(columns); ++i) {
            table.columns.push_back(
                {columns[i].first,
                 columns[i].second,
                 "NULLABLE",
                 "",
                 [rows = rows_, i](std::string& out, auto row) { out += rows[row][i]; }}
            );
        }
        simulator_.add(std::move(table));
    }

    std::string run(std::optional<run::Backfill> backfill = std::nullopt) {
        run_id_ = run::trigger_run(
                      stack_.db(), {.pipeline = "p", .trigger = "manual", .by = "test", .backfill = std::move(backfill)}
        )
                      .run_id;
        EXPECT_NE(stack_.await_final(run_id_), "") << worker_->log();
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

    Simulator simulator_{{.page_rows = 2}};
    Stack stack_;
    std::vector<std::array<std::string, 3>> rows_;
    std::unique_ptr<support::HeadraceProcess> worker_;
    std::string run_id_;
};

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t first_of_2024 = 1'704'067'200 * second;

TEST_F(BigQueryIncremental, ReadsWhatIsNewAndWhatCameLate) {
    add(1, first_of_2024 - 1, "x");  // a microsecond before `start`
    add(2, first_of_2024, "a");
    add(3, first_of_2024 + 86'400 * second + 1, "a");
    define("cursor: at, start: 2024-01-01T00:00:00Z, lag: 10m");
    EXPECT_EQ(run(), "succeeded 2");
    EXPECT_EQ(watermark(), "at 2024-01-02T00:00:00.000001Z");
    EXPECT_EQ(
        of_run("cursor_range->>'from' || ' ' || (cursor_range->>'to')"),
        "2024-01-01T00:00:00.000000Z 2024-01-02T00:00:00.000001Z"
    );
    const auto mark = first_of_2024 + 86'400 * second + 1;
    add(4, mark, "b");                     // the same value as the watermark
    add(5, mark - 600 * second, "b");      // late, and just within the lag
    add(6, mark - 600 * second - 1, "b");  // a microsecond later than the lag allows
    add(3, mark + 1, "b");                 // a newer version of a row
    EXPECT_EQ(run(), "succeeded 4");
    EXPECT_EQ(watermark(), "at 2024-01-02T00:00:00.000002Z");
    EXPECT_EQ(ids("merged"), "2a 3b 4b 5b");
    EXPECT_EQ(ids("added"), "2a 3a 4b 5b") << "a row that is there stays as it is";
    EXPECT_NE(stack_.get("e:3").find("\"v\":\"b\""), std::string::npos);
    EXPECT_EQ(stack_.get("e:6"), "");
    EXPECT_EQ(watermark(), "at 2024-01-02T00:00:00.000002Z");
}

TEST_F(BigQueryIncremental, BackfillReadsItsRangeAndLeavesTheWatermark) {
    for (const int id : {3, 5, 7, 12}) {
        add(id, first_of_2024, "a");
    }
    define("cursor: id, start: 10", "WHERE id >= @cursor_from AND id <= @cursor_to");
    EXPECT_EQ(run(), "succeeded 1");
    EXPECT_EQ(run(run::Backfill{"5", "7"}), "succeeded 2");
    EXPECT_EQ(ids("merged"), "5a 7a 12a");
    EXPECT_EQ(watermark(), "id 12");
}

TEST_F(BigQueryIncremental, F11_RedisGetsAllItsRowsBackAndTablesNothingTwice) {
    add(1, first_of_2024, "a");
    define("cursor: id, start: 0");
    EXPECT_EQ(run(), "succeeded 1");
    add(2, first_of_2024, "b");
    EXPECT_EQ(run(), "succeeded 2");
    stack_.redis().command({"FLUSHALL"});
    EXPECT_TRUE(stack_.await([&] { return !stack_.get("e:1").empty() && !stack_.get("e:2").empty(); }))
        << worker_->log();
    EXPECT_EQ(watermark(), "id 2");
    EXPECT_EQ(ids("added"), "1a 2b");
}

TEST_F(BigQueryIncremental, ACursorOfAnotherTypeIsRefused) {
    add(1, first_of_2024, "a");
    define("cursor: at, start: 5");
    EXPECT_EQ(run(), "failed 0 source.query");
    EXPECT_NE(of_run("error->>'message'").find("TIMESTAMP, INT64"), std::string::npos) << of_run("error->>'message'");
    EXPECT_EQ(watermark(), "");
}

}  // namespace
}  // namespace headrace
