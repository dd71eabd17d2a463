#include "app/simulated_yespo.hpp"

#include "base/error.hpp"
#include "base/ids.hpp"

#include <fmt/core.h>

#include <csignal>
#include <filesystem>

namespace headrace::app {
namespace {

namespace fs = std::filesystem;

// Beside the binary in a build folder, else below the install prefix.
std::string yespo_program() {
    const auto folder = fs::read_symlink("/proc/self/exe").parent_path();
    for (const auto& path : {folder / "yespo_simulator", folder / "../libexec/headrace/yespo_simulator"}) {
        if (fs::exists(path)) {
            return path.string();
        }
    }
    return "";
}

}  // namespace

SimulatedYespo::SimulatedYespo(std::string dir)
    : dir_(std::move(dir)),
      accounts_{
          {"yespo_ovago", "100100", 6'000, Secret(random_token(16))},
          {"yespo_brand_b", "200200", 1'500, Secret(random_token(16))}} {}

bool SimulatedYespo::start(const StopToken& stop) {
    const auto program = yespo_program();
    if (program.empty()) {
        return false;
    }
    fs::create_directories(dir_);
    const auto address = dir_ + "/address";
    const auto log = dir_ + "/simulator.log";
    fs::remove(address);
    ProcessSpec spec;
    spec.argv = {program, "--address-file", address};
    for (const auto& account : accounts_) {
        spec.argv.emplace_back("--group");
        spec.argv.push_back(fmt::format("{}={}={}", account.group, account.contacts, account.key.reveal()));
    }
    spec.log_file = log;
    child_ = ChildProcess::start(spec);
    const auto deadline = Deadline::in(std::chrono::seconds(20));
    while (!fs::exists(address)) {  // it appears whole
        if (child_.wait(Deadline::in(std::chrono::milliseconds(5)), stop) || deadline.passed()) {
            throw Error(
                ErrorKind::permanent,
                "dev.server_failed",
                fmt::format("the Yespo simulator did not start:\n{}", file_tail(log, 5))
            );
        }
    }
    url_ = file_tail(address, 1);
    url_.resize(std::min(url_.find('\n'), url_.size()));
    return true;
}

void SimulatedYespo::stop() {
    if (running()) {
        child_.terminate(SIGTERM, std::chrono::milliseconds(2'000));
    }
}

std::string SimulatedYespo::host() const {
    const auto rest = url_.substr(std::string_view("http://").size());
    return rest.substr(0, rest.find('/'));
}

}  // namespace headrace::app
