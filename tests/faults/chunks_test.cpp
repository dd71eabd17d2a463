// Chunks: a retried attempt of an incremental run goes on behind what the one before it has put away (run/chunks.hpp).
// The source is changed between the attempts: which value of `v` a row has tells which attempt read it.
#include "support/scene.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace headrace {
namespace {

using std::chrono::seconds;
using support::run_of;
using support::servers;
using support::Stack;

constexpr int all_rows = 5'000;
constexpr int chunk_rows = 1'000;

class ChunkStack {
public:
    // Rows (id, g, v), in blocks of 128: g is shared by `group` rows that follow each other. Ids from 1.
    explicit ChunkStack(const std::string& cursor = "id", int group = 1) {
        stack.clickhouse("CREATE TABLE version (v String) ENGINE = Memory");
        stack.clickhouse(fmt::format(
            "CREATE VIEW events AS SELECT number + 1 AS id, intDiv(number, {}) + 1 AS g, v FROM (SELECT number FROM"
            " system.numbers LIMIT {}) CROSS JOIN (SELECT max(v) AS v FROM version)",
            group,
            all_rows
        ));
        fill("a");
        write(cursor);
    }

    void fill(const std::string& v) { stack.clickhouse("INSERT INTO version VALUES ('" + v + "')"); }

    void write(
        const std::string& cursor,
        const std::string& more = "",
        const std::string& query = "SELECT id, g, v FROM events"
    ) {
        stack.write_pipeline(
            "p",
            fmt::format(
                "source:\n  type: clickhouse\n  credential: clickhouse\n  max_block_size: 128\n  query: {}\n"
                "incremental: {{ cursor: {}, start: 0, chunk_rows: {} }}\nsinks:\n"
                "  - {{ type: postgres, table: merged, mode: merge, key: id }}\n"
                "  - {{ type: postgres, table: added, mode: append, key: id }}\n"
                "retry: {{ attempts: 3, backoff: 100ms, max: 200ms }}\n{}",
                query,
                cursor,
                chunk_rows,
                more
            )
        );
    }

    // One run: its worker dies at `point`, the source changes, another worker finishes.
    void run_with_a_death(const std::string& point) {
        auto doomed = stack.start_worker({{"HEADRACE_KILL_AT", point}});
        run_id = stack.trigger("p");
        ASSERT_TRUE(doomed->wait(seconds(20))) << point << " was not reached:\n" << doomed->log();
        fill("b");
        finish();
    }

    void finish() {
        heir = stack.start_worker();
        EXPECT_EQ(stack.await_final(run_id, seconds(40)), "succeeded") << run_of(stack, "error", run_id) << heir->log();
    }

    // "rows, distinct ids; ids that the first attempt read"
    std::string content(const std::string& table) {
        return stack.sql(
            "select concat_ws(' ', count(*), count(distinct id), count(*) filter (where v = 'a'), coalesce(max(id)"
            " filter (where v = 'a'), 0)) as x from " +
            table
        );
    }

    // Everything exactly once, and exactly the first `from_first` rows from the first attempt.
    void expect_whole(int from_first) {
        const auto wanted = fmt::format("{} {} {} {}", all_rows, all_rows, from_first, from_first);
        EXPECT_EQ(content("merged"), wanted);
        EXPECT_EQ(content("added"), wanted);
        EXPECT_EQ(
            run_of(stack, "concat_ws(' ', rows_read, rows_written, rows_rejected, rows_filtered)", run_id),
            fmt::format("{} {} 0 0", all_rows, all_rows)
        );
        EXPECT_EQ(
            run_of(stack, "concat_ws(' ', cursor_range->>'from', cursor_range->>'to')", run_id),
            fmt::format("0 {}", last_cursor)
        );
        EXPECT_EQ(stack.sql("select value as x from etl_watermarks where pipeline = 'p'"), std::to_string(last_cursor));
        EXPECT_EQ(stack.sql("select count(*) as x from etl_chunks"), "0");
    }

    Stack stack;
    std::unique_ptr<support::HeadraceProcess> heir;
    std::string run_id;
    int last_cursor = all_rows;
};

// Blocks have 128 rows: a chunk ends before the last row of the eighth, sixteenth … that reaches its size.
constexpr int first_chunk = 1'023;
constexpr int second_chunk = 2'047;

struct Death {
    const char* point;
    int kept;  // rows of the first attempt that stay
};

class ChunkKillPoint : public testing::TestWithParam<Death> {};

TEST_P(ChunkKillPoint, F01_F02_TheNextAttemptGoesOnBehindTheLastChunk) {
    ChunkStack t;
    t.run_with_a_death(GetParam().point);
    ASSERT_TRUE(t.heir) << "there is no second attempt";
    t.expect_whole(GetParam().kept);
    EXPECT_EQ(run_of(t.stack, "attempt || ' ' || crash_count", t.run_id), "2 1");
    t.heir->terminate(seconds(10));
    t.stack.sql("update etl_attempts set started_at = started_at - interval '2 hours' returning 1 as x");
    auto sweeper = t.stack.start_worker();
    EXPECT_TRUE(t.stack.await([&] {
        return t.stack.sql("select count(*) as x from pg_tables where schemaname = 'headrace_staging'") == "0";
    })) << sweeper->log();
}

// Two sinks: the points of a sink come twice for each part.
INSTANTIATE_TEST_SUITE_P(
    Chunks,
    ChunkKillPoint,
    testing::Values(
        Death{"K5#3", 0},
        Death{"K6#9", 0},
        Death{"K7", 0},
        Death{"K7#2", 0},
        Death{"K22", 0},
        Death{"K23", 0},
        Death{"K24", first_chunk},
        Death{"K6#19", first_chunk},
        Death{"K9#4", first_chunk},
        Death{"K7#3", first_chunk},
        Death{"K22#2", first_chunk},
        Death{"K23#2", first_chunk},
        Death{"K24#2", second_chunk},
        Death{"K8", 4 * 1'024 - 1},
        Death{"K8#2", 4 * 1'024 - 1},
        Death{"K10", 4 * 1'024 - 1}
    ),
    [](const auto& info) {
        std::string name(info.param.point);
        std::replace(name.begin(), name.end(), '#', '_');
        return name;
    }
);

TEST(Chunks, K11_AnswerToTheDecisionIsNotSeen) {
    ChunkStack t;
    t.run_with_a_death("K11");
    t.expect_whole(all_rows);
}

// Three deaths would quarantine it: after each of two the next attempt has less to read.
TEST(Chunks, F02_EachAttemptGoesOnWhereTheOneBeforeEnded) {
    ChunkStack t;
    auto doomed = t.stack.start_worker({{"HEADRACE_KILL_AT", "K24"}});
    t.run_id = t.stack.trigger("p");
    ASSERT_TRUE(doomed->wait(seconds(20))) << doomed->log();
    doomed = t.stack.start_worker({{"HEADRACE_KILL_AT", "K24"}});
    ASSERT_TRUE(doomed->wait(seconds(20))) << doomed->log();
    t.fill("b");
    t.finish();
    EXPECT_EQ(run_of(t.stack, "attempt || ' ' || crash_count", t.run_id), "3 2");
    const auto kept = std::stoi(t.stack.sql("select max(id) as x from merged where v = 'a'"));
    EXPECT_GT(kept, 2 * chunk_rows);
    t.expect_whole(kept);
}

// A chunk ends between two values of the cursor, never among rows that share one.
TEST(Chunks, RowsOfOneCursorValueStayTogether) {
    ChunkStack t("g", 300);
    t.last_cursor = (all_rows - 1) / 300 + 1;
    t.run_with_a_death("K24");
    t.expect_whole(900);
}

// It stands still before its chunk is added; when it goes on the run is another one's.
TEST(Chunks, F05_AZombieAddsNoChunk) {
    ChunkStack t;
    auto zombie = t.stack.start_worker({{"HEADRACE_KILL_AT", "K22:stop"}});
    t.run_id = t.stack.trigger("p");
    ASSERT_TRUE(zombie->wait_until_stopped()) << zombie->log();
    t.fill("b");
    t.finish();
    t.expect_whole(0);
    zombie->resume();
    ASSERT_TRUE(zombie->wait_for_log("attempt ended", seconds(20))) << zombie->log();
    t.expect_whole(0);
}

// Also of a Postgres that crashes right after the worker: what was rolled back last must not keep it from starting.
TEST(Chunks, F19_PostgresCrashed) {
    ChunkStack t;
    t.stack.db().exec("create table merged (id numeric(20) primary key, g numeric(20), v text)");
    t.stack.db().exec("create table added (id numeric(20) primary key, g numeric(20), v text)");
    auto doomed = t.stack.start_worker({{"HEADRACE_KILL_AT", "K24"}});
    t.run_id = t.stack.trigger("p");
    ASSERT_TRUE(doomed->wait(seconds(20))) << doomed->log();
    servers().postgres().stop(app::StopMode::immediate);
    servers().postgres().start(StopToken());
    ASSERT_TRUE(t.stack.await([&] {
        try {
            return t.stack.sql("select 1 as x") == "1";
        } catch (const std::exception&) {
            return false;
        }
    }));
    t.fill("b");
    t.finish();
    t.expect_whole(first_chunk);
}

TEST(Chunks, TheAccountClosesOverAttempts) {
    ChunkStack t;
    t.write(
        "id",
        "transform:\n  - cast: { n: int64 }\n  - filter: n != 7\non_reject: { max: 20 }\n",
        "\"SELECT id, g, v, if(id % 1000 = 1, 'x', toString(id % 100)) AS n FROM events\""
    );
    t.run_with_a_death("K24#2");
    EXPECT_EQ(
        run_of(t.stack, "concat_ws(' ', rows_read, rows_written, rows_rejected, rows_filtered)", t.run_id),
        fmt::format("{} {} 5 50", all_rows, all_rows - 55)
    );
    EXPECT_EQ(
        t.stack.sql(
            "select string_agg(row_number::text, ' ' order by row_number) as x from etl_rejects where run_id = $1 and"
            " attempt = 2",
            {t.run_id}
        ),
        "1 1001 2001 3001 4001"
    );
    EXPECT_EQ(t.content("merged"), fmt::format("{0} {0} {1} {2}", all_rows - 55, second_chunk - 3 - 21, second_chunk));
    EXPECT_EQ(t.content("added"), t.content("merged"));
}

// The newest row of a key is the last one, whichever attempt read it.
TEST(Chunks, AKeyThatComesTwiceHasItsLastRow) {
    ChunkStack t;
    t.write("g", "", "SELECT if(g > 2500, toUInt64(g - 2500), g) AS id, g, v FROM events");
    t.run_with_a_death("K24#3");
    EXPECT_EQ(t.stack.sql("select concat_ws(' ', count(*), min(g), max(g)) as x from merged"), "2500 2501 5000");
    EXPECT_EQ(t.stack.sql("select count(*) as x from merged where v = 'a' and g <= 3071"), "571");
    EXPECT_EQ(t.stack.sql("select count(*) as x from merged where v = 'a'"), "571");
}

// What cannot go on in the middle reads its range again: steps that look back, a query that sorts itself (or does
// not), a sink in Redis.
TEST(Chunks, OthersReadTheirRangeAgain) {
    const std::pair<const char*, const char*> others[] = {
        {"checks: [{ unique: id }]\n", "SELECT id, g, v FROM events"},
        {"transform: [{ limit: 100000 }]\n", "SELECT id, g, v FROM events"},
        {"", "SELECT id, g, v FROM events WHERE id >= @cursor_from AND id <= @cursor_to"}};
    for (const auto& [more, query] : others) {
        SCOPED_TRACE(more + std::string(query));
        ChunkStack t;
        t.write("id", more, query);
        t.run_with_a_death("K8");
        t.expect_whole(0);
    }
}

}  // namespace
}  // namespace headrace
