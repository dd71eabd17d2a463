// The program itself as a child: `headrace worker`, `headrace api`, … with its log in a file that tests can wait on.
#pragma once

#include "app/process.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::support {

class HeadraceProcess {
public:
    using Env = std::vector<std::pair<std::string, std::string>>;

    // The program of the same build (or HEADRACE_BINARY of the environment) with `args`; `env` comes on top of ours.
    HeadraceProcess(std::vector<std::string> args, const Env& env);
    // Killed with SIGKILL. A sanitizer's report in its log fails the test: a worker that dies of one is replaced and
    // healed like any other, so that nothing else would tell.
    ~HeadraceProcess();
    HeadraceProcess(const HeadraceProcess&) = delete;
    HeadraceProcess& operator=(const HeadraceProcess&) = delete;

    // Waits until the log holds `text` (from `offset`, a value of log_size()); false when the process ended or the time
    // was up before. The failure message of the caller should show log().
    bool wait_for_log(std::string_view text, std::chrono::milliseconds limit, std::size_t offset = 0);

    app::ExitStatus kill();                                                // SIGKILL, reaped
    app::ExitStatus terminate(std::chrono::milliseconds grace);            // SIGTERM, then SIGKILL
    std::optional<app::ExitStatus> wait(std::chrono::milliseconds limit);  // for a process that ends by itself

    // Until it stands still (a kill point with :stop); false when it ended or the time was up.
    bool wait_until_stopped(std::chrono::milliseconds limit = std::chrono::seconds(20));

    void pause() { child_.signal(19); }  // SIGSTOP

    void resume() { child_.signal(18); }  // SIGCONT

    bool running() { return child_.running(); }

    pid_t pid() const { return child_.pid(); }

    std::string log() const;  // stdout and stderr so far
    std::size_t log_size() const;

private:
    std::string log_file_;
    app::ChildProcess child_;
};

}  // namespace headrace::support
