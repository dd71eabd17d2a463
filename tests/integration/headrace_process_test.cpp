// The launcher of tests/support itself, tried with a shell in the place of the program.
#include "support/worker_process.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace headrace::support {
namespace {

using std::chrono::milliseconds;

class HeadraceProcessTest : public ::testing::Test {
protected:
    HeadraceProcessTest() { ::setenv("HEADRACE_BINARY", "/bin/sh", 1); }

    ~HeadraceProcessTest() override { ::unsetenv("HEADRACE_BINARY"); }
};

std::string state_of(pid_t pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
    const std::string text(std::istreambuf_iterator<char>(in), {});
    return text.substr(text.rfind(')') + 2, 1);
}

TEST_F(HeadraceProcessTest, WaitsForItsLogAndKills) {
    HeadraceProcess process({"-c", "echo \"ready $NAME\"; read line; exec sleep 60"}, {{"NAME", "one"}});
    ASSERT_TRUE(process.wait_for_log("ready one", milliseconds(10'000))) << process.log();
    EXPECT_EQ(process.log(), "ready one\n");
    EXPECT_FALSE(process.wait_for_log("ready", milliseconds(30), process.log_size()));
    process.pause();
    while (state_of(process.pid()) != "T") {
        ASSERT_TRUE(process.running());
    }
    process.resume();
    EXPECT_TRUE(process.running());
    EXPECT_EQ(process.kill().signal, SIGKILL);
    EXPECT_FALSE(process.running());
}

TEST_F(HeadraceProcessTest, SaysWhenTheProcessEndedBeforeItWasReady) {
    HeadraceProcess process({"-c", "echo no >&2; exit 7"}, {});
    EXPECT_FALSE(process.wait_for_log("ready", milliseconds(10'000)));
    const auto end = process.wait(milliseconds(10'000));
    ASSERT_TRUE(end);
    EXPECT_EQ(end->code, 7);
    EXPECT_EQ(process.log(), "no\n");
}

TEST_F(HeadraceProcessTest, TerminatesWithAGracePeriod) {
    HeadraceProcess process({"-c", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done"}, {});
    ASSERT_TRUE(process.wait_for_log("ready", milliseconds(10'000)));
    EXPECT_TRUE(process.terminate(milliseconds(10'000)).ok());
    EXPECT_EQ(process.log(), "ready\nbye\n");
}

}  // namespace
}  // namespace headrace::support
