#include "app/process.hpp"

#include "base/error.hpp"
#include "support/servers.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <thread>

namespace headrace::app {
namespace {

using std::chrono::milliseconds;

std::string read_all(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

ProcessSpec shell(const std::string& script, const std::string& log) {
    ProcessSpec spec;
    spec.argv = {"sh", "-c", script};
    spec.log_file = log;
    return spec;
}

TEST(Process, RunsWithItsEnvironmentFolderInputAndLog) {
    const auto folder = support::servers().fresh_folder();
    std::ofstream(folder + "/in") << "from the file\n";
    auto spec = shell("pwd; echo \"$NAME $PATH_UNSET\"; cat; echo bad >&2; umask; exit 3", folder + "/log");
    spec.env = {{"NAME", "a b"}, {"PATH", "/usr/bin:/bin"}};
    spec.clean_env = true;
    spec.cwd = folder;
    spec.stdin_file = folder + "/in";
    auto child = ChildProcess::start(spec);
    const auto end = child.wait(Deadline::in(milliseconds(10'000)), {});
    ASSERT_TRUE(end);
    EXPECT_EQ(end->code, 3);
    EXPECT_EQ(end->text(), "exit code 3");
    EXPECT_EQ(read_all(folder + "/log"), folder + "\na b \nfrom the file\nbad\n0077\n");
    EXPECT_EQ(file_tail(folder + "/log", 2), "bad\n0077");
    EXPECT_EQ(file_tail(folder + "/log", 50), folder + "\na b \nfrom the file\nbad\n0077");

    struct stat info {};

    ASSERT_EQ(::stat((folder + "/log").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(Process, LeaksNoDescriptorAndNoSignalState) {
    const auto folder = support::servers().fresh_folder();
    const int leaky = ::dup(0);  // no close-on-exec
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
    auto* old = ::signal(SIGPIPE, SIG_IGN);
    auto child =
        ChildProcess::start(shell("ls /proc/self/fd | wc -l; grep -E 'Sig(Blk|Ign)' /proc/self/status", folder + "/log")
        );
    EXPECT_TRUE(child.wait(Deadline::in(milliseconds(10'000)), {}));
    ::signal(SIGPIPE, old);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::close(leaky);
    // 0, 1, 2 and the folder that ls itself reads.
    EXPECT_EQ(read_all(folder + "/log"), "4\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(Process, SaysWhatIsMissing) {
    ProcessSpec spec;
    spec.argv = {"headrace-no-such-program"};
    try {
        ChildProcess::start(spec);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "dev.server_missing");
        EXPECT_EQ(e.message(), "there is no program headrace-no-such-program");
    }
    spec.argv = {"sh"};
    spec.cwd = "/no/such/folder";
    try {
        ChildProcess::start(spec);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "dev.server_failed");
        EXPECT_NE(e.message().find("entering its folder: No such file or directory"), std::string::npos) << e.message();
    }
}

TEST(Process, WaitEndsAtTheDeadlineAndAtAStop) {
    auto child = ChildProcess::start(shell("exec sleep 60", ""));
    EXPECT_FALSE(child.wait(Deadline::in(milliseconds(30)), {}));
    EXPECT_TRUE(child.running());
    StopSource source;
    std::thread stopper([&] { source.request_stop(); });
    EXPECT_THROW(child.wait(Deadline::in(milliseconds(30'000)), source.token()), Error);
    stopper.join();
    EXPECT_TRUE(child.running());
    const auto end = child.terminate(SIGTERM, milliseconds(10'000));
    EXPECT_EQ(end.signal, SIGTERM);
    EXPECT_FALSE(child.running());
    EXPECT_EQ(end.text(), "signal 15");
}

TEST(Process, KillsTheGroupOfAStubbornChild) {
    const auto folder = support::servers().fresh_folder();
    auto child =
        ChildProcess::start(shell("trap '' TERM; sleep 60 & echo $!; while :; do wait; done", folder + "/log"));
    while (read_all(folder + "/log").find('\n') == std::string::npos) {
        ASSERT_FALSE(child.wait(Deadline::in(milliseconds(5)), {}));
    }
    const pid_t grandchild = std::stoi(read_all(folder + "/log"));
    EXPECT_EQ(child.terminate(SIGTERM, milliseconds(100)).signal, SIGKILL);
    // Reaped by init, or a zombie of it: either way it runs no more.
    const auto deadline = Deadline::in(milliseconds(10'000));
    auto alive = [&] {
        const auto status = read_all("/proc/" + std::to_string(grandchild) + "/stat");
        return !status.empty() && status.find(") Z") == std::string::npos;
    };
    while (alive() && !deadline.passed()) {
    }
    EXPECT_FALSE(alive());
}

TEST(Process, DiesWithTheThreadThatStartedIt) {
    ChildProcess child;
    std::thread([&] { child = ChildProcess::start(shell("exec sleep 60", "")); }).join();
    const auto end = child.wait(Deadline::in(milliseconds(10'000)), {});
    ASSERT_TRUE(end);
    EXPECT_EQ(end->signal, SIGTERM);
}

TEST(Process, RunsAsAnotherAccount) {
    const auto nobody = Account::find("nobody");
    if (::geteuid() != 0 || !nobody) {
        GTEST_SKIP() << "only root can change the user";
    }
    const auto folder = support::servers().fresh_folder();
    auto spec = shell("id -u; id -G", folder + "/log");
    spec.run_as = nobody;
    auto child = ChildProcess::start(spec);
    EXPECT_TRUE(child.wait(Deadline::in(milliseconds(10'000)), {}));
    EXPECT_EQ(read_all(folder + "/log"), std::to_string(nobody->uid) + "\n" + std::to_string(nobody->gid) + "\n");
}

TEST(Process, GoesWhenItsOwnerGoes) {
    pid_t pid = 0;
    {
        auto child = ChildProcess::start(shell("exec sleep 60", ""));
        pid = child.pid();
        ChildProcess other(std::move(child));
        EXPECT_EQ(child.pid(), 0);  // NOLINT(bugprone-use-after-move)
        EXPECT_TRUE(other.running());
    }
    EXPECT_EQ(::kill(pid, 0), -1);
}

}  // namespace
}  // namespace headrace::app
