#include "support/worker_process.hpp"

#include "support/paths.hpp"
#include "support/servers.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

namespace headrace::support {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_again{10};

std::string binary() {
    const char* chosen = std::getenv("HEADRACE_BINARY");
    return chosen != nullptr ? chosen : headrace_binary().string();
}

}  // namespace

HeadraceProcess::HeadraceProcess(std::vector<std::string> args, const Env& env)
    : log_file_(servers().fresh_folder() + "/headrace.log") {
    app::ProcessSpec spec;
    spec.argv = std::move(args);
    spec.argv.insert(spec.argv.begin(), binary());
    spec.env = env;
    spec.log_file = log_file_;
    spec.death_signal = SIGKILL;
    child_ = app::ChildProcess::start(spec);
}

HeadraceProcess::~HeadraceProcess() {
    child_.terminate(SIGKILL, milliseconds(10'000));
    const auto text = log();
    for (const auto* report : {"ERROR: AddressSanitizer", "WARNING: ThreadSanitizer", "runtime error: "}) {
        if (const auto at = text.find(report); at != std::string::npos) {
            ADD_FAILURE() << "a sanitizer reported in the child:\n" << text.substr(at, 4000);
        }
    }
}

bool HeadraceProcess::wait_for_log(std::string_view text, milliseconds limit, std::size_t offset) {
    const auto deadline = Deadline::in(limit);
    while (true) {
        const bool ended = !child_.running();
        if (log().find(text, offset) != std::string::npos) {
            return true;
        }
        if (ended || deadline.passed()) {
            return false;
        }
        child_.wait(Deadline::in(look_again).earlier(deadline), {});
    }
}

bool HeadraceProcess::wait_until_stopped(milliseconds limit) {
    const auto deadline = Deadline::in(limit);
    while (child_.running() && !deadline.passed()) {
        std::ifstream in("/proc/" + std::to_string(child_.pid()) + "/stat");
        const std::string stat{std::istreambuf_iterator<char>(in), {}};
        // "pid (name) state …"
        if (const auto end = stat.rfind(')'); end != std::string::npos && stat.substr(end, 3) == ") T") {
            return true;
        }
        child_.wait(Deadline::in(look_again).earlier(deadline), {});
    }
    return false;
}

app::ExitStatus HeadraceProcess::kill() {
    return child_.terminate(SIGKILL, milliseconds(10'000));
}

app::ExitStatus HeadraceProcess::terminate(milliseconds grace) {
    return child_.terminate(SIGTERM, grace);
}

std::optional<app::ExitStatus> HeadraceProcess::wait(milliseconds limit) {
    return child_.wait(Deadline::in(limit), {});
}

std::string HeadraceProcess::log() const {
    std::ifstream in(log_file_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t HeadraceProcess::log_size() const {
    std::error_code error;
    const auto size = std::filesystem::file_size(log_file_, error);
    return error ? 0 : static_cast<std::size_t>(size);
}

}  // namespace headrace::support
