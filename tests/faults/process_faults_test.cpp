// What may happen to our own processes and to what they work with: signals, upgrades, several of them at once, changes
// under their hands, little memory, a full disk.
#include "app/process.hpp"
#include "support/paths.hpp"
#include "support/sanitized.hpp"
#include "support/scene.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace headrace {
namespace {

using std::chrono::seconds;
using support::run_of;
using support::Scene;
using support::servers;
using support::Stack;

// ---- F46, F47: the end of a worker in the middle of a run

class Shutdown : public testing::TestWithParam<const char*> {};

TEST_P(Shutdown, F46_runIsFinishedOrHandedBack) {
    Scene scene;
    auto& stack = scene.stack;
    scene.worker->terminate(seconds(10));
    support::TornReader reader(stack.redis_url(), "cache:t", Scene::rows);
    auto leaving = stack.start_worker({{"HEADRACE_KILL_AT", std::string(GetParam()) + ":stop"}});
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(leaving->wait_until_stopped()) << leaving->log();
    ASSERT_EQ(::kill(leaving->pid(), SIGTERM), 0);
    leaving->resume();
    const auto end = leaving->wait(seconds(15));
    ASSERT_TRUE(end) << "it does not stop: " << leaving->log();
    EXPECT_TRUE(end->ok()) << end->text() << leaving->log();
    auto heir = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << heir->log();
    EXPECT_TRUE(stack.await([&] { return reader.last_version() == 2; }));
    support::expect_whole(stack, run_id, 2, Scene::rows);
    EXPECT_EQ(run_of(stack, "crash_count", run_id), "0") << "no death";
    EXPECT_EQ(reader.violation(), "");
}

INSTANTIATE_TEST_SUITE_P(
    Points,
    Shutdown,
    testing::Values("K3", "K5", "K8", "K10", "K12", "K14"),
    [](const auto& info) { return std::string(info.param); }
);

TEST(ShutdownOfARun, F47_KilledWhileItDrains) {
    Scene scene;
    auto& stack = scene.stack;
    support::write_slow_pipeline(stack, Scene::rows, 4);
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(stack.await([&] { return run_of(stack, "state", run_id) == "running"; }));
    ASSERT_EQ(::kill(scene.worker->pid(), SIGTERM), 0);
    ASSERT_TRUE(scene.worker->wait_for_log("stopping: nothing new is taken", seconds(10)));
    ASSERT_EQ(::kill(scene.worker->pid(), SIGTERM), 0);  // an impatient person
    EXPECT_EQ(run_of(stack, "state", run_id), "running");
    scene.worker->kill();
    auto heir = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << heir->log();
    EXPECT_EQ(support::look_at(stack.get("cache:t"), Scene::rows).version, 2);
    EXPECT_EQ(run_of(stack, "attempt || ' ' || crash_count", run_id), "2 1");
    EXPECT_EQ(stack.sql("select count(*) as x from etl_commits where run_id = $1", {run_id}), "1");
}

// ---- F40

TEST(Schedulers, F40_EachSlotOnceWithFourOfThem) {
    Stack stack;
    const std::string body =
        "source: { type: clickhouse, credential: clickhouse, query: SELECT 1 AS id }\nsinks: { type: redis, as: json "
        "}\n"
        "schedule: { cron: \"* * * * * *\", timezone: UTC, overlap: queue, catchup: all }\n";
    for (const auto* name : {"a", "b", "c"}) {
        stack.write_pipeline(name, body);
    }
    std::vector<std::unique_ptr<support::HeadraceProcess>> workers;
    for (int i = 0; i < 4; ++i) {
        workers.push_back(stack.start_worker());
    }
    ASSERT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from etl_runs where pipeline = 'c'") >= "5" &&
               stack.sql("select count(*) < 15 as x from etl_runs") == "f";
    }));
    stack.db().exec("update etl_pipelines set paused = true");
    EXPECT_TRUE(stack.await([&] {
        return stack.sql(
                   "select count(*) as x from etl_runs where state in ('queued', 'running', 'committed') or slot is "
                   "null"
               ) == "0";
    }));
    EXPECT_EQ(
        stack.sql("select count(*) as x from (select pipeline from etl_runs group by pipeline having count(*) <> count("
                  "distinct slot) or count(*) <> extract(epoch from max(slot) - min(slot)) + 1) s"),
        "0"
    )
        << stack.sql(
               "select string_agg(pipeline || ' ' || slot::text || ' ' || state, E'\\n' order by pipeline, slot) as x "
               "from etl_runs"
           );
    EXPECT_EQ(stack.sql("select count(*) as x from etl_runs where state <> 'succeeded' or attempt <> 1"), "0");
}

// ---- F52, F53: changed while it runs

class ChangedMeanwhile : public testing::Test {
protected:
    ChangedMeanwhile() {
        support::write_slow_pipeline(scene.stack, Scene::rows, 4);
        run_id = scene.stack.trigger("t");
        EXPECT_TRUE(scene.stack.await([&] {
            return scene.stack.sql(
                       "select count(*) as x from etl_steps where run_id = $1 and step = 'query'", {run_id}
                   ) != "0";
        })) << scene.worker->log();
    }

    int shown() { return support::look_at(scene.stack.get("cache:t"), Scene::rows).version; }

    Scene scene;
    std::string run_id;
};

TEST_F(ChangedMeanwhile, F52_PipelineEdited_RunKeepsItsVersion) {
    auto& stack = scene.stack;
    const auto version = run_of(stack, "definition_version", run_id);
    stack.write_pipeline(
        "t",
        "source: { type: clickhouse, credential: clickhouse, query: SELECT 7 AS v }\n"
        "sinks:\n  - { type: redis, as: json, key: \"cache:t\" }\n  - { type: redis, as: json, key: \"cache:new\" }\n"
    );
    ASSERT_TRUE(stack.await([&] {
        return stack.sql("select definition_version as x from etl_pipelines where name = 't'") != version;
    })) << scene.worker->log();
    ASSERT_EQ(run_of(stack, "state", run_id), "running") << "too late";
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
    EXPECT_EQ(shown(), 2);
    EXPECT_EQ(stack.get("cache:new"), "");
    EXPECT_EQ(run_of(stack, "definition_version", run_id), version);
    EXPECT_EQ(stack.await_final(stack.trigger("t")), "succeeded") << scene.worker->log();
    EXPECT_EQ(stack.get("cache:new"), "[{\"v\":7}]");
}

TEST(DeletedPipeline, F52_NothingIsPublished) {
    Scene scene;
    auto& stack = scene.stack;
    support::write_slow_pipeline(stack, Scene::rows, 20);
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(stack.await([&] { return run_of(stack, "state", run_id) == "running"; })) << scene.worker->log();
    std::filesystem::remove(stack.folder() + "/pipelines/t.yaml");
    EXPECT_EQ(stack.await_final(run_id), "cancelled") << scene.worker->log();
    EXPECT_EQ(run_of(stack, "reason", run_id), "cancelled by the removal of the pipeline");
    EXPECT_EQ(support::look_at(stack.get("cache:t"), Scene::rows).version, 1);
    EXPECT_EQ(stack.sql("select count(*) as x from etl_commits where run_id = $1", {run_id}), "0");
    EXPECT_THROW(stack.trigger("t"), Error);
}

// Nobody has told the attempt yet: the decision itself looks.
TEST(DeletedPipeline, F52_TheDecisionSeesIt) {
    Scene scene;
    auto& stack = scene.stack;
    scene.worker->terminate(seconds(10));
    auto worker = stack.start_worker({{"HEADRACE_KILL_AT", "K8#6:stop"}});
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(worker->wait_until_stopped()) << worker->log();
    stack.db().exec("update etl_pipelines set removed = true where name = 't'");
    worker->resume();
    EXPECT_EQ(stack.await_final(run_id), "cancelled") << worker->log();
    EXPECT_EQ(run_of(stack, "reason", run_id), "cancelled by the removal of the pipeline");
    EXPECT_EQ(support::look_at(stack.get("cache:t"), Scene::rows).version, 1);
    EXPECT_EQ(stack.sql("select count(*) as x from out.history where v = 2"), "0");
}

TEST_F(ChangedMeanwhile, F53_CredentialChanged_RunKeepsWhatItRead) {
    auto& stack = scene.stack;
    const auto url = servers().clickhouse().url();
    stack.set_credential(
        {.name = "clickhouse",
         .kind = "clickhouse",
         .settings = {{"url", url}, {"user", "reader"}, {"database", stack.clickhouse_database()}},
         .allowed_hosts = {url.substr(7)}},
        Secret("another")
    );
    ASSERT_EQ(run_of(stack, "state", run_id), "running") << "too late";
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
    EXPECT_EQ(shown(), 2);
    const auto next = stack.trigger("t");
    EXPECT_EQ(stack.await_final(next), "failed") << scene.worker->log();
    EXPECT_EQ(run_of(stack, "error->>'code'", next), "source.auth");
    stack.db().exec("delete from etl_credentials where name = 'clickhouse'");
    const auto last = stack.trigger("t");
    EXPECT_EQ(stack.await_final(last), "failed") << scene.worker->log();
    EXPECT_EQ(run_of(stack, "error->>'code'", last), "credential.not_found");
    EXPECT_EQ(shown(), 2);
}

// ---- F42

// By the Node library itself, into the queue of a worker that runs.
TEST(ForeignProducer, F42_NodeAddsAJobAndSeesItDone) {
    Scene scene;
    auto& stack = scene.stack;
    const auto& url = stack.redis_url();
    const auto socket = url.substr(13, url.find('?') - 13);
    const auto db = url.substr(url.rfind('=') + 1);
    const auto script = fmt::format(
        "import {{ Queue, QueueEvents }} from 'bullmq';\n"
        "const connection = {{ path: '{}', db: {} }};\n"
        "const queue = new Queue('etl', {{ connection }});\n"
        "const events = new QueueEvents('etl', {{ connection }});\n"
        "await events.waitUntilReady();\n"
        "const job = await queue.add('t', {{}});\n"
        "console.log('answer ' + JSON.stringify(await job.waitUntilFinished(events, 15000)));\n"
        "await events.close(); await queue.close();\n",
        socket,
        db
    );
    app::ProcessSpec spec;
    spec.argv = {"node", "--input-type=module", "-e", script};
    spec.cwd = support::source_root().string();
    spec.log_file = servers().fresh_folder() + "/node.log";
    auto node = app::ChildProcess::start(spec);
    const auto end = node.wait(Deadline::in(seconds(25)), {});
    const auto said = app::file_tail(spec.log_file, 20);
    ASSERT_TRUE(end && end->ok()) << said << scene.worker->log();
    const auto run_id = stack.sql("select run_id as x from etl_runs where trigger = 'queue'");
    EXPECT_NE(said.find("\"state\":\"succeeded\""), std::string::npos) << said;
    EXPECT_NE(said.find(run_id), std::string::npos) << said;
    support::expect_whole(stack, run_id, 2, Scene::rows);
    EXPECT_EQ(stack.sql("select count(*) as x from etl_runs where trigger = 'queue'"), "1");
}

// ---- F44, F45

// Nothing that it says can be written.
TEST(LittleRoom, F45_DiskOfTheWorkerIsFull) {
    Scene scene;
    auto& stack = scene.stack;
    scene.worker->terminate(seconds(10));
    app::ProcessSpec spec;
    spec.argv = {"/bin/sh", "-c", "exec \"$0\" worker --grace 5 >/dev/full 2>&1", support::headrace_binary().string()};
    spec.env = stack.environment();
    spec.death_signal = SIGKILL;
    auto worker = app::ChildProcess::start(spec);
    const auto run_id = stack.trigger("t");
    EXPECT_EQ(stack.await_final(run_id), "succeeded");
    support::expect_whole(stack, run_id, 2, Scene::rows);
    EXPECT_TRUE(worker.running());
    EXPECT_TRUE(worker.terminate(SIGTERM, std::chrono::milliseconds(10'000)).ok());
}

// What it may still take, on top of what it has: less than one row of `large` needs.
void limit_memory(const support::HeadraceProcess& worker, std::uint64_t more) {
    std::ifstream in("/proc/" + std::to_string(worker.pid()) + "/status");
    std::string word;
    rlim_t has = 0;
    while (in >> word && word != "VmData:") {
    }
    in >> has;
    ASSERT_GT(has, 0u);
    const rlimit limit{has * 1024 + more, RLIM_INFINITY};
    ASSERT_EQ(::prlimit(worker.pid(), RLIMIT_DATA, &limit, nullptr), 0);
}

TEST(LittleRoom, F44_MemoryLimitFailsTheRunAndNotTheWorker) {
    if (support::sanitized) {
        GTEST_SKIP() << "sanitizers end a process that has no memory left";
    }
    Scene scene;
    auto& stack = scene.stack;
    stack.write_pipeline(
        "large",
        "source:\n  type: clickhouse\n  credential: clickhouse\n"
        "  query: \"SELECT arrayStringConcat(arrayMap(x -> '0123456789abcdef', range(3000000))) AS t\"\n"
        "sinks: { type: redis, as: json }\nretry: { attempts: 1 }\n"
    );
    ASSERT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from etl_pipelines where name = 'large'") == "1";
    }));
    limit_memory(*scene.worker, 40u << 20);
    const auto run_id = stack.trigger("large");
    EXPECT_EQ(stack.await_final(run_id), "failed") << scene.worker->log();
    EXPECT_EQ(run_of(stack, "error->>'code'", run_id), "run.memory") << run_of(stack, "error", run_id);
    EXPECT_EQ(run_of(stack, "crash_count", run_id), "0");
    EXPECT_TRUE(scene.worker->running()) << scene.worker->log();
    const auto next = stack.trigger("t");
    EXPECT_EQ(stack.await_final(next), "succeeded") << scene.worker->log();
    support::expect_whole(stack, next, 2, Scene::rows);
}

}  // namespace
}  // namespace headrace
