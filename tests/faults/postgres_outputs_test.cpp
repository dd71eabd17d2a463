// Runs with Postgres outputs that something goes wrong with: locks, zombies, lost Redis, guards.
#include "support/scene.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace headrace {
namespace {

using std::chrono::seconds;
using support::log_of;
using support::run_of;
using support::Stack;

constexpr int few_rows = 200;

// `sinks` are lines of the list.
void write_pipeline(Stack& stack, const std::string& name, const std::string& sinks, const std::string& more = "") {
    stack.clickhouse("CREATE TABLE IF NOT EXISTS version (v UInt32) ENGINE = Memory");
    stack.write_pipeline(
        name,
        fmt::format(
            "source:\n  type: clickhouse\n  credential: clickhouse\n  query: |\n"
            "    SELECT number AS id, v, arrayStringConcat(arrayMap(x -> 'some more text ', range(toUInt64(w)))) AS t\n"
            "    FROM (SELECT number, {} AS w FROM system.numbers LIMIT {}) CROSS JOIN (SELECT max(v) AS v FROM "
            "version)\n"
            "sinks:\n{}\nretry: {{ attempts: 3, backoff: 100ms, max: 200ms }}\n{}",
            name == "wide" ? 2000 : 1,
            few_rows,
            sinks,
            more
        )
    );
}

TEST(PostgresOutputs, OnlyTablesNeedNoCache) {
    Stack stack;
    write_pipeline(
        stack, "p", "  - { type: postgres, table: a }\n  - { type: postgres, table: b, mode: merge, key: id }"
    );
    stack.set_version(1);
    auto worker = stack.start_worker({{"CACHE_REDIS_URL", "redis://127.0.0.1:9"}});
    const auto run_id = stack.trigger("p");
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << worker->log();
    EXPECT_EQ(stack.sql("select concat(count(*), ' ', (select count(*) from b)) as x from a"), "200 200");
    EXPECT_EQ(
        stack.sql("select string_agg(name || published || rows, ' ' order by name) as x from etl_outputs"),
        "postgres:public.atrue200 postgres:public.btrue200"
    );
    EXPECT_EQ(
        stack.sql("select count(*) as x from etl_outputs where manifest::text like '%insert%' or payload is not null"),
        "0"
    );
}

// Redis lost an output that Postgres keeps no copy of: the source is read again, and nothing is appended twice.
TEST(PostgresOutputs, F11_PublishingAgainAppendsNothing) {
    Stack stack;
    write_pipeline(
        stack, "wide", "  - { type: redis, key: wide }\n  - { type: postgres, table: history, mode: append }"
    );
    stack.set_version(1);
    auto worker = stack.start_worker();
    ASSERT_EQ(stack.await_final(stack.trigger("wide")), "succeeded") << worker->log();
    ASSERT_EQ(stack.sql("select count(*) as x from etl_outputs where payload is not null"), "0")
        << "the output is too small";
    stack.redis().command({"FLUSHALL"});
    ASSERT_TRUE(stack.await([&] { return !stack.get("wide").empty(); })) << worker->log();
    ASSERT_TRUE(stack.await([&] {
        return stack.sql("select state as x from etl_runs where trigger = 'republish'") == "succeeded";
    })) << worker->log();
    EXPECT_EQ(stack.sql("select count(*) as x from history"), std::to_string(few_rows));
    EXPECT_EQ(stack.await_final(stack.trigger("wide")), "succeeded") << worker->log();
    EXPECT_EQ(stack.sql("select count(*) as x from history"), std::to_string(2 * few_rows));
}

// F05: stopped with its rows sealed, overtaken, and back.
TEST(PostgresOutputs, F05_ZombieAppendsNothing) {
    Stack stack;
    write_pipeline(stack, "p", "  - { type: postgres, table: history, mode: append }");
    stack.set_version(1);
    auto zombie = stack.start_worker({{"HEADRACE_KILL_AT", "K8:stop"}});
    const auto run_id = stack.trigger("p");
    ASSERT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from pg_tables where schemaname = 'headrace_staging'") == "1";
    })) << zombie->log();
    auto heir = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id, seconds(40)), "succeeded") << heir->log();
    zombie->resume();
    ASSERT_TRUE(zombie->wait_for_log("attempt ended", seconds(20))) << zombie->log();
    EXPECT_EQ(stack.sql("select count(*) as x from history"), std::to_string(few_rows));
    EXPECT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from pg_tables where schemaname = 'headrace_staging'") == "0";
    })) << "the zombie throws its staging away: "
        << zombie->log();
}

// A decision that waits for a table holds its run's row: neither its lease nor the other runs suffer from that.
TEST(PostgresOutputs, F25_LockedTableHoldsUpNobodyElse) {
    Stack stack;
    write_pipeline(stack, "held", "  - { type: postgres, table: held }");
    write_pipeline(stack, "other", "  - { type: postgres, table: other }");
    stack.set_version(1);
    auto worker = stack.start_worker();
    ASSERT_EQ(stack.await_final(stack.trigger("held")), "succeeded") << worker->log();
    stack.set_version(2);
    auto holder = postgres::Connection::connect({.url = stack.database_url()});
    holder.exec("begin");
    holder.exec("select count(*) from held");
    const auto held = stack.trigger("held");
    const auto waits = [&] {
        return stack.sql("select count(*) as x from pg_locks where not granted and relation = 'held'::regclass") == "1";
    };
    ASSERT_TRUE(stack.await(waits)) << log_of(stack, held);
    const auto started = std::chrono::steady_clock::now();
    // The lease in these tests is 2 s: longer than that, with another run in the meantime.
    EXPECT_EQ(stack.await_final(stack.trigger("other")), "succeeded") << worker->log();
    stack.await([&] { return std::chrono::steady_clock::now() - started > seconds(4); }, seconds(5));
    EXPECT_TRUE(waits());
    EXPECT_EQ(run_of(stack, "state", held), "running");
    EXPECT_EQ(stack.sql("select count(*) as x from etl_logs where run_id = $1", {held}) == "0", false)
        << "its log can be read meanwhile";
    holder.exec("commit");
    EXPECT_EQ(stack.await_final(held), "succeeded") << worker->log();
    EXPECT_EQ(run_of(stack, "attempt || ' ' || crash_count", held), "1 0");
    EXPECT_EQ(stack.sql("select min(v) as x from held"), "2");
    EXPECT_EQ(worker->log().find("not renewed"), std::string::npos) << worker->log();
    EXPECT_EQ(worker->log().find("journal is not written"), std::string::npos) << worker->log();
}

// The run's own limit ends a decision that waits.
TEST(PostgresOutputs, F54_TimeoutEndsADecisionThatWaits) {
    Stack stack;
    write_pipeline(stack, "p", "  - { type: postgres, table: held }", "timeout: 3s\n");
    stack.write_pipeline(
        "none", "source: { type: clickhouse, credential: clickhouse, query: SELECT 1 AS x }\nsinks: { type: redis }\n"
    );
    stack.set_version(1);
    auto worker = stack.start_worker();
    ASSERT_EQ(stack.await_final(stack.trigger("p")), "succeeded") << worker->log();
    stack.set_version(2);
    auto holder = postgres::Connection::connect({.url = stack.database_url()});
    holder.exec("begin");
    holder.exec("select count(*) from held");
    stack.sql("update etl_pipelines set summary = summary || '{\"maxAttempts\": 1}' where name = 'p' returning 1 as x");
    const auto run_id = stack.trigger("p");
    EXPECT_EQ(stack.await_final(run_id, seconds(20)), "failed") << worker->log();
    EXPECT_EQ(run_of(stack, "error->>'code'", run_id), "run.timeout");
    holder.exec("commit");
    EXPECT_EQ(stack.sql("select concat(count(*), ' ', max(v)) as x from held"), "200 1");
    EXPECT_EQ(
        stack.sql(
            "select count(*) as x from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        ),
        "0"
    );
    EXPECT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from pg_tables where schemaname = 'headrace_staging'") == "0";
    }));
}

TEST(PostgresOutputs, F54_CancelInTheMiddleOfTheLoad) {
    Stack stack;
    stack.write_pipeline(
        "slow",
        "source:\n  type: clickhouse\n  credential: clickhouse\n  max_block_size: 1\n  wait_end_of_query: false\n"
        "  query: SELECT sleepEachRow(0.05) AS s, arrayStringConcat(arrayMap(x -> 'large rows come at once', "
        "range(10000 + number))) AS t FROM system.numbers LIMIT 100\n"
        "sinks: { type: postgres, table: slow, mode: append }\n"
    );
    auto worker = stack.start_worker();
    const auto run_id = stack.trigger("slow");
    ASSERT_TRUE(stack.await([&] { return stack.sql("select count(*) as x from pg_stat_progress_copy") == "1"; }))
        << log_of(stack, run_id) << run_of(stack, "state || coalesce(error::text, '')", run_id) << worker->log();
    stack.sql(
        "update etl_runs set cancel_requested = true, cancelled_by = 'test' where run_id = $1 returning 1 as x",
        {run_id}
    );
    EXPECT_EQ(stack.await_final(run_id, seconds(10)), "cancelled") << worker->log();
    EXPECT_TRUE(stack.await([&] { return stack.sql("select count(*) as x from pg_stat_progress_copy") == "0"; }));
    EXPECT_EQ(
        stack.sql("select count(*) as x from pg_tables where tablename = 'slow' or schemaname = 'headrace_staging'"),
        "0"
    );
}

TEST(PostgresOutputs, F33_GuardsKeepTheTable) {
    Stack stack;
    const std::string sinks =
        "  - { type: postgres, table: a }\n  - { type: postgres, table: h, mode: append }\n  - { type: redis, key: r }";
    write_pipeline(stack, "p", sinks);
    stack.set_version(1);
    auto worker = stack.start_worker();
    ASSERT_EQ(stack.await_final(stack.trigger("p")), "succeeded") << worker->log();
    stack.set_version(2);
    write_pipeline(stack, "p", sinks, "transform:\n  - filter: id < 20\nchecks:\n  - max_drop: 50%\n");
    ASSERT_TRUE(stack.await([&] {
        return stack.sql("select definition_version as x from etl_pipelines where name = 'p'") == "2";
    }));
    const auto run_id = stack.trigger("p");
    EXPECT_EQ(stack.await_final(run_id), "failed") << worker->log();
    EXPECT_EQ(run_of(stack, "error->>'code'", run_id), "check.max_drop");
    EXPECT_EQ(
        stack.sql("select concat(count(*), ' ', max(v), ' ', (select count(*) from h)) as x from a"), "200 1 200"
    );
    EXPECT_EQ(stack.await_final(stack.trigger("p", true)), "succeeded") << worker->log();
    EXPECT_EQ(stack.sql("select concat(count(*), ' ', max(v), ' ', (select count(*) from h)) as x from a"), "20 2 220");
}

// A sink that refuses is known to the whole run: no output of it changes.
TEST(PostgresOutputs, OneSinkRefusesAllStay) {
    Stack stack;
    write_pipeline(
        stack,
        "p",
        "  - { type: redis, key: r }\n  - { type: postgres, table: a }\n  - { type: postgres, table: b, mode: append }"
    );
    stack.set_version(1);
    auto worker = stack.start_worker();
    ASSERT_EQ(stack.await_final(stack.trigger("p")), "succeeded") << worker->log();
    const auto before = stack.get("r");
    stack.db().script("alter table b alter column v type text");
    stack.set_version(2);
    const auto run_id = stack.trigger("p");
    EXPECT_EQ(stack.await_final(run_id), "failed") << worker->log();
    EXPECT_EQ(run_of(stack, "error->>'code'", run_id), "sink.invalid");
    EXPECT_NE(
        run_of(stack, "error->>'message'", run_id).find("does not fit public.b.v, which is text"), std::string::npos
    );
    EXPECT_NE(run_of(stack, "error->>'hint'", run_id).find("ALTER TABLE"), std::string::npos);
    EXPECT_EQ(stack.sql("select concat(count(*), ' ', max(v)) as x from a"), "200 1");
    EXPECT_EQ(stack.get("r"), before);
}

}  // namespace
}  // namespace headrace
