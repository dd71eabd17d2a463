// One key per row, merges and rollbacks under SIGKILL at each point of the commit protocol: another process finishes,
// and a reader that polls two rows all the time sees one generation or the other.
#include "run/redis_outputs.hpp"

#include "run/postgres_ledger.hpp"
#include "run/publisher.hpp"
#include "support/stack.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <charconv>
#include <mutex>
#include <thread>

namespace headrace {
namespace {

using support::Stack;

constexpr int key_rows = 900;

const char* const keys_sinks =
    "sinks:\n"
    "  - { type: redis, as: keys, key: \"d:{id}\", layout: direct }\n"
    "  - { type: redis, as: keys, key: \"p:{id}\", layout: pointer }\n"
    "  - { type: redis, as: keys, key: \"m:{id}\", mode: merge }\n"
    "  - { type: redis, as: json, key: \"cache:t\" }\n"
    "retry: { attempts: 3, backoff: 100ms, max: 200ms }\ntimeout: 60s\n";

void write_keys_pipeline(Stack& stack, int count, const std::string& sinks) {
    stack.clickhouse("CREATE TABLE IF NOT EXISTS version (v UInt32) ENGINE = Memory");
    stack.write_pipeline(
        "t",
        fmt::format(
            "source:\n  type: clickhouse\n  credential: clickhouse\n  query: |\n"
            "    SELECT number AS id, v FROM (SELECT number FROM system.numbers LIMIT {}) CROSS JOIN\n"
            "    (SELECT max(v) AS v FROM version)\n{}",
            count,
            sinks
        )
    );
}

std::vector<run::Stale> stale_outputs(Stack& stack) {
    postgres::Pool pool({.url = stack.database_url()}, 1);
    run::PostgresLedger ledger(pool);
    run::RedisOutputs outputs(redis::parse_redis_url(stack.redis_url()));
    return run::find_stale(ledger, outputs);
}

int row_version(const redis::ReplyPart& row) {
    int v = -1;
    if (!row.is_nil()) {
        const auto at = row.str().find("\"v\":");
        std::from_chars(row.str().data() + at + 4, row.str().data() + row.str().size(), v);
    }
    return v;
}

// First and last row of the direct and of the pointer layout, all the time.
class KeysReader {
public:
    KeysReader(const std::string& url, bool backwards_allowed) : backwards_(backwards_allowed) {
        thread_ = std::thread([this, url] { run(url); });
    }

    ~KeysReader() { end(); }

    std::string end() {
        stop_.request_stop("end of test");
        if (thread_.joinable()) {
            thread_.join();
        }
        return violation_;
    }

private:
    void run(const std::string& url) {
        auto redis = redis::Connection::connect(redis::parse_redis_url(url), StopToken());
        const auto last = std::to_string(key_rows - 1);
        int direct = -1;
        int pointer = -1;
        while (!stop_.stop_requested()) {
            look(redis.command({"MGET", "d:0", "d:" + last}), direct);
            const auto at = redis.command({"GET", "p:*:current"});
            if (!at.is_nil()) {
                look(redis.command({"MGET", at.text() + "p:0", at.text() + "p:" + last}), pointer);
            }
        }
    }

    void look(const redis::ReplyPart& two, int& last) {
        const int v = row_version(two.at(0));
        if (v != row_version(two.at(1)) || (v < last && !backwards_)) {
            violation_ = fmt::format("{} and {} after {}", v, row_version(two.at(1)), last);
        }
        last = v;
    }

    bool backwards_;
    StopSource stop_;
    std::string violation_;  // read after the join
    std::thread thread_;
};

std::vector<int> shown(Stack& stack) {
    const auto last = std::to_string(key_rows - 1);
    auto& redis = stack.redis();
    const auto at = stack.get("p:*:current");
    return {
        row_version(redis.command({"GET", "d:" + last})),
        row_version(redis.command({"GET", at + "p:" + last})),
        row_version(redis.command({"GET", "m:" + last})),
        support::look_at(stack.get("cache:t"), key_rows).version};
}

void first_generation(Stack& stack) {
    write_keys_pipeline(stack, key_rows, keys_sinks);
    stack.set_version(1);
    auto worker = stack.start_worker();
    ASSERT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << worker->log();
    worker->terminate(std::chrono::seconds(10));
}

class KeysKillPoint : public testing::TestWithParam<const char*> {};

TEST_P(KeysKillPoint, F01_anotherWorkerFinishesAndNobodySeesAMixture) {
    Stack stack;
    first_generation(stack);
    KeysReader reader(stack.redis_url(), false);
    stack.set_version(2);
    auto doomed = stack.start_worker({{"HEADRACE_KILL_AT", GetParam()}});
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(doomed->wait(std::chrono::seconds(20))) << "the kill point was not reached:\n" << doomed->log();
    auto heir = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(40)), "succeeded") << heir->log();
    EXPECT_EQ(shown(stack), (std::vector<int>{2, 2, 2, 2}));
    EXPECT_EQ(reader.end(), "");
    EXPECT_EQ(stack.sql("select count(*) as x from etl_commits where run_id = $1", {run_id}), "4");
    EXPECT_EQ(stack.redis().command({"KEYS", "d:[0-9]*"}).elements().size(), static_cast<std::size_t>(key_rows));
    EXPECT_TRUE(stale_outputs(stack).empty());
}

// K13#1…#4: after the script of each output.
INSTANTIATE_TEST_SUITE_P(
    Protocol,
    KeysKillPoint,
    testing::Values("K6", "K7#2", "K8#3", "K10", "K11", "K12", "K12#2", "K13", "K13#2", "K13#3", "K14", "K15"),
    [](const auto& info) {
        std::string name = info.param;
        std::replace(name.begin(), name.end(), '#', '_');
        return name;
    }
);

class RollbackKillPoint : public testing::TestWithParam<const char*> {};

TEST_P(RollbackKillPoint, aWorkerFinishesTheRollback) {
    Stack stack;
    write_keys_pipeline(
        stack,
        key_rows,
        "sinks:\n"
        "  - { type: redis, as: keys, key: \"d:{id}\", layout: direct }\n"
        "  - { type: redis, as: keys, key: \"p:{id}\", layout: pointer }\n"
        "  - { type: redis, as: json, key: \"cache:t\" }\n"
    );
    auto worker = stack.start_worker();
    for (const int v : {1, 2}) {
        stack.set_version(v);
        ASSERT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << worker->log();
    }
    KeysReader reader(stack.redis_url(), true);
    auto env = stack.environment();
    env.emplace_back("HEADRACE_KILL_AT", GetParam());
    support::HeadraceProcess rollback({"rollback", "t"}, env);
    ASSERT_TRUE(rollback.wait(std::chrono::seconds(20)));
    const auto found = [&] {
        return stack.sql("select run_id as x from etl_runs where trigger = 'rollback' and state = 'succeeded'");
    };
    const int expected = std::string_view(GetParam()) == "K10" ? 2 : 1;  // in the transaction: nothing was decided
    if (expected == 1) {
        ASSERT_TRUE(stack.await([&] { return !found().empty(); })) << worker->log();
    } else {
        EXPECT_EQ(found(), "");
    }
    const auto all = shown(stack);
    EXPECT_EQ(all[0], expected);
    EXPECT_EQ(all[1], expected);
    EXPECT_EQ(all[3], expected);
    EXPECT_EQ(stack.sql("select count(*) as x from etl_outputs where not published"), "0");
    EXPECT_TRUE(stale_outputs(stack).empty());
    // The next run replaces it as usual.
    stack.set_version(3);
    EXPECT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << worker->log();
    EXPECT_EQ(shown(stack)[1], 3);
    EXPECT_EQ(reader.end(), "");
}

INSTANTIATE_TEST_SUITE_P(
    Protocol,
    RollbackKillPoint,
    testing::Values("none", "K10", "K11", "K12", "K12#2", "K13", "K14", "K15"),
    [](const auto& info) {
        std::string name = info.param;
        std::replace(name.begin(), name.end(), '#', '_');
        return name;
    }
);

TEST(Rollback, SaysWhatItDidAndRefusesClearly) {
    Stack stack;
    stack.write_versioned_pipeline(10);
    stack.set_version(1);
    auto worker = stack.start_worker();
    ASSERT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << worker->log();
    support::HeadraceProcess none({"rollback", "t"}, stack.environment());
    EXPECT_EQ(none.wait(std::chrono::seconds(20)).value().code, 1);
    EXPECT_NE(none.log().find("run.no_previous: no previous generation of redis:cache:t is kept"), std::string::npos)
        << none.log();
    EXPECT_NE(none.log().find("keep_previous"), std::string::npos) << none.log();
    stack.set_version(2);
    ASSERT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << worker->log();
    support::HeadraceProcess one({"rollback", "t", "--output", "cache:t"}, stack.environment());
    EXPECT_EQ(one.wait(std::chrono::seconds(20)).value().code, 0) << one.log();
    EXPECT_NE(one.log().find("redis:cache:t: generation 1.1 again, 10 rows as of "), std::string::npos) << one.log();
    EXPECT_EQ(support::look_at(stack.get("cache:t"), 10).version, 1);
    // A worker's sweeps leave it alone, and heal it after a loss.
    stack.redis().command({"FLUSHALL"});
    EXPECT_TRUE(stack.await([&] { return support::look_at(stack.get("cache:t"), 10).version == 1; })) << worker->log();
    EXPECT_EQ(stack.sql("select count(*) as x from etl_runs where trigger = 'republish'"), "0");
    EXPECT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << worker->log();
    EXPECT_EQ(support::look_at(stack.get("cache:t"), 10).version, 2);
}

// Decided, not visible, and then Redis is emptied: no copy is kept of so many rows. The run must not wait for ever.
TEST(RedisLoss, F11_decidedRowsThatAreGoneAreReadAgain) {
    Stack stack;
    write_keys_pipeline(
        stack, 3000, "sinks:\n  - { type: redis, as: keys, key: \"p:{id}\", layout: pointer }\nretry: { attempts: 1 }\n"
    );
    stack.set_version(1);
    auto doomed = stack.start_worker({{"HEADRACE_KILL_AT", "K12"}});
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(doomed->wait(std::chrono::seconds(20))) << doomed->log();
    stack.redis().command({"FLUSHALL"});
    auto heir = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(40)), "superseded") << heir->log();
    EXPECT_TRUE(stack.await([&] {
        return row_version(stack.redis().command({"GET", stack.get("p:*:current") + "p:2999"})) == 1;
    })) << heir->log();
    EXPECT_TRUE(stack.await([&] {  // readers see the rows a moment before the run says so
        return stack.sql("select string_agg(state, ' ') as x from etl_runs where trigger = 'republish'") == "succeeded";
    })) << heir->log();
}

TEST(RedisMemory, HundredThousandKeysInBoundedMemory) {
    Stack stack;
    const std::string sinks =
        "sinks:\n  - { type: redis, as: keys, key: \"p:{id}\" }\nretry: { attempts: 1 }\ntimeout: 120s\n";
    write_keys_pipeline(stack, 2000, sinks);
    stack.set_version(1);
    auto worker = stack.start_worker();
    const auto small = stack.trigger("t");
    ASSERT_EQ(stack.await_final(small), "succeeded") << worker->log();
    write_keys_pipeline(stack, 100'000, sinks);
    ASSERT_TRUE(stack.await([&] { return stack.sql("select definition_version as x from etl_pipelines") == "2"; }));
    stack.set_version(2);
    const auto large = stack.trigger("t");
    ASSERT_EQ(stack.await_final(large, std::chrono::seconds(60)), "succeeded") << worker->log();
    const auto at = stack.get("p:*:current");
    EXPECT_EQ(row_version(stack.redis().command({"GET", at + "p:99999"})), 2);
    EXPECT_EQ(stack.redis().command({"HGET", "p:*:meta", "rows"}).str(), "100000");
    const auto peak = [&](const std::string& run) {
        return std::stoll(stack.sql("select peak_rss as x from etl_runs where run_id = $1", {run}));
    };
    fmt::print("peak RSS: {} kB with 2,000 keys, {} kB with 100,000\n", peak(small) / 1024, peak(large) / 1024);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !__has_feature(address_sanitizer) && \
    !__has_feature(thread_sanitizer)
    EXPECT_LT(peak(large), peak(small) + (12 << 20));
#endif
    EXPECT_LT(std::stoll(stack.sql("select pg_column_size(manifest) as x from etl_outputs")), 2000)
        << "the manifest does not name the rows";
    // Replaced rows are removed in the end.
    stack.set_version(3);
    for (int i = 0; i < 2; ++i) {
        ASSERT_EQ(stack.await_final(stack.trigger("t"), std::chrono::seconds(60)), "succeeded") << worker->log();
    }
    EXPECT_TRUE(stack.await([&] { return stack.redis().command({"DBSIZE"}).integer() < 210'000; }))
        << stack.redis().command({"DBSIZE"}).integer();
}

// More rows than one script moves: the next process goes on with what is left.
TEST(KeysKillPoints, K13_inTheMiddleOfAMerge) {
    Stack stack;
    write_keys_pipeline(stack, 3500, "sinks:\n  - { type: redis, as: keys, key: \"m:{id}\", mode: merge }\n");
    stack.set_version(1);
    auto doomed = stack.start_worker({{"HEADRACE_KILL_AT", "K13#2"}});
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(doomed->wait(std::chrono::seconds(20))) << doomed->log();
    EXPECT_EQ(stack.redis().command({"KEYS", "m:[0-9]*"}).elements().size(), 2000u);
    auto heir = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(40)), "succeeded") << heir->log();
    EXPECT_EQ(stack.redis().command({"KEYS", "m:[0-9]*"}).elements().size(), 3500u);
    EXPECT_EQ(row_version(stack.redis().command({"GET", "m:3499"})), 1);
    EXPECT_EQ(stack.redis().command({"HGET", "m:*:meta", "run"}).str(), run_id);
}

// A death is no try: with `attempts: 2`, a run whose worker died once still has both.
TEST(History, TriesAreCountedApartFromDeaths) {
    Stack stack;
    stack.write_versioned_pipeline(10);
    stack.write_pipeline(
        "t",
        "source: { type: clickhouse, credential: clickhouse, query: \"SELECT number AS id FROM system.numbers LIMIT "
        "10\" }\n"
        "sinks:\n  - { type: redis, as: json }\nretry: { attempts: 2, backoff: 100ms, max: 200ms }\n"
    );
    auto doomed = stack.start_worker({{"HEADRACE_KILL_AT", "K4"}});
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(doomed->wait(std::chrono::seconds(20))) << doomed->log();
    auto failing = stack.start_worker({{"HEADRACE_KILL_AT", "K5:throw"}});
    EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(40)), "succeeded") << failing->log();
    EXPECT_EQ(
        stack.sql(
            "select attempt || ' attempts, ' || attempt - spared || ' of ' || max_attempts || ' tries, deaths ' || "
            "crash_count as x from etl_runs where run_id = $1",
            {run_id}
        ),
        "3 attempts, 2 of 2 tries, deaths 1"
    );
    // The journal is written behind the run's back.
    EXPECT_TRUE(stack.await([&] {
        return stack.sql(
                   "select count(*) as x from etl_logs where run_id = $1 and message like 'attempt 3 by%: try 2 of 2'",
                   {run_id}
               ) == "1";
    }));
}

}  // namespace
}  // namespace headrace
