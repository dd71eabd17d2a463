#include "app/simulated_bigquery.hpp"

#include "base/error.hpp"

#include <fmt/core.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace headrace::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* sample_project = "bdi-chat-va";
constexpr const char* reference_table = "bdi-chat-va.n8n_oss.reference=5000";
constexpr const char* projects_table = "bdi-chat-va.n8n_oss.projects=20000";

// Beside the binary in a build folder, else below the install prefix.
std::string simulator_program() {
    const auto folder = fs::read_symlink("/proc/self/exe").parent_path();
    for (const auto& path : {folder / "bigquery_simulator", folder / "../libexec/headrace/bigquery_simulator"}) {
        if (fs::exists(path)) {
            return path.string();
        }
    }
    return "";
}

std::string whole_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

bool SimulatedBigQuery::start(const StopToken& stop) {
    const auto program = simulator_program();
    if (program.empty()) {
        return false;
    }
    fs::create_directories(dir_);
    const auto address = dir_ + "/address";
    const auto log = dir_ + "/simulator.log";
    fs::remove(address);
    ProcessSpec spec;
    spec.argv = {
        program,
        "--project",
        sample_project,
        "--table",
        reference_table,
        "--table",
        projects_table,
        "--key-file",
        dir_ + "/key.json",
        "--address-file",
        address};
    spec.log_file = log;
    child_ = ChildProcess::start(spec);
    const auto deadline = Deadline::in(std::chrono::seconds(20));
    while (url_.empty() || !fs::exists(address)) {
        const auto text = whole_file(address);  // two lines
        if (const auto line = text.find('\n'); text.ends_with('\n')) {
            url_ = text.substr(0, line);
            storage_url_ = text.substr(line + 1, text.size() - line - 2);
        } else if (child_.wait(Deadline::in(std::chrono::milliseconds(5)), stop) || deadline.passed()) {
            throw Error(
                ErrorKind::permanent,
                "dev.server_failed",
                fmt::format("the BigQuery simulator did not start:\n{}", file_tail(log, 5))
            );
        }
    }
    return true;
}

void SimulatedBigQuery::stop() {
    if (running()) {
        child_.terminate(SIGTERM, std::chrono::milliseconds(2'000));
    }
}

Secret SimulatedBigQuery::key_file() const {
    return Secret(whole_file(dir_ + "/key.json"));
}

}  // namespace headrace::app
