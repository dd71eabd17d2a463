// A child process of ours: started with explicit argv, environment, user and log file; waited for through a pidfd, so
// that every wait has a deadline and a stop token; never left behind. One owner, one thread at a time.
//
// The kernel sends `death_signal` to the child when the *thread* that started it ends: start children from a thread
// that lives as long as they do (main).
#pragma once

#include "base/deadline.hpp"
#include "base/fd.hpp"
#include "base/stop.hpp"

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::app {

// An account of this machine.
struct Account {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;

    static std::optional<Account> find(const std::string& name);
};

struct ProcessSpec {
    std::vector<std::string> argv;  // argv[0]: a path, or a name that is looked up as find_program() does
    std::vector<std::pair<std::string, std::string>> env;  // on top of ours, or alone with `clean_env`
    bool clean_env = false;
    std::string cwd;                // empty: ours
    std::string stdin_file;         // empty: /dev/null
    std::string log_file;           // gets stdout and stderr, appended, made with mode 0600; empty: our own
    std::optional<Account> run_as;  // drops to this account; only root can
    int death_signal = 15;          // SIGTERM
};

struct ExitStatus {
    int code = -1;  // exit code, -1 when a signal ended it
    int signal = 0;

    bool ok() const { return code == 0; }

    std::string text() const;  // "exit code 1", "signal 9"
};

// The full path of a program: `name` itself when it has a slash, else the first hit in `extra` folders, then PATH, then
// the sbin folders. Empty when there is none.
std::string find_program(std::string_view name, const std::vector<std::string>& extra = {});

// The last `lines` lines of a file, "" when it cannot be read. Reads at most 64 KiB.
std::string file_tail(const std::string& path, std::size_t lines);

// A handle on any process of ours: cannot come to mean another one. Not valid when there is no such process.
// (Own calls: glibc 2.36 has them, but its header forgets extern "C".)
Fd open_process(pid_t pid);
void signal_process(const Fd& process, int number);

class ChildProcess {
public:
    // The child leads its own process group and has no descriptor of ours but 0, 1 and 2, no blocked or ignored signal.
    // Throws dev.server_missing when there is no such program and dev.server_failed when it cannot be started.
    static ChildProcess start(const ProcessSpec& spec);

    ChildProcess() = default;
    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&& other) noexcept;
    ~ChildProcess();  // SIGKILL to the group when it still runs, and reaped

    pid_t pid() const { return pid_; }  // 0 when none was started

    int fd() const { return pidfd_.get(); }  // readable once it has ended

    bool running();

    // Its end, or nullopt at the deadline. A stop throws net.cancelled and leaves the child running.
    std::optional<ExitStatus> wait(Deadline deadline, const StopToken& stop);

    void signal(int number);  // to the child only; nothing when it has ended
    // `number`, then SIGKILL to the group after `grace`. Returns when it has ended and is reaped. Not cut short by
    // stops.
    ExitStatus terminate(int number, std::chrono::milliseconds grace);

private:
    pid_t pid_ = 0;
    Fd pidfd_;
    std::optional<ExitStatus> ended_;
};

}  // namespace headrace::app
