// F01, F04: the worker is killed with SIGKILL at each point of the commit protocol while a run replaces a good output.
// Another worker finishes the run; a reader that polls all the time never sees half a table, a mixture, or a step back.
#include "support/scene.hpp"
#include "support/table_reader.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>

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

class KillPoint : public testing::TestWithParam<const char*> {};

TEST_P(KillPoint, F01_F04_anotherWorkerFinishesAndNobodySeesHalf) {
    Stack stack;
    make_first_generation(stack);
    TornReader reader(stack.redis_url(), "cache:t", table_rows);
    TableReader tables(stack.database_url(), table_rows);
    ASSERT_TRUE(stack.await([&] { return reader.reads() > 0 && tables.reads() > 0; }));
    stack.set_version(2);

    auto doomed = stack.start_worker({{"HEADRACE_KILL_AT", GetParam()}});
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(doomed->wait(std::chrono::seconds(20))) << "the kill point was not reached:\n" << doomed->log();

    auto heir = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(40)), "succeeded") << heir->log();
    EXPECT_TRUE(stack.await([&] { return reader.last_version() == 2; })) << "last seen: " << reader.last_version();
    support::expect_whole(stack, run_id, 2, table_rows);
    EXPECT_EQ(reader.violation(), "");
    EXPECT_EQ(tables.stop(), "");
    EXPECT_GT(tables.reads(), 0);
    heir->terminate(std::chrono::seconds(10));
    expect_staging_swept(stack);
}

INSTANTIATE_TEST_SUITE_P(
    Protocol,
    KillPoint,
    testing::
        // #5 and #6 are those of the postgres sinks (replace, append).
    Values(
        "K1",
        "K2",
        "K3",
        "K4",
        "K5",
        "K6",
        "K6#5",
        "K6#6",
        "K7",
        "K7#5",
        "K7#6",
        "K8",
        "K8#5",
        "K8#6",
        "K9",
        "K9#2",
        "K10",
        "K11",
        "K12",
        "K13",
        "K14",
        "K15",
        "K16",
        "K17"
    ),
    [](const auto& info) {
        std::string name(info.param);
        std::replace(name.begin(), name.end(), '#', '_');
        return name;
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
