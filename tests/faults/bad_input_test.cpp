// Each way in which a run can go wrong from outside: a clear code and hint, the last good output stays, nothing hangs.
#include "support/stack.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace headrace {
namespace {

using support::Stack;

constexpr int rows = 500;

// A stack with one good generation (version 1) and a running worker.
class BadInput : public testing::Test {
protected:
    void SetUp() override {
        stack.write_versioned_pipeline(rows);
        stack.set_version(1);
        worker = stack.start_worker();
        ASSERT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << worker->log();
        stack.set_version(2);
    }

    // Worker reads changed pipeline files within a second; a run uses what is in force when it is made.
    void change_pipeline(const std::function<void()>& change) {
        const auto before = stack.sql("select definition_version as x from etl_pipelines where name = 't'");
        change();
        ASSERT_TRUE(stack.await([&] {
            return stack.sql("select definition_version as x from etl_pipelines where name = 't'") != before;
        })) << worker->log();
    }

    void write_query(const std::string& query, const std::string& more = "") {
        change_pipeline([&] {
            stack.write_pipeline(
                "t",
                "source:\n  type: clickhouse\n  credential: clickhouse\n  query: |\n    " + query +
                    "\nsinks:\n  - { type: redis, as: json, key: \"cache:t\" }\n"
                    "retry: { attempts: 2, backoff: 100ms, max: 200ms }\ntimeout: 20s\n" +
                    more
            );
        });
    }

    void expect_failure(const std::string& run_id, const std::string& code) {
        EXPECT_EQ(stack.await_final(run_id), "failed") << worker->log();
        EXPECT_EQ(stack.sql("select error->>'code' as x from etl_runs where run_id = $1", {run_id}), code)
            << stack.sql("select error::text as x from etl_runs where run_id = $1", {run_id});
        EXPECT_NE(stack.sql("select error->>'hint' as x from etl_runs where run_id = $1", {run_id}), "");
        EXPECT_NE(stack.sql("select count(*) as x from etl_logs where run_id = $1 and level = 'error'", {run_id}), "0");
        expect_old_output();
    }

    void expect_old_output() {
        const auto seen = support::look_at(stack.get("cache:t"), rows);
        EXPECT_EQ(seen.version, 1) << seen.problem;
    }

    Stack stack;
    std::unique_ptr<support::HeadraceProcess> worker;
};

TEST_F(BadInput, QueryThatDoesNotParse) {
    write_query("SELEC 1");
    expect_failure(stack.trigger("t"), "source.query");
}

TEST_F(BadInput, TableThatDoesNotExist) {
    write_query("SELECT * FROM no_such_table");
    expect_failure(stack.trigger("t"), "source.query");
}

TEST_F(BadInput, F30_QueryThatFailsAfterAMegabyteWasSent) {
    write_query(
        "SELECT number AS id, toString(number) AS name, throwIf(number = 900000, 'late failure') AS v FROM "
        "system.numbers LIMIT 1000000"
    );
    const auto run_id = stack.trigger("t");
    EXPECT_EQ(stack.await_final(run_id), "failed") << worker->log();
    EXPECT_EQ(stack.sql("select left(error->>'code', 7) as x from etl_runs where run_id = $1", {run_id}), "source.");
    expect_old_output();
}

// 100 rows: the filter takes 0 to 9, `v` of 20 and 21 is no number, `name` of 30 is null, the id of 41 is that of 40.
constexpr const char* bad_rows =
    "SELECT if(number = 41, 40, number) AS id, if(number IN (20, 21), 'x', toString(number)) AS v, "
    "if(number = 30, NULL, 'n') AS name FROM system.numbers LIMIT 100";
constexpr const char* strict_steps =
    "transform:\n  - filter: id >= 10\n  - cast: { v: int64 }\nchecks:\n  - not_null: [name]\n  - unique: [id]\n";

TEST_F(BadInput, WithoutOnRejectTheFirstBadRowStopsTheRun) {
    write_query(bad_rows, strict_steps);
    const auto run_id = stack.trigger("t");
    expect_failure(run_id, "transform.value");
    // The row of the source, not that behind the filter.
    EXPECT_EQ(
        stack.sql("select error->>'message' as x from etl_runs where run_id = $1", {run_id}),
        "row 21, column `v`: \"x\" cannot become int64 without loss"
    );
}

TEST_F(BadInput, RejectedRowsAreKeptWithTheirReason) {
    write_query(bad_rows, std::string(strict_steps) + "on_reject: { keep: 3, max: 10% }\n");
    const auto run_id = stack.trigger("t");
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << worker->log();
    EXPECT_EQ(
        stack.sql(
            "select concat_ws('/', rows_read, rows_filtered, rows_rejected, rows_written) as x from etl_runs where "
            "run_id = "
            "$1",
            {run_id}
        ),
        "100/10/4/86"
    );
    // The journal is written several times a second, also after the state.
    EXPECT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from etl_rejects where run_id = $1", {run_id}) == "3";
    }));
    EXPECT_EQ(
        stack.sql(
            "select string_agg(concat_ws(' ', row_number, step, reason, content), '\n' order by row_number) as x from "
            "etl_rejects where run_id = $1",
            {run_id}
        ),
        "21 cast column `v`: \"x\" cannot become int64 without loss {\"id\":20,\"v\":\"x\",\"name\":\"n\"}\n"
        "22 cast column `v`: \"x\" cannot become int64 without loss {\"id\":21,\"v\":\"x\",\"name\":\"n\"}\n"
        "31 not_null `name` is null {\"id\":30,\"v\":30,\"name\":null}"
    );
    const auto text = stack.get("cache:t");
    EXPECT_EQ(std::count(text.begin(), text.end(), '{'), 86);
    EXPECT_EQ(text.find("\"v\":41,"), std::string::npos);
}

TEST_F(BadInput, TooManyRejectedRowsPublishNothing) {
    write_query(bad_rows, std::string(strict_steps) + "on_reject: { max: 3.9% }\n");
    const auto run_id = stack.trigger("t");
    expect_failure(run_id, "check.rejects");
    EXPECT_EQ(
        stack.sql("select error->>'message' as x from etl_runs where run_id = $1", {run_id}),
        "4 of 100 rows were rejected, and `on_reject.max` is 3.9%; the first: row 21, cast: column `v`: \"x\" cannot "
        "become int64 without loss"
    );
    write_query(bad_rows, std::string(strict_steps) + "on_reject: { max: 2 }\n");
    expect_failure(stack.trigger("t"), "check.rejects");
    // A person may overrule the guard.
    EXPECT_EQ(stack.await_final(stack.trigger("t", true)), "succeeded") << worker->log();
}

TEST_F(BadInput, F33_EmptyResult) {
    write_query("SELECT number AS id, 1 AS v FROM system.numbers WHERE number < 0 LIMIT 0");
    expect_failure(stack.trigger("t"), "check.allow_empty");
}

TEST_F(BadInput, F33_ResultNinetyPercentSmaller) {
    change_pipeline([&] { stack.write_versioned_pipeline(rows / 10, "checks:\n  - max_drop: 50%\n"); });
    const auto run_id = stack.trigger("t");
    EXPECT_EQ(stack.await_final(run_id), "failed") << worker->log();
    EXPECT_EQ(stack.sql("select error->>'code' as x from etl_runs where run_id = $1", {run_id}), "check.max_drop");
    expect_old_output();
    // A person may overrule the guard.
    EXPECT_EQ(stack.await_final(stack.trigger("t", true)), "succeeded") << worker->log();
    EXPECT_EQ(support::look_at(stack.get("cache:t"), rows / 10).version, 2);
}

TEST_F(BadInput, UnknownCredential) {
    change_pipeline([&] {
        stack.write_pipeline(
            "t",
            "source: { type: clickhouse, credential: nobody, query: \"SELECT 1\" }\n"
            "sinks:\n  - { type: redis, as: json, key: \"cache:t\" }\n"
        );
    });
    expect_failure(stack.trigger("t"), "credential.not_found");
}

class BadCredential : public BadInput {
protected:
    void store_credential(const std::string& url, const std::string& host, const std::string& password) {
        stack.set_credential(
            {.name = "clickhouse",
             .kind = "clickhouse",
             .settings = {{"url", url}, {"user", "reader"}},
             .allowed_hosts = {host}},
            Secret(password)
        );
    }
};

TEST_F(BadCredential, WrongPassword) {
    const auto url = support::servers().clickhouse().url();
    store_credential(url, url.substr(7), "canary-wrong-password");
    const auto run_id = stack.trigger("t");
    expect_failure(run_id, "source.auth");
    EXPECT_EQ(stack.sql("select count(*) as x from etl_logs where message like '%canary%'"), "0");
    EXPECT_EQ(worker->log().find("canary"), std::string::npos);
}

TEST_F(BadCredential, ServerDown) {
    store_credential("http://127.0.0.1:9", "127.0.0.1:9", "x");
    const auto run_id = stack.trigger("t");
    expect_failure(run_id, "source.unavailable");
    EXPECT_EQ(stack.sql("select attempt as x from etl_runs where run_id = $1", {run_id}), "3")
        << "transient: every attempt is used";
    EXPECT_EQ(stack.sql("select count(*) as x from etl_runs where error::text like '%again by itself%'"), "0")
        << "it has failed for good";
}

TEST_F(BadCredential, HostThatIsNotAllowed) {
    store_credential(support::servers().clickhouse().url(), "elsewhere.example:8123", "x");
    expect_failure(stack.trigger("t"), "credential.host_denied");
}

TEST_F(BadInput, F15_RedisIsFull) {
    const auto used = std::string(redis::info_field(stack.redis().command({"INFO", "memory"}).str(), "used_memory"));
    write_query(
        "SELECT number AS id, 'some text that fills the memory of the server' AS name, 2 AS v FROM system.numbers "
        "LIMIT 400000"
    );
    stack.redis().command({"CONFIG", "SET", "maxmemory", std::to_string(std::stoll(used) + 4'000'000)});
    const auto run_id = stack.trigger("t");
    EXPECT_EQ(stack.await_final(run_id), "failed") << worker->log();
    stack.redis().command({"CONFIG", "SET", "maxmemory", "0"});
    EXPECT_EQ(stack.sql("select error->>'code' as x from etl_runs where run_id = $1", {run_id}), "sink.redis_oom");
    expect_old_output();
    EXPECT_TRUE(stack.await([&] {
        return stack.redis().command({"KEYS", "{o:*}:s:*"}).elements().empty();
    })) << "staging is left behind";
}

TEST_F(BadInput, F54_CancelIsImmediate) {
    write_query("SELECT number AS id, sleepEachRow(0.006) AS v FROM system.numbers LIMIT 480", "");
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(stack.await([&] {
        return stack.sql("select state as x from etl_runs where run_id = $1", {run_id}) == "running";
    }));
    stack.db().exec("update etl_runs set cancel_requested = true, cancelled_by = 'test' where run_id = $1", {run_id});
    EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(10)), "cancelled") << worker->log();
    expect_old_output();
}

TEST_F(BadInput, F19_PostgresGoneInTheMiddle) {
    write_query("SELECT number AS id, sleepEachRow(0.002) AS s, 2 AS v FROM system.numbers LIMIT 500", "");
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(stack.await([&] {
        return stack.sql("select state as x from etl_runs where run_id = $1", {run_id}) == "running";
    }));
    auto& postgres = support::servers().postgres();
    postgres.crash();
    postgres.start(StopToken());
    ASSERT_TRUE(stack.await([&] {
        try {
            stack.sql("select 1 as x");
            return true;
        } catch (const std::exception&) {
            return false;
        }
    }));
    EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(40)), "succeeded") << worker->log();
    EXPECT_EQ(stack.sql("select count(*) as x from etl_commits where run_id = $1", {run_id}), "1");
    EXPECT_EQ(support::look_at(stack.get("cache:t"), rows).version, 2);
}

TEST_F(BadInput, F11_FlushedRedisHealsByItself) {
    stack.redis().command({"FLUSHALL"});
    EXPECT_TRUE(stack.await([&] { return support::look_at(stack.get("cache:t"), rows).version == 1; }))
        << worker->log();
    EXPECT_TRUE(stack.await([&] { return stack.redis().command({"HLEN", "cache:t:hash"}).integer() == rows; }));
    EXPECT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << "the queue works again: " << worker->log();
    // A queued run whose job is lost is sent again.
    worker->pause();
    const auto run_id = stack.trigger("t");
    stack.redis().command({"FLUSHALL"});
    worker->resume();
    EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(40)), "succeeded") << worker->log();
}

TEST_F(BadInput, F05_ZombieNeitherPublishesNorMovesBack) {
    write_query(
        "SELECT number AS id, sleepEachRow(0.002) AS s, (SELECT max(v) FROM version) AS v FROM system.numbers LIMIT "
        "500",
        ""
    );
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(stack.await([&] {
        return stack.sql("select rows_read::text || state as x from etl_runs where run_id = $1", {run_id}) != "0queued";
    }));
    worker->pause();
    auto heir = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(40)), "succeeded") << heir->log();
    stack.set_version(3);
    EXPECT_EQ(stack.await_final(stack.trigger("t"), std::chrono::seconds(40)), "succeeded") << heir->log();
    const auto seq = stack.redis().command({"HGET", "cache:t:meta", "seq"}).text();
    worker->resume();
    ASSERT_TRUE(worker->wait_for_log("attempt ended", std::chrono::seconds(20))) << worker->log();
    EXPECT_EQ(support::look_at(stack.get("cache:t"), rows).version, 3);
    EXPECT_EQ(stack.redis().command({"HGET", "cache:t:meta", "seq"}).str(), seq);
    EXPECT_EQ(stack.sql("select count(*) as x from etl_commits where run_id = $1", {run_id}), "1");
}

TEST_F(BadInput, F43_PoisonIsQuarantinedAfterThreeDeaths) {
    worker->terminate(std::chrono::seconds(10));
    const auto run_id = stack.trigger("t");
    for (int death = 1; death <= 3; ++death) {
        auto doomed = stack.start_worker({{"HEADRACE_KILL_AT", "K4"}});
        ASSERT_TRUE(doomed->wait(std::chrono::seconds(30))) << "death " << death << ": " << doomed->log();
    }
    auto heir = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id, std::chrono::seconds(30)), "quarantined") << heir->log();
    EXPECT_EQ(stack.sql("select paused as x from etl_pipelines where name = 't'"), "t");
    expect_old_output();
}

TEST_F(BadInput, BrokenFileKeepsTheLastGoodVersion) {
    stack.write_pipeline("t", "source:\n  type: clickhous\n");
    ASSERT_TRUE(worker->wait_for_log("pipeline file is not valid", std::chrono::seconds(10))) << worker->log();
    EXPECT_NE(worker->log().find("did you mean `clickhouse`"), std::string::npos) << worker->log();
    EXPECT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << worker->log();
    EXPECT_EQ(support::look_at(stack.get("cache:t"), rows).version, 2);
}

TEST(BadStart, MissingAndWrongKey) {
    Stack stack;
    stack.write_versioned_pipeline(1);
    auto env = stack.environment();
    std::erase_if(env, [](const auto& pair) { return pair.first == "HEADRACE_KEY_FILE"; });
    support::HeadraceProcess without({"worker"}, env);
    ASSERT_TRUE(without.wait(std::chrono::seconds(20)));
    EXPECT_NE(without.log().find("config.missing: HEADRACE_KEY_FILE is not set"), std::string::npos) << without.log();
    credential::create_key_file(stack.folder() + "/other");
    env.emplace_back("HEADRACE_KEY_FILE", stack.folder() + "/other");
    support::HeadraceProcess wrong({"worker"}, env);
    ASSERT_TRUE(wrong.wait(std::chrono::seconds(20)));
    EXPECT_NE(wrong.log().find("credential.key_wrong"), std::string::npos) << wrong.log();
}

TEST(BadStart, PortIsTaken) {
    Stack stack;
    stack.write_versioned_pipeline(1);
    auto env = stack.environment();
    env.emplace_back("HEADRACE_LISTEN", "127.0.0.1:0");
    env.emplace_back("HEADRACE_ADDRESS_FILE", stack.folder() + "/address");
    support::HeadraceProcess first({"api"}, env);
    ASSERT_TRUE(first.wait_for_log("ready", std::chrono::seconds(20))) << first.log();
    const auto address = app::file_tail(stack.folder() + "/address", 1);
    std::erase_if(env, [](const auto& pair) { return pair.first == "HEADRACE_LISTEN"; });
    env.emplace_back("HEADRACE_LISTEN", address.substr(address.find("127"), address.find('\n') - address.find("127")));
    support::HeadraceProcess second({"api"}, env);
    ASSERT_TRUE(second.wait(std::chrono::seconds(20)));
    EXPECT_NE(second.log().find("net.address_in_use"), std::string::npos) << second.log();
}

}  // namespace
}  // namespace headrace
