#include "app/private_server.hpp"

#include "base/error.hpp"
#include "net/wait.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <fstream>

namespace headrace::app {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_again{20};  // between two looks at a starting server; its death ends the wait at once
constexpr milliseconds stop_grace{15'000};
constexpr int start_tries = 5;

std::vector<pid_t> children_of(pid_t pid) {
    std::ifstream in(fmt::format("/proc/{}/task/{}/children", pid, pid));
    std::vector<pid_t> result;
    for (pid_t child = 0; in >> child;) {
        result.push_back(child);
    }
    return result;
}

}  // namespace

PrivateServer::PrivateServer(const std::string& dir, std::string name, milliseconds start_limit)
    : home_(dir, std::move(name)), start_limit_(start_limit) {}

ProcessSpec PrivateServer::spec(std::vector<std::string> argv) const {
    ProcessSpec result;
    result.argv = std::move(argv);
    result.clean_env = true;  // PGOPTIONS and their like are not meant for us
    result.env = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"TZ", "UTC"}, {"HOME", home_.path()}};
    result.cwd = home_.data();
    result.log_file = home_.log_file();
    result.run_as = home_.account();
    return result;
}

void PrivateServer::fail(const std::string& what) const {
    throw Error(
        ErrorKind::permanent,
        "dev.server_failed",
        fmt::format("{} {}; end of {}:\n{}", home_.name(), what, log_file(), file_tail(log_file(), 12))
    );
}

bool PrivateServer::await(const StopToken& stop) {
    const auto deadline = Deadline::in(start_limit_);
    while (!ready()) {
        if (child_.wait(Deadline::in(look_again), stop)) {
            return false;
        }
        if (deadline.passed()) {
            fail(fmt::format("did not answer within {} s", start_limit_.count() / 1000));
        }
    }
    return child_.running();
}

void PrivateServer::start(const StopToken& stop) {
    if (child_.running()) {
        return;
    }
    home_.open();

    struct Undo {  // a start that fails or is stopped leaves nothing running and nothing locked
        PrivateServer* server;

        ~Undo() {
            if (server != nullptr) {
                server->stop(StopMode::immediate);
            }
        }
    } undo{this};

    prepare(stop);
    // A port can be taken between our look and the server's bind; a killed Postgres can need a moment to be gone.
    for (int attempt = 1; attempt <= start_tries; ++attempt) {
        child_ = ChildProcess::start(command(attempt > 1));
        home_.remember(child_.pid());
        if (await(stop)) {
            undo.server = nullptr;
            return;
        }
        const auto log = file_tail(log_file(), 12);
        if (log.find("in use") == std::string::npos) {
            break;
        }
    }
    const auto end = child_.wait(Deadline::in(stop_grace), {});
    fail("ended while it started with " + end.value_or(ExitStatus{}).text());
}

void PrivateServer::stop(StopMode mode) {
    if (child_.running()) {
        child_.terminate(stop_signal(mode), stop_grace);
    }
    child_ = {};
    home_.close();
}

void PrivateServer::crash() {
    if (!child_.running()) {
        return;
    }
    child_.signal(SIGSTOP);  // so that it makes no new children meanwhile
    std::vector<Fd> handles;
    for (const pid_t pid : children_of(child_.pid())) {
        handles.push_back(open_process(pid));
    }
    child_.terminate(SIGKILL, stop_grace);
    for (const auto& handle : handles) {
        if (handle) {
            signal_process(handle, SIGKILL);
            net::wait_readable(handle.get(), Deadline::in(stop_grace), {});
        }
    }
    child_ = {};
    home_.close();
}

}  // namespace headrace::app
