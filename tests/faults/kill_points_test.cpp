// F01, F04: the worker is killed with SIGKILL at each point of the commit protocol while a run replaces a good output.
// Another worker finishes the run; a reader that polls all the time never sees half a table, a mixture, or a step back.
#include "support/sanitized.hpp"
#include "support/scene.hpp"
#include "support/table_reader.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <tuple>
#include <vector>

namespace headrace {
namespace {

using support::Stack;
using support::TableReader;
using support::TornReader;

constexpr int table_rows = 3000;
constexpr const char* output_count = "6";

// Staging that a dead attempt left is younger than an hour: it is made older, and then swept.
void expect_staging_swept(Stack& stack) {
    stack.sql("update etl_attempts set started_at = started_at - interval '2 hours' returning 1 as x");
    auto sweeper = stack.start_worker();
    EXPECT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from pg_tables where schemaname = 'headrace_staging'") == "0";
    })) << sweeper->log();
}

// A good generation 1, made by a worker that is stopped again.
void make_first_generation(Stack& stack) {
    stack.write_versioned_pipeline(table_rows);
    stack.set_version(1);
    auto worker = stack.start_worker();
    ASSERT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << worker->log();
    worker->terminate(std::chrono::seconds(10));
}

// Every layout and every mode. Their order gives the numbers of the points: K6#3 is in the third of them.
constexpr std::string_view every_layout = R"(source:
  type: clickhouse
  credential: clickhouse
  query: |
    SELECT number AS id, concat(toString(number), '@', toString(v)) AS tag, v
    FROM (SELECT number FROM system.numbers LIMIT 900)
    CROSS JOIN (SELECT max(v) AS v FROM version)
sinks:
  - { type: redis, as: json, key: "cache:t" }
  - { type: redis, as: hash, key: "cache:t:hash", field: id }
  - { type: redis, as: list, key: "cache:t:list", chunk_rows: 100 }
  - { type: redis, as: set, key: "cache:t:set", member: tag }
  - { type: redis, as: zset, key: "cache:t:zset", member: tag, score: id }
  - { type: redis, as: keys, key: "direct:{id}", value: tag, layout: direct }
  - { type: redis, as: keys, key: "pointed:{id}", value: tag, layout: pointer }
  - { type: redis, as: keys, key: "merged:{id}", value: tag, mode: merge }
  - { type: postgres, table: out.t, key: id }
  - { type: postgres, table: out.merged, mode: merge, key: id }
  - { type: postgres, table: out.history, mode: append }
retry: { attempts: 3, backoff: 100ms, max: 200ms }
timeout: 60s
)";
constexpr int layout_rows = 900;
constexpr int redis_outputs = 8;
constexpr int tables_of_all = 3;
constexpr int all_outputs = redis_outputs + tables_of_all;

// A point of the protocol, and how many outputs come by there.
struct Point {
    const char* name;
    int outputs = 1;
};

void PrintTo(const Point& point, std::ostream* out) {
    *out << point.name;
}

// Each point for each output in turn, one run after the other; with one worker that dies there and another that
// comes after it, and with two that both die there.
class KillPoint : public testing::TestWithParam<std::tuple<Point, int>> {
protected:
    KillPoint() {
        stack_.clickhouse("CREATE TABLE IF NOT EXISTS version (v UInt32) ENGINE = Memory");
        stack_.write_pipeline("t", std::string(every_layout));
        stack_.set_version(version_);
        const auto worker = stack_.start_worker();
        EXPECT_EQ(stack_.await_final(stack_.trigger("t")), "succeeded") << worker->log();
        worker->terminate(std::chrono::seconds(10));
    }

    void die_at(const std::string& point, int workers) {
        stack_.set_version(++version_);
        std::vector<std::unique_ptr<support::HeadraceProcess>> doomed;
        for (int i = 0; i < workers; ++i) {
            doomed.push_back(stack_.start_worker({{"HEADRACE_KILL_AT", point}}));
        }
        const auto run_id = stack_.trigger("t");
        const auto dead = [&] {
            return std::count_if(doomed.begin(), doomed.end(), [](const auto& one) { return !one->running(); });
        };
        // What the first left undone may be less than what brings the second there.
        EXPECT_TRUE(stack_.await([&] {
            return dead() == workers || (dead() > 0 && support::run_of(stack_, "state", run_id) == "succeeded");
        })) << "the kill point was not reached:\n"
            << doomed.back()->log();
        doomed.clear();
        const auto heir = stack_.start_worker();
        EXPECT_EQ(stack_.await_final(run_id, std::chrono::seconds(40)), "succeeded") << heir->log();
        EXPECT_TRUE(stack_.await([&] {
            return stack_.sql("select count(*) as x from etl_outputs where not published") == "0";
        })) << heir->log();
        expect_every_layout(run_id);
        heir->terminate(std::chrono::seconds(10));
    }

    // Of this run, all of it, and once.
    void expect_every_layout(const std::string& run_id) {
        EXPECT_EQ(
            stack_.sql(
                "select count(*) || ' ' || count(distinct output_id) as x from etl_commits where run_id = $1", {run_id}
            ),
            fmt::format("{} {}", all_outputs, all_outputs)
        );
        const auto tag = fmt::format("5@{}", version_);
        const auto text = [&](const std::string& key) { return stack_.get(key); };
        const auto number = [&](std::initializer_list<std::string_view> command) {
            return stack_.redis().command(command).integer();
        };
        const auto seen = support::look_at(text("cache:t"), layout_rows);
        EXPECT_EQ(seen.version, version_) << seen.problem;
        EXPECT_EQ(number({"HLEN", "cache:t:hash"}), layout_rows);
        EXPECT_NE(stack_.redis().command({"HGET", "cache:t:hash", "5"}).str().find(tag), std::string::npos);
        EXPECT_EQ(number({"LLEN", "cache:t:list"}), layout_rows / 100);
        EXPECT_NE(stack_.redis().command({"LINDEX", "cache:t:list", "0"}).str().find(tag), std::string::npos);
        EXPECT_EQ(number({"SCARD", "cache:t:set"}), layout_rows);
        EXPECT_EQ(number({"SISMEMBER", "cache:t:set", tag}), 1);
        EXPECT_EQ(number({"ZCARD", "cache:t:zset"}), layout_rows);
        EXPECT_EQ(stack_.redis().command({"ZSCORE", "cache:t:zset", tag}).str(), "5");
        for (const auto& key :
             {std::string("direct:"), text("pointed:*:current") + "pointed:", std::string("merged:")}) {
            EXPECT_EQ(text(key + "5"), tag) << key;
            EXPECT_EQ(text(key + std::to_string(layout_rows - 1)), fmt::format("{}@{}", layout_rows - 1, version_))
                << key;
        }
        const auto whole = fmt::format("{} {} {} {}", layout_rows, layout_rows, version_, version_);
        const auto whole_table = [&](const std::string& table) {
            return stack_.sql(
                "select concat_ws(' ', count(*), count(distinct id), min(v), max(v)) as x from " + table +
                    " where v = $1",
                {version_}
            );
        };
        for (const auto* table : {"out.t", "out.merged", "out.history"}) {
            EXPECT_EQ(whole_table(table), whole) << table;
        }
        EXPECT_EQ(stack_.sql("select count(*) as x from out.merged"), std::to_string(layout_rows));
    }

    Stack stack_;
    int version_ = 1;
};

TEST_P(KillPoint, F01_F04_anotherWorkerFinishesAndNobodySeesHalf) {
    const auto& [point, workers] = GetParam();
    TornReader reader(stack_.redis_url(), "cache:t", layout_rows);
    TableReader tables(stack_.database_url(), layout_rows);
    ASSERT_TRUE(stack_.await([&] { return reader.reads() > 0 && tables.reads() > 0; }));
    // Instrumented, the first of the outputs stands for all: the others take the same way.
    const int outputs = support::sanitized ? 1 : point.outputs;
    for (int i = 1; i <= outputs && !HasFailure(); ++i) {
        const auto place = fmt::format("{}#{}", point.name, i);
        SCOPED_TRACE(place);
        die_at(place, workers);
    }
    EXPECT_TRUE(stack_.await([&] { return reader.last_version() == version_; }))
        << "last seen: " << reader.last_version();
    EXPECT_EQ(reader.violation(), "");
    EXPECT_EQ(tables.stop(), "");
    EXPECT_GT(tables.reads(), 0);
    expect_staging_swept(stack_);
}

INSTANTIATE_TEST_SUITE_P(
    Protocol,
    KillPoint,
    testing::Combine(
        testing::Values(
            Point{"K1"},
            Point{"K2"},
            Point{"K3"},
            Point{"K4"},
            Point{"K5"},
            Point{"K6", all_outputs},
            Point{"K7", all_outputs},
            Point{"K8", all_outputs},
            Point{"K9", tables_of_all},
            Point{"K10"},
            Point{"K11"},
            Point{"K12", redis_outputs},
            Point{"K13", redis_outputs},
            Point{"K14", redis_outputs},
            Point{"K15", redis_outputs},
            Point{"K16"},
            Point{"K17"}
        ),
        testing::Values(1, 2)
    ),
    [](const auto& info) {
        return fmt::format("{}_{}", std::get<0>(info.param).name, std::get<1>(info.param) == 1 ? "one" : "two");
    }
);

// K18: while the staging of a failed attempt is thrown away. The old output stays, the orphan dies by its TTL.
TEST(KillPoints, K18_discardingStaging) {
    Stack stack;
    make_first_generation(stack);
    TornReader reader(stack.redis_url(), "cache:t", table_rows);
    stack.write_versioned_pipeline(table_rows, "checks:\n  - min_rows: 1000000\n");
    auto doomed = stack.start_worker({{"HEADRACE_KILL_AT", "K18"}});
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(doomed->wait(std::chrono::seconds(20))) << doomed->log();
    auto heir = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(40)), "failed") << heir->log();
    EXPECT_EQ(stack.sql("select error->>'code' as x from etl_runs where run_id = $1", {run_id}), "check.min_rows");
    EXPECT_EQ(support::look_at(stack.get("cache:t"), table_rows).version, 1);
    EXPECT_EQ(reader.violation(), "");
}

// K19: in the reconciler, about to publish again what Redis lost.
TEST(KillPoints, K19_reconcilerPublishes) {
    Stack stack;
    make_first_generation(stack);
    stack.redis().command({"FLUSHALL"});
    auto doomed = stack.start_worker({{"HEADRACE_KILL_AT", "K19"}});
    ASSERT_TRUE(doomed->wait(std::chrono::seconds(20))) << doomed->log();
    auto heir = stack.start_worker();
    EXPECT_TRUE(stack.await([&] { return support::look_at(stack.get("cache:t"), table_rows).version == 1; }))
        << heir->log();
    EXPECT_TRUE(stack.await([&] { return stack.redis().command({"ZCARD", "cache:t:zset"}).integer() == table_rows; }));
}

// K20: a slot became a run, its job was not sent. K21: the job was sent, the outbox row was not marked.
TEST(KillPoints, F09_K20_K21_slotRunsExactlyOnce) {
    for (const char* point : {"K20", "K21"}) {
        SCOPED_TRACE(point);
        Stack stack;
        stack.write_versioned_pipeline(
            table_rows, "schedule: { cron: \"* * * * * *\", timezone: UTC, overlap: skip }\n"
        );
        stack.set_version(1);
        auto doomed = stack.start_worker({{"HEADRACE_KILL_AT", point}});
        ASSERT_TRUE(doomed->wait(std::chrono::seconds(20))) << doomed->log();
        const auto run_id =
            stack.sql("select run_id as x from etl_runs where trigger = 'schedule' order by queued_at limit 1");
        ASSERT_NE(run_id, "");
        auto heir = stack.start_worker();
        EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(40)), "succeeded") << heir->log();
        EXPECT_EQ(
            stack.sql(
                "select max(n) as x from (select count(*) as n from etl_runs where slot is not null group by slot) s"
            ),
            "1"
        );
        EXPECT_EQ(stack.sql("select count(*) as x from etl_commits where run_id = $1", {run_id}), output_count);
    }
}

}  // namespace
}  // namespace headrace
