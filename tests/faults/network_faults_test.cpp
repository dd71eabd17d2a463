// Links that are cut for a while, slow, or silent.
#include "support/proxy.hpp"
#include "support/scene.hpp"

#include <gtest/gtest.h>

namespace headrace {
namespace {

using std::chrono::seconds;
using support::Proxy;
using support::run_of;
using support::Scene;
using support::servers;
using support::Stack;

// ---- F48: a partition between the worker and one of its servers, for longer than its lease

struct Partition {
    const char* name;
    bool postgres;
    bool one_way;
};

class Partitioned : public testing::TestWithParam<Partition> {};

TEST_P(Partitioned, F48_runIsDecidedOnce) {
    const auto [name, of_postgres, one_way] = GetParam();
    support::ProxiedUrl db;
    support::ProxiedUrl redis;
    Scene scene([&](Stack& stack) -> support::HeadraceProcess::Env {
        db = support::proxied_postgres(stack.database_url());
        redis = support::proxied_redis(stack.redis_url());
        return {{"DATABASE_URL", db.url}, {"REDIS_URL", redis.url}};
    });
    auto& stack = scene.stack;
    auto& link = of_postgres ? *db.proxy : *redis.proxy;
    const auto hold = [&](bool on) { one_way ? link.hold_replies(on) : link.hold_all(on); };
    support::TornReader reader(stack.redis_url(), "cache:t", Scene::rows);
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(stack.await([&] { return run_of(stack, "state", run_id) != "queued"; }));
    hold(true);
    auto heir = stack.start_worker();
    // Longer than the lease and the lock of the queue.
    stack.await([] { return false; }, seconds(3));
    hold(false);
    const auto healed = std::chrono::steady_clock::now();
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log() << heir->log();
    EXPECT_TRUE(stack.await([&] { return reader.last_version() == 2; }));
    support::expect_whole(stack, run_id, 2, Scene::rows);
    // The first worker is of use again: it does a run alone.
    heir->terminate(seconds(10));
    stack.set_version(3);
    const auto next = stack.trigger("t");
    EXPECT_EQ(stack.await_final(next), "succeeded") << scene.worker->log();
    EXPECT_LT(std::chrono::steady_clock::now() - healed, seconds(20));
    EXPECT_TRUE(stack.await([&] { return reader.last_version() == 3; }));
    support::expect_whole(stack, next, 3, Scene::rows);
    EXPECT_EQ(reader.violation(), "");
}

INSTANTIATE_TEST_SUITE_P(
    Links,
    Partitioned,
    testing::Values(
        Partition{"postgres", true, false},
        Partition{"postgres_replies", true, true},
        Partition{"redis", false, false},
        Partition{"redis_replies", false, true}
    ),
    [](const auto& info) { return info.param.name; }
);

// ---- F49

// Longer than lease and lock, which are renewed over the same slow link.
TEST(SlowLink, F49_RunTakesLongerAndIsRight) {
    support::ProxiedUrl redis;
    Scene scene([&](Stack& stack) -> support::HeadraceProcess::Env {
        redis = support::proxied_redis(stack.redis_url());
        return {{"REDIS_URL", redis.url}};
    });
    auto& stack = scene.stack;
    redis.proxy->limit(40'000);
    const auto started = std::chrono::steady_clock::now();
    const auto run_id = stack.trigger("t");
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
    EXPECT_GT(std::chrono::steady_clock::now() - started, seconds(2)) << "the link is not slow";
    support::expect_whole(stack, run_id, 2, Scene::rows);
    EXPECT_EQ(run_of(stack, "attempt || ' ' || crash_count", run_id), "1 0") << scene.worker->log();
}

// ---- F31: a source that takes the query and says nothing more

class HangingSource : public testing::Test {
protected:
    HangingSource() {
        const auto url = servers().clickhouse().url();
        proxy = std::make_unique<Proxy>(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
        const auto host = "127.0.0.1:" + std::to_string(proxy->port());
        scene.stack.set_credential(
            {.name = "clickhouse",
             .kind = "clickhouse",
             .settings =
                 {{"url", "http://" + host}, {"user", "reader"}, {"database", scene.stack.clickhouse_database()}},
             .allowed_hosts = {host}},
            servers().clickhouse().reader_password()
        );
    }

    // The run has sent its query.
    std::string hanging_run() {
        auto& stack = scene.stack;
        const auto run_id = stack.trigger("t");
        EXPECT_TRUE(stack.await([&] {
            return stack.sql("select count(*) as x from etl_steps where run_id = $1 and step = 'query'", {run_id}) !=
                   "0";
        })) << scene.worker->log();
        proxy->hold_all(true);
        return run_id;
    }

    void expect_old_output() {
        EXPECT_EQ(support::look_at(scene.stack.get("cache:t"), Scene::rows).version, 1);
        EXPECT_TRUE(scene.worker->running());
    }

    Scene scene;
    std::unique_ptr<Proxy> proxy;
};

TEST_F(HangingSource, F31_TimeoutEndsTheRun) {
    support::write_slow_pipeline(scene.stack, Scene::rows, 3, "", "3s");
    scene.stack.sql(
        "update etl_pipelines set summary = summary || '{\"maxAttempts\": 1}' where name = 't' returning 1 as x"
    );
    const auto run_id = hanging_run();
    EXPECT_EQ(scene.stack.await_final(run_id, seconds(15)), "failed") << scene.worker->log();
    EXPECT_EQ(run_of(scene.stack, "error->>'code'", run_id), "run.timeout");
    expect_old_output();
}

TEST_F(HangingSource, F31_CancelDoesNotWaitForIt) {
    support::write_slow_pipeline(scene.stack, Scene::rows, 3);
    const auto run_id = hanging_run();
    const auto started = std::chrono::steady_clock::now();
    scene.stack.sql(
        "update etl_runs set cancel_requested = true, cancelled_by = 'test' where run_id = $1 returning 1 as x",
        {run_id}
    );
    EXPECT_EQ(scene.stack.await_final(run_id, seconds(10)), "cancelled") << scene.worker->log();
    EXPECT_LT(std::chrono::steady_clock::now() - started, seconds(8));
    expect_old_output();
}

}  // namespace
}  // namespace headrace
