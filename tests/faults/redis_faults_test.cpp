// What may happen to Redis: it loses its last second, fails over, refuses writes, or is stalled. Postgres knows what it
// should hold; queued runs and outputs come back.
#include "support/proxy.hpp"
#include "support/scene.hpp"
#include "support/small_disk.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace headrace {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using support::run_of;
using support::Scene;
using support::servers;
using support::Stack;

int shown_version(Stack& stack) {
    try {
        return support::look_at(stack.get("cache:t"), Scene::rows).version;
    } catch (const std::exception&) {
        return -1;  // not there yet
    }
}

// ---- F12: a power cut takes the end of the append-only file

TEST(RedisLoss, F12_TheLastSecondIsLost) {
    app::PrivateRedis server({.dir = servers().fresh_folder() + "/redis", .append_only = true, .settings = {}});
    server.start({});
    Scene scene({.database_url = {}, .redis_url = server.url().reveal()}, {});
    auto& stack = scene.stack;
    const auto file = server.dir() + "/data/appendonlydir/appendonly.aof.1.incr.aof";
    const auto before = fs::file_size(file);
    const auto second = stack.trigger("t");
    ASSERT_EQ(stack.await_final(second), "succeeded") << scene.worker->log();
    ASSERT_EQ(shown_version(stack), 2);
    stack.set_version(3);
    scene.worker->pause();
    const auto third = stack.trigger("t");  // only queued
    server.crash();
    ASSERT_GT(fs::file_size(file), before + 1000);
    fs::resize_file(file, before + 37);  // in the middle of a command
    server.start({});
    EXPECT_EQ(shown_version(stack), 1) << "nothing was lost";
    scene.worker->resume();
    EXPECT_EQ(stack.await_final(third), "succeeded") << scene.worker->log();
    EXPECT_TRUE(stack.await([&] { return shown_version(stack) == 3; })) << shown_version(stack);
    support::expect_whole(stack, third, 3, Scene::rows);
    EXPECT_EQ(run_of(stack, "state", second), "succeeded");
    EXPECT_EQ(stack.sql("select count(*) as x from etl_commits where run_id = $1", {second}), "6");
}

// ---- F13: a replica that is behind takes over

TEST(RedisFailover, F13_ReplicaThatIsBehindIsPromoted) {
    const auto options = [](const std::string& name) {
        return app::RedisOptions{
            .dir = servers().fresh_folder() + "/" + name,
            .append_only = false,
            .tcp = true,
            .settings = {{"requirepass", "\"\""}, {"repl-diskless-sync-delay", "0"}}};
    };
    app::PrivateRedis primary(options("primary"));
    app::PrivateRedis replica(options("replica"));
    primary.start({});
    replica.start({});
    auto proxied = support::proxied_redis(fmt::format("redis+unix://{}?db=0", primary.socket()));
    Scene scene({.database_url = {}, .redis_url = proxied.url}, {});
    auto& stack = scene.stack;
    auto standby = redis::Connection::connect(
        redis::parse_redis_url(fmt::format("redis+unix://{}?db=0", replica.socket())), StopToken()
    );
    standby.command({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())});
    ASSERT_TRUE(stack.await([&] {
        const auto info = standby.command({"INFO", "replication"}).text();
        return redis::info_field(info, "master_link_status") == "up" &&
               standby.command({"EXISTS", "cache:t"}).integer() == 1;
    }));
    standby.command({"REPLICAOF", "NO", "ONE"});  // hears no more of the primary
    const auto second = stack.trigger("t");
    ASSERT_EQ(stack.await_final(second), "succeeded") << scene.worker->log();
    stack.set_version(3);
    scene.worker->pause();
    const auto third = stack.trigger("t");
    proxied.proxy->redirect(replica.socket());
    primary.crash();
    EXPECT_EQ(support::look_at(standby.command({"GET", "cache:t"}).text(), Scene::rows).version, 1);
    scene.worker->resume();
    EXPECT_EQ(stack.await_final(third), "succeeded") << scene.worker->log();
    EXPECT_TRUE(stack.await([&] { return shown_version(stack) == 3; })) << shown_version(stack);
    support::expect_whole(stack, third, 3, Scene::rows);
    EXPECT_EQ(stack.sql("select count(*) as x from etl_commits where run_id = $1", {second}), "6");
}

// ---- F17: it cannot save (a full disk) and refuses every write

// At K5 nothing is decided yet, at K12 only Redis lacks it.
class CannotSave : public testing::TestWithParam<const char*> {};

TEST_P(CannotSave, F17_RunWaitsUntilItCan) {
    app::PrivateRedis server({.dir = servers().fresh_folder() + "/redis", .append_only = false, .settings = {}});
    server.start({});
    server.stop();
    support::SmallDisk disk(server.dir() + "/data", "100k");
    if (!disk.mounted()) {
        GTEST_SKIP() << "a file system cannot be mounted here: " << std::strerror(errno);
    }
    server.start({});
    Scene scene({.database_url = {}, .redis_url = server.url().reveal()}, {});
    auto& stack = scene.stack;
    scene.worker->terminate(seconds(10));
    support::TornReader reader(stack.redis_url(), "cache:t", Scene::rows);
    auto& redis = stack.redis();
    redis.command({"SET", "ballast", std::string(200'000, 'x')});
    redis.command({"CONFIG", "SET", "rdbcompression", "no"});
    redis.command({"CONFIG", "SET", "save", "3600 1000000"});
    scene.worker = stack.start_worker({{"HEADRACE_KILL_AT", std::string(GetParam()) + ":stop"}});
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(scene.worker->wait_until_stopped()) << scene.worker->log();
    const bool decided = run_of(stack, "state", run_id) == "committed";
    redis.command({"BGSAVE"});
    ASSERT_TRUE(stack.await([&] { return redis.command_raw({"SET", "probe", "1"}).is_error(); }));
    scene.worker->resume();
    ASSERT_TRUE(scene.worker->wait_for_log("MISCONF", seconds(20))) << scene.worker->log();
    // Long enough that whoever gives up has done so: both the run's own tries and several sweeps.
    ASSERT_TRUE(stack.await([&] {
        return stack.sql(
                   "select now() > min(started_at) + interval '1 s' as x from "
                   "etl_attempts where run_id = $1",
                   {run_id}
               ) == "t";
    }));
    const auto state = run_of(stack, "state", run_id);
    EXPECT_TRUE(decided ? state == "committed" : state == "queued" || state == "running") << state;
    EXPECT_TRUE(scene.worker->running());
    EXPECT_EQ(shown_version(stack), 1);
    ASSERT_TRUE(disk.resize("10m"));
    redis.command({"BGSAVE"});
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
    EXPECT_TRUE(stack.await([&] { return reader.last_version() == 2; }));
    support::expect_whole(stack, run_id, 2, Scene::rows);
    EXPECT_EQ(run_of(stack, "crash_count", run_id), "0");
    EXPECT_EQ(reader.violation(), "");
}

INSTANTIATE_TEST_SUITE_P(Points, CannotSave, testing::Values("K5", "K12"), [](const auto& info) {
    return std::string(info.param);
});

// ---- F18: a generation with very many fields is replaced

// Also where the server was not told to free lazily: nothing that we send may delete it on the spot, which would stop
// everybody (locks, sessions, readers) for as long as that takes.
TEST(RedisStall, F18_ReplacingALargeHashStopsNobody) {
    constexpr int many = 20'000;
    app::PrivateRedis server(
        {.dir = servers().fresh_folder() + "/redis",
         .append_only = false,
         .settings = {{"lazyfree-lazy-server-del", "no"}, {"lazyfree-lazy-user-del", "no"}}}
    );
    server.start({});
    Stack stack(servers().fresh_database(), server.url().reveal());
    stack.write_pipeline(
        "t",
        "source: { type: clickhouse, credential: clickhouse, query: \"SELECT number AS id, 1 AS v FROM "
        "system.numbers LIMIT 10\" }\n"
        "sinks:\n  - { type: redis, as: hash, key: \"kept\", field: id, keep_previous: 1h }\n"
        "  - { type: redis, as: hash, key: \"dropped\", field: id, keep_previous: 0s }\n"
    );
    auto worker = stack.start_worker();
    ASSERT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << worker->log();
    auto& redis = stack.redis();
    for (const auto* key : {"kept", "dropped"}) {
        for (int part = 0; part < 4; ++part) {
            redis.command(
                {"EVAL",
                 "for i = 1, tonumber(ARGV[2]) do redis.call('HSET', KEYS[1], ARGV[1] .. ' ' .. i, i) end",
                 "1",
                 key,
                 std::to_string(part),
                 std::to_string(many / 4)}
            );
        }
    }
    redis.command({"CONFIG", "RESETSTAT"});
    // The second run takes the first one's predecessor away for good.
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << worker->log();
    }
    EXPECT_EQ(redis.command({"HLEN", "kept"}).integer(), 10);
    EXPECT_EQ(redis.command({"HLEN", "dropped"}).integer(), 10);
    const auto keys = redis.command({"KEYS", "*"});
    for (const auto& key : keys.elements()) {
        if (redis.command({"TYPE", key.str()}).str() == "hash") {
            EXPECT_LT(redis.command({"HLEN", key.str()}).integer(), many) << key.str() << " is still there";
        }
    }
    // Small ones are never freed by the other thread, so these are the two large ones.
    EXPECT_TRUE(stack.await([&] {
        return redis::info_field(redis.command({"INFO", "memory"}).text(), "lazyfreed_objects") == "2";
    })) << redis.command({"INFO", "memory"}).text();
    EXPECT_EQ(stack.sql("select count(*) as x from etl_runs where crash_count > 0 or attempt > 1"), "0");
}

}  // namespace
}  // namespace headrace
