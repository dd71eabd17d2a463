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

// ---- F37

class ClockSkew : public testing::TestWithParam<int> {
protected:
    // From when the run was due until its attempt began, by the clock of Postgres.
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
    ASSERT_EQ(stack.await_final(run_id, seconds(20)), "succeeded") << heir->log();
    EXPECT_GE(late(stack, due, run_id, "2"), -1.0);
    EXPECT_LE(late(stack, due, run_id, "2"), 4.0);
    EXPECT_EQ(run_of(stack, "crash_count", run_id), "0");
    support::expect_whole(stack, run_id, 2, Scene::rows);
}

INSTANTIATE_TEST_SUITE_P(Hours, ClockSkew, testing::Values(3600, -3600), [](const auto& info) {
    return info.param > 0 ? std::string("ahead") : std::string("behind");
});

}  // namespace
}  // namespace headrace
