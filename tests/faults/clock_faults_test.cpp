// Clocks of the worker's host that are set while it runs, or differ from those of Redis and Postgres. The worker runs
// under libfaketime (Debian), which fakes the wall clock and leaves the monotonic one alone, as a real step does.
#include "base/error.hpp"
#include "support/sanitized.hpp"
#include "support/scene.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace headrace {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using support::run_of;
using support::Scene;
using support::servers;
using support::Stack;

constexpr std::string_view no_fake = "libfaketime is not here (scripts/install-deps), or sanitizers do not bear it";

// "" where it cannot be used.
std::string fake_library() {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/usr/lib", ignored)) {
        const auto file = entry.path() / "faketime/libfaketimeMT.so.1";
        if (!support::sanitized && fs::exists(file, ignored)) {
            return file.string();
        }
    }
    return {};
}

// A clock that a test sets: seconds before or after the real one.
class FakeClock {
public:
    explicit FakeClock(int ahead = 0) : file_(servers().fresh_folder() + "/clock") { set(ahead); }

    void set(int ahead) {
        std::ofstream(file_ + ".new") << fmt::format("{:+d}\n", ahead);
        fs::rename(file_ + ".new", file_);
    }

    support::HeadraceProcess::Env environment() const {
        return {
            {"LD_PRELOAD", fake_library()},
            {"FAKETIME_TIMESTAMP_FILE", file_},
            {"FAKETIME_NO_CACHE", "1"},
            {"FAKETIME_DONT_FAKE_MONOTONIC", "1"}};
    }

private:
    std::string file_;
};

// Whether a process of this clock writes its log lines at that time.
std::string date_in(Stack& stack, int ahead) {
    return stack.sql(
        "select to_char(now() at time zone 'UTC' + $1 * interval '1 s', 'YYYY-MM-DD\"T\"HH24:') as x", {ahead}
    );
}

// ---- F36

TEST(ClockStep, F36_RunsAndSlotsDoNotCare) {
    if (fake_library().empty()) {
        GTEST_SKIP() << no_fake;
    }
    FakeClock clock;
    Scene scene([&](Stack&) { return clock.environment(); });
    auto& stack = scene.stack;
    stack.write_pipeline(
        "each.second",
        "source: { type: clickhouse, credential: clickhouse, query: SELECT 1 AS id }\nsinks: { type: redis, as: json "
        "}\nschedule: { cron: \"* * * * * *\", timezone: UTC, overlap: queue, catchup: all }\n"
    );
    support::write_slow_pipeline(stack, Scene::rows, 5);  // longer than the lease
    const auto slots = [&] {
        return stack.sql("select count(*) as x from etl_runs where pipeline = 'each.second' and state = 'succeeded'");
    };
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(stack.await([&] { return run_of(stack, "state", run_id) == "running"; })) << scene.worker->log();
    for (const int ahead : {3600, -86'400, 86'400, -3600, 0}) {
        SCOPED_TRACE(ahead);
        const auto before = slots();
        clock.set(ahead);
        ASSERT_TRUE(stack.await([&] { return slots() != before; })) << "it stands still: " << scene.worker->log();
    }
    EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
    EXPECT_EQ(run_of(stack, "attempt || ' ' || crash_count", run_id), "1 0");
    EXPECT_EQ(support::look_at(stack.get("cache:t"), Scene::rows).version, 2);
    stack.db().exec("update etl_pipelines set paused = true");
    EXPECT_TRUE(stack.await([&] {
        return stack.sql("select count(*) as x from etl_runs where state in ('queued', 'running', 'committed')") == "0";
    }));
    EXPECT_EQ(stack.sql("select count(*) as x from etl_runs where state <> 'succeeded' or attempt <> 1"), "0");
    EXPECT_EQ(
        stack.sql("select (count(*) = count(distinct slot) and count(*) = extract(epoch from max(slot) - min(slot)) + 1"
                  " and max(slot) <= now())::text as x from etl_runs where pipeline = 'each.second'"),
        "true"
    ) << stack.sql("select string_agg(slot::text || ' ' || state, E'\\n' order by slot) as x from etl_runs");
    // The history shows what passed, not what the clock said.
    EXPECT_EQ(
        stack.sql("select count(*) as x from etl_steps where finished_at < started_at or finished_at > started_at + "
                  "interval '1 minute'"),
        "0"
    );
    EXPECT_TRUE(scene.worker->terminate(seconds(10)).ok());
}

// ---- F37

class ClockSkew : public testing::TestWithParam<int> {
protected:
    // A worker is there from now on: the run can begin no sooner, and not before it is due.
    static std::string soonest(Stack& stack, const std::string& due) {
        return stack.sql("select greatest(now(), $1::timestamptz) as x", {due});
    }

    // Seconds from when the run was due until its attempt began, by the clock of Postgres.
    static double late(Stack& stack, const std::string& due, const std::string& run_id, const std::string& attempt) {
        return std::stod(stack.sql(
            "select extract(epoch from started_at - $1::timestamptz) as x from etl_attempts where run_id = $2 and "
            "attempt = $3",
            {due, run_id, attempt}
        ));
    }
};

// The worker that put the next try off has a wrong clock, and dies; its heir has the right one.
TEST_P(ClockSkew, F37_ATryThatWaitsComesInTime) {
    if (fake_library().empty()) {
        GTEST_SKIP() << no_fake;
    }
    Scene scene;
    auto& stack = scene.stack;
    scene.worker->terminate(seconds(10));
    // A pause in which the worker can be killed before it comes again by its own clock.
    const auto file = stack.folder() + "/pipelines/t.yaml";
    std::ifstream in(file);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    const std::string_view quick = "backoff: 100ms, max: 200ms";
    text.replace(text.find(quick), quick.size(), "backoff: 3s, max: 3s");
    std::ofstream(file) << text;
    FakeClock clock(GetParam());
    auto env = clock.environment();
    env.emplace_back("HEADRACE_KILL_AT", "K5:throw");
    auto skewed = stack.start_worker(env);
    EXPECT_NE(skewed->log().find(date_in(stack, GetParam())), std::string::npos) << "its clock is right";
    const auto run_id = stack.trigger("t");
    ASSERT_TRUE(stack.await([&] { return run_of(stack, "state || attempt", run_id) == "queued1"; })) << skewed->log();
    const auto due = run_of(stack, "available_at", run_id);
    // Its job is put off as well.
    ASSERT_TRUE(stack.await([&] {
        return stack.redis().command({"LLEN", "bull:etl:active"}).integer() == 0;
    })) << skewed->log();
    skewed->kill();
    auto heir = stack.start_worker();
    const auto possible = soonest(stack, due);
    ASSERT_EQ(stack.await_final(run_id, seconds(20)), "succeeded") << heir->log();
    EXPECT_GE(late(stack, due, run_id, "2"), -1.0);
    EXPECT_LE(late(stack, possible, run_id, "2"), 4.0);
    EXPECT_EQ(run_of(stack, "crash_count", run_id), "0");
    support::expect_whole(stack, run_id, 2, Scene::rows);
}

// A run for later is put into the queue by a worker with one clock and done by one with another, both ways round.
TEST_P(ClockSkew, F37_ARunForLaterIsNeitherEarlyNorForgotten) {
    if (fake_library().empty()) {
        GTEST_SKIP() << no_fake;
    }
    Scene scene;
    auto& stack = scene.stack;
    FakeClock clock(GetParam());
    for (const bool sender_is_wrong : {true, false}) {
        SCOPED_TRACE(sender_is_wrong);
        scene.worker->terminate(seconds(10));
        // As a slot with jitter: due in 1.5 s, and only noted in the outbox.
        const auto run_id = stack.sql("select gen_random_uuid() as x");
        stack.db().transaction([&](postgres::Connection& c) {
            c.exec(
                "insert into etl_runs (run_id, pipeline, definition_version, trigger, triggered_by, job_id, "
                "max_attempts, available_at) select $1::uuid, name, definition_version, 'schedule', 'schedule', 'run-' "
                "|| $1::uuid::text,"
                " 3, now() + interval '1500 ms' from etl_pipelines where name = 't'",
                {run_id}
            );
            c.exec("insert into etl_outbox (run_id) values ($1)", {run_id});
        });
        const auto right = support::HeadraceProcess::Env();
        auto sender = stack.start_worker(sender_is_wrong ? clock.environment() : right);
        ASSERT_TRUE(stack.await([&] {
            return stack.sql("select sent_at is not null as x from etl_outbox where run_id = $1", {run_id}) == "t";
        })) << sender->log();
        sender->kill();
        scene.worker = stack.start_worker(sender_is_wrong ? right : clock.environment());
        const auto due = run_of(stack, "available_at", run_id);
        const auto possible = soonest(stack, due);
        ASSERT_EQ(stack.await_final(run_id, seconds(20)), "succeeded") << scene.worker->log();
        EXPECT_GE(late(stack, due, run_id, "1"), -1.0);
        EXPECT_LE(late(stack, possible, run_id, "1"), 4.0);
    }
}

INSTANTIATE_TEST_SUITE_P(Hours, ClockSkew, testing::Values(3600, -3600), [](const auto& info) {
    return info.param > 0 ? std::string("ahead") : std::string("behind");
});

}  // namespace
}  // namespace headrace
