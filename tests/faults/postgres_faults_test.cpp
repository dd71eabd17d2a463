// What may happen to Postgres: it crashes, is replaced by an older state of itself, is locked, full, or out of
// connections. Redis must end up with what Postgres believes, and no run may be lost, doubled or stuck.
#include "app/process.hpp"
#include "base/encoding.hpp"
#include "support/proxy.hpp"
#include "support/scene.hpp"
#include "support/small_disk.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace headrace {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using support::log_of;
using support::run_of;
using support::Scene;
using support::servers;
using support::Stack;

int version_of(Stack& stack) {
    return support::look_at(stack.get("cache:t"), Scene::rows).version;
}

// Runs a program of Postgres to its end.
void run_program(std::vector<std::string> argv, const std::string& as = {}) {
    app::ProcessSpec spec;
    argv[0] = app::find_program(argv[0], {"/usr/lib/postgresql/15/bin"});
    spec.argv = std::move(argv);
    spec.run_as = as.empty() ? std::nullopt : app::Account::find(as);
    spec.log_file = servers().fresh_folder() + "/log";
    auto child = app::ChildProcess::start(spec);
    const auto end = child.wait(Deadline::in(seconds(30)), {});
    if (!end || !end->ok()) {
        throw std::runtime_error(spec.argv[0] + ": " + app::file_tail(spec.log_file, 10));
    }
}

void reconnect(Stack& stack) {
    ASSERT_TRUE(stack.await([&] {
        try {
            stack.sql("select 1 as x");
            return true;
        } catch (const std::exception&) {
            return false;
        }
    }));
}

// ---- F19: an immediate stop while a worker stands still at a point of the protocol

class ImmediateStop : public testing::TestWithParam<const char*> {};

TEST_P(ImmediateStop, F19_runIsFinishedOnce) {
    Scene scene;
    auto& stack = scene.stack;
    scene.worker->terminate(seconds(10));
    support::TornReader reader(stack.redis_url(), "cache:t", Scene::rows);
    // The lease outlives the stop.
    auto worker =
        stack.start_worker({{"HEADRACE_KILL_AT", std::string(GetParam()) + ":stop"}, {"HEADRACE_LEASE", "20s"}});
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(worker->wait_until_stopped()) << worker->log();
    servers().postgres().stop(app::StopMode::immediate);
    servers().postgres().start(StopToken());
    reconnect(stack);
    worker->resume();
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << worker->log();
    EXPECT_TRUE(stack.await([&] { return reader.last_version() == 2; }));
    support::expect_whole(stack, run_id, 2, Scene::rows);
    EXPECT_EQ(run_of(stack, "crash_count", run_id), "0") << "nobody died but Postgres";
    EXPECT_EQ(
        stack.sql("select count(*) as x from etl_attempts where run_id = $1 and outcome = 'failed'", {run_id}), "0"
    );
    EXPECT_EQ(reader.violation(), "");
    EXPECT_TRUE(worker->running());
    EXPECT_EQ(
        stack.sql("select count(*) as x from etl_attempts where run_id = $1 and outcome = 'died'", {run_id}), "0"
    );
}

// Reading; sealed; in the decision; decided. In the first three the end of the attempt is written late.
INSTANTIATE_TEST_SUITE_P(Postgres, ImmediateStop, testing::Values("K5", "K8#6", "K10", "K11"), [](const auto& info) {
    std::string name(info.param);
    std::replace(name.begin(), name.end(), '#', '_');
    return name;
});

// ---- F21: a standby that lost the last commits is promoted

// A primary, and a copy of it that is started in its place.
class Pair {
public:
    explicit Pair(const std::string& folder) : folder_(folder) {
        fs::create_directories(folder_);
        primary_ = std::make_unique<app::PrivatePostgres>(options("primary"));
        primary_->start({});
    }

    app::PrivatePostgres& primary() { return *primary_; }

    void copy() {
        std::ofstream(primary_->dir() + "/pg_hba.conf", std::ios::app) << "local replication all trust\n";
        postgres::Connection::connect({.url = primary_->admin_url()}).exec("select pg_reload_conf()");
        const auto dir = folder_ + "/standby";
        fs::create_directories(dir);
        const auto account = app::Account::find("postgres");
        if (::geteuid() == 0 && ::chown(dir.c_str(), account->uid, account->gid) != 0) {
            throw std::runtime_error("chown failed");
        }
        run_program(
            {"pg_basebackup", "-d", primary_->admin_url(), "-D", dir + "/data", "-R", "-X", "stream", "-c", "fast"},
            ::geteuid() == 0 ? "postgres" : ""
        );
    }

    // The primary is gone with what it committed since copy().
    app::PrivatePostgres& fail_over() {
        primary_->crash();
        standby_ = std::make_unique<app::PrivatePostgres>(options("standby"));
        standby_->start({});
        // As an ordinary client: ours asks for a server that can be written to.
        run_program({"psql", standby_->admin_url(), "-c", "select pg_promote()"});
        return *standby_;
    }

private:
    app::PostgresOptions options(const std::string& name) const {
        return {
            .dir = folder_ + "/" + name,
            .durable = false,
            .settings = {{"wal_level", "replica"}, {"max_wal_senders", "4"}, {"hot_standby", "on"}}};
    }

    std::string folder_;
    std::unique_ptr<app::PrivatePostgres> primary_;
    std::unique_ptr<app::PrivatePostgres> standby_;
};

std::string socket_of(const std::string& url) {
    return percent_decode(url.substr(url.find("host=") + 5)).value() + "/.s.PGSQL.5432";
}

TEST(PostgresFailover, F21_LostRunsRunAgainAndRedisFollowsPostgres) {
    Pair pair(servers().fresh_folder() + "/pair");
    auto proxied = support::proxied_postgres(pair.primary().url());
    Scene scene({.database_url = proxied.url, .redis_url = {}}, {});
    auto& stack = scene.stack;
    scene.worker->terminate(seconds(10));
    const auto run_id = stack.trigger("t");  // queued: that much the standby has
    pair.copy();
    scene.worker = stack.start_worker();
    ASSERT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
    ASSERT_EQ(version_of(stack), 2);
    stack.set_version(3);
    const auto unknown = stack.trigger("t");
    ASSERT_EQ(stack.await_final(unknown), "succeeded") << scene.worker->log();
    ASSERT_EQ(version_of(stack), 3);
    stack.set_version(4);
    auto& standby = pair.fail_over();
    proxied.proxy->redirect(socket_of(standby.url()));
    reconnect(stack);
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
    EXPECT_TRUE(stack.await([&] { return version_of(stack) == 4; })) << version_of(stack) << scene.worker->log();
    EXPECT_TRUE(stack.await([&] { return stack.redis().command({"HGET", "cache:t:meta", "run"}).str() == run_id; }));
    support::expect_whole(stack, run_id, 4, Scene::rows);
    EXPECT_EQ(stack.sql("select epoch as x from etl_meta"), "2");
    EXPECT_EQ(stack.sql("select count(*) as x from etl_runs where run_id = $1", {unknown}), "0");
    EXPECT_EQ(stack.sql("select count(*) as x from out.history where v in (2, 3)"), "0");
}

// ---- F22: a backup is restored

class Restored : public testing::TestWithParam<bool> {};

// Into the same server: neither its identifier nor its timeline tell. With `at_once` a run decides before any sweep,
// and gives its generation a number that Redis has seen already.
TEST_P(Restored, F22_RedisFollowsTheBackup) {
    const bool at_once = GetParam();
    Scene scene;
    auto& stack = scene.stack;
    const auto dump = servers().fresh_folder() + "/dump";
    run_program({"pg_dump", "-Fc", "-f", dump, stack.database_url()});
    ASSERT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << scene.worker->log();
    ASSERT_EQ(version_of(stack), 2);
    scene.worker->terminate(seconds(10));
    {
        const auto url = stack.database_url();
        const auto from = url.rfind('/', url.find('?')) + 1;
        const auto name = url.substr(from, url.find('?') - from);
        auto admin = postgres::Connection::connect({.url = servers().postgres().url()});
        admin.exec("drop database " + name + " with (force)");
        admin.exec("create database " + name);
        run_program({"pg_restore", "-d", url, dump});
    }
    stack.db() = postgres::Connection::connect({.url = stack.database_url()});
    stack.set_version(3);
    scene.worker = stack.start_worker({{"HEADRACE_SWEEP", at_once ? "3s" : "200ms"}});
    if (!at_once) {
        EXPECT_TRUE(stack.await([&] { return version_of(stack) == 1; })) << scene.worker->log();
        EXPECT_EQ(stack.sql("select epoch as x from etl_meta"), "2");
    }
    const auto run_id = stack.trigger("t");
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
    EXPECT_TRUE(stack.await([&] { return version_of(stack) == 3; })) << version_of(stack) << scene.worker->log();
    EXPECT_TRUE(stack.await([&] {
        return stack.redis().command({"HGET", "cache:t:zset:meta", "run"}).str() == run_id;
    }));
    support::expect_whole(stack, run_id, 3, Scene::rows);
}

INSTANTIATE_TEST_SUITE_P(Postgres, Restored, testing::Bool(), [](const auto& info) {
    return info.param ? "run_decides_first" : "sweep_sees_it_first";
});

// ---- F23, F24, F25

TEST(PostgresPressure, F23_NoConnectionIsLeft) {
    app::PrivatePostgres server(
        {.dir = servers().fresh_folder() + "/few", .durable = false, .settings = {{"max_connections", "14"}}}
    );
    server.start({});
    Scene scene({.database_url = server.url(), .redis_url = {}}, {});
    auto& stack = scene.stack;
    auto api_env = stack.environment();
    api_env.emplace_back("HEADRACE_LISTEN", "127.0.0.1:0");
    std::vector<postgres::Connection> foreign;
    try {
        while (true) {
            foreign.push_back(postgres::Connection::connect({.url = server.url()}));
        }
    } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::transient) << e.what();
    }
    ASSERT_FALSE(foreign.empty());
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(stack.await([&] { return run_of(stack, "coalesce(error->>'code', '')", run_id) == "postgres.connect"; })
    ) << run_of(stack, "state || coalesce(error::text, '')", run_id)
      << scene.worker->log();
    foreign.clear();
    // A try may be over before the connections are free again; the run is not lost by that.
    if (stack.await_final(run_id) == "failed") {
        EXPECT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << scene.worker->log();
    }
    EXPECT_EQ(version_of(stack), 2);
    // A heartbeat may be between two statements just now; what was left open stays open.
    EXPECT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from pg_stat_activity where state = 'idle in transaction'") == "0";
    }));
    EXPECT_TRUE(scene.worker->running());
}

// Somebody locks the other way round. Postgres chooses the claim as the victim: it is tried again as a whole.
TEST(PostgresPressure, F24_DeadlockIsTriedAgain) {
    Scene scene;
    auto& stack = scene.stack;
    auto other = postgres::Connection::connect(
        {.url = servers().postgres().admin_url(stack.sql("select current_database() as x"))}
    );
    other.exec("set deadlock_timeout = '1min'");
    other.exec("begin");
    other.exec("select 1 from etl_outputs for update");
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(stack.await([&] {
        return stack.sql(
                   "select count(*) as x from pg_stat_activity where wait_event_type = 'Lock' and datname = "
                   "current_database()"
               ) != "0";
    })) << scene.worker->log();
    other.exec("update etl_runs set trigger_reason = 'locked' where run_id = $1", {run_id});
    other.exec("commit");
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
    support::expect_whole(stack, run_id, 2, Scene::rows);
    EXPECT_TRUE(stack.await([&] {
        return stack.sql("select deadlocks as x from pg_stat_database where datname = current_database()") == "1";
    })) << "no deadlock happened";
    EXPECT_EQ(run_of(stack, "attempt || ' ' || crash_count", run_id), "1 0");
}

// A decision that wants the table for itself gives way every five seconds: readers that queued behind it get in.
TEST(PostgresPressure, F25_ReadersPassADecisionThatWaits) {
    Scene scene;
    auto& stack = scene.stack;
    auto holder = postgres::Connection::connect({.url = stack.database_url()});
    holder.exec("begin");
    holder.exec("select count(*) from out.t");
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from pg_locks where not granted and relation = 'out.t'::regclass") ==
               "1";
    })) << log_of(stack, run_id);
    auto reader = postgres::Connection::connect({.url = stack.database_url(), .lock_timeout = seconds(20)});
    const auto started = std::chrono::steady_clock::now();
    EXPECT_EQ(reader.exec("select max(v) as x from out.t").integer(0, "x"), 1);
    EXPECT_LT(std::chrono::steady_clock::now() - started, seconds(8));
    EXPECT_EQ(run_of(stack, "state", run_id), "running");
    holder.exec("commit");
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
    support::expect_whole(stack, run_id, 2, Scene::rows);
    EXPECT_EQ(run_of(stack, "attempt", run_id), "1") << scene.worker->log();
}

// ---- F26, F27

TEST(PostgresPressure, F26_DiskIsFull) {
    support::SmallDisk disk(servers().fresh_folder(), "4m");
    if (!disk.mounted()) {
        GTEST_SKIP() << "a file system cannot be mounted here: " << std::strerror(errno);
    }
    Scene scene;
    auto& stack = scene.stack;
    const auto account = app::Account::find("postgres");
    ASSERT_EQ(::chown(disk.folder().c_str(), account->uid, account->gid), 0);
    auto admin = postgres::Connection::connect({.url = servers().postgres().admin_url()});
    admin.exec("create tablespace small owner headrace location '" + disk.folder() + "'");
    const auto database = stack.sql("select current_database() as x");
    admin.exec("alter database " + database + " set default_tablespace = small");
    support::write_slow_pipeline(stack, 10, 0);
    stack.write_pipeline(
        "big",
        "source:\n  type: clickhouse\n  credential: clickhouse\n"
        "  query: SELECT number AS id, 'text that takes room in the file system' AS s FROM system.numbers LIMIT "
        "200000\n"
        "sinks:\n  - { type: postgres, table: big }\n  - { type: redis, as: json, key: \"cache:big\" }\n"
        "retry: { attempts: 2, backoff: 100ms, max: 200ms }\n"
    );
    ASSERT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from etl_pipelines where name = 'big'") == "1";
    }));
    const auto run_id = stack.trigger("big");
    EXPECT_EQ(stack.await_final(run_id), "failed") << scene.worker->log();
    EXPECT_EQ(run_of(stack, "error->>'code'", run_id), "postgres.disk_full") << run_of(stack, "error", run_id);
    EXPECT_EQ(run_of(stack, "attempt", run_id), "2") << "it may pass: every try is used";
    EXPECT_EQ(stack.get("cache:big"), "");
    EXPECT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from pg_tables where schemaname = 'headrace_staging'") == "0" &&
               stack.redis().command({"KEYS", "{o:*}:s:*"}).elements().empty();
    })) << "staging is left behind";
    EXPECT_EQ(
        stack.sql(
            "select count(*) as x from pg_stat_activity where state like 'idle in%' and datname = current_database()"
        ),
        "0"
    );
    // There is room again.
    ASSERT_TRUE(disk.resize("100m"));
    EXPECT_EQ(stack.await_final(stack.trigger("big")), "succeeded") << scene.worker->log();
    EXPECT_EQ(stack.sql("select count(*) as x from big"), "200000");
    stack.db().exec("drop table big");
    admin.exec("alter database " + database + " reset default_tablespace");
    scene.worker->terminate(seconds(10));
    admin.exec("drop tablespace small");
}

// A worker vanishes in the middle of its decision, and its connections stay open: what it has locked must go with its
// lease.
TEST(PostgresPressure, F27_ClientVanishesWithAnOpenTransaction) {
    Scene scene;
    auto& stack = scene.stack;
    scene.worker->terminate(seconds(10));
    auto zombie = stack.start_worker({{"HEADRACE_KILL_AT", "K10:stop"}});
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(zombie->wait_until_stopped()) << zombie->log();
    // The decision's: a heartbeat that was caught in the middle too writes no commit.
    EXPECT_EQ(
        stack.sql("select count(*) as x from pg_stat_activity join pg_locks using (pid) where state = 'idle in "
                  "transaction' and datname = current_database() and relation = 'etl_commits'::regclass and mode = "
                  "'RowExclusiveLock'"),
        "1"
    );
    auto heir = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id, seconds(20)), "succeeded") << heir->log();
    zombie->resume();
    ASSERT_TRUE(zombie->wait_for_log("attempt ended", seconds(20))) << zombie->log();
    support::expect_whole(stack, run_id, 2, Scene::rows);
}

}  // namespace
}  // namespace headrace
