#include "app/simulator_process.hpp"

#include "base/error.hpp"

#include <fmt/core.h>

#include <csignal>
#include <filesystem>
#include <fstream>

namespace headrace::app {
namespace {

namespace fs = std::filesystem;

// Beside the binary in a build folder, else below the install prefix.
std::string program_path(std::string_view name) {
    const auto folder = fs::read_symlink("/proc/self/exe").parent_path();
    for (const auto& path : {folder / name, folder / "../libexec/headrace" / name}) {
        if (fs::exists(path)) {
            return path.string();
        }
    }
    return "";
}

}  // namespace

bool SimulatorProcess::start(
    const std::string& dir,
    std::string_view program,
    const std::vector<std::string>& arguments,
    const StopToken& stop
) {
    const auto path = program_path(program);
    if (path.empty()) {
        return false;
    }
    fs::create_directories(dir);
    const auto address = dir + "/address";
    fs::remove(address);
    ProcessSpec spec;
    spec.argv = {path, "--address-file", address};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    spec.log_file = dir + "/simulator.log";
    child_ = ChildProcess::start(spec);
    const auto deadline = Deadline::in(std::chrono::seconds(20));
    while (!fs::exists(address)) {  // it appears whole
        if (child_.wait(Deadline::in(std::chrono::milliseconds(5)), stop) || deadline.passed()) {
            throw Error(
                ErrorKind::permanent,
                "dev.server_failed",
                fmt::format("{} did not start:\n{}", program, file_tail(spec.log_file, 5))
            );
        }
    }
    addresses_.clear();
    std::ifstream lines(address);
    for (std::string line; std::getline(lines, line);) {
        addresses_.push_back(line);
    }
    return true;
}

void SimulatorProcess::stop() {
    if (running()) {
        child_.terminate(SIGTERM, std::chrono::milliseconds(2'000));
    }
}

std::string SimulatorProcess::address(std::size_t number) const {
    return number < addresses_.size() ? addresses_[number] : "";
}

}  // namespace headrace::app
