// BigQuery by REST and by Storage Read, the whole way from socket to columns, in one run on the same rows: this program
// has core 0, the simulator core 1. Medians of rows a second; CPU of all threads of this program.
//   bench_bigquery_ways [--rows 1000000] [--repeat 3] [--ways rest,gzip,storage,storage1]
#include "source/bigquery/bigquery.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

using namespace headrace;
namespace fs = std::filesystem;

struct Settings {
    std::uint64_t rows = 1'000'000;
    int repeat = 3;
    std::string ways = "rest,gzip,storage,storage1";
};

void pin(int core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    ::sched_setaffinity(0, sizeof cores, &cores);
}

std::string whole(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

class SimulatorProcess {
public:
    explicit SimulatorProcess(std::uint64_t rows)
        : folder_(fs::temp_directory_path() / ("headrace-ways-" + std::to_string(::getpid()))) {
        fs::create_directories(folder_);
        const auto program = (fs::read_symlink("/proc/self/exe").parent_path() / "../../bigquery_simulator").string();
        const auto table = "headrace-test.d.t=" + std::to_string(rows);
        const auto address = (folder_ / "address").string();
        const auto key = (folder_ / "key").string();
        pid_ = ::fork();
        if (pid_ == 0) {
            pin(1);
            ::execl(
                program.c_str(),
                program.c_str(),
                "--table",
                table.c_str(),
                "--page-rows",
                "50000",
                "--address-file",
                address.c_str(),
                "--key-file",
                key.c_str(),
                nullptr
            );
            std::_Exit(127);
        }
        while (whole(address).empty()) {
            if (::waitpid(pid_, nullptr, WNOHANG) != 0) {
                throw std::runtime_error("the simulator does not start: " + program);
            }
            ::sched_yield();
        }
        const auto text = whole(address);
        url_ = text.substr(0, text.find('\n'));
        storage_url_ = text.substr(url_.size() + 1, text.size() - url_.size() - 2);
        key_ = whole(key);
    }

    ~SimulatorProcess() {
        ::kill(pid_, SIGTERM);
        ::waitpid(pid_, nullptr, 0);
        fs::remove_all(folder_);
    }

    std::unique_ptr<pipeline::Source> source(const std::string& way) const {
        pipeline::Part part;
        part.type = "bigquery";
        part.options.values = {
            {"query", "SELECT * FROM t"},
            {"default_dataset", "d"},
            {"max_row_bytes", "33554432"},
            {"request_timeout", "600000"},
            {"backoff", "500"},
            {"retries", "6"},
            {"read", way.starts_with("storage") ? "storage" : "rest"},
            {"max_streams", way == "storage1" ? "1" : "4"},
            {"compress", way == "gzip" ? "true" : "false"}};
        pipeline::Credential credential;
        credential.kind = "bigquery";
        credential.settings = {{"url", url_}, {"storage_url", storage_url_}};
        credential.secret = Secret(key_);
        credential.allowed_hosts = {"127.0.0.1"};
        return source::bigquery::type().make(part, credential);
    }

private:
    fs::path folder_;
    pid_t pid_ = 0;
    std::string url_;
    std::string storage_url_;
    std::string key_;
};

struct Measured {
    double rows_a_second = 0;
    double cpu_a_million = 0;
    double megabytes_a_second = 0;
};

double cpu_seconds() {
    rusage use{};
    ::getrusage(RUSAGE_SELF, &use);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(use.ru_utime) + seconds(use.ru_stime);
}

Measured measure(const SimulatorProcess& simulator, const std::string& way, std::uint64_t rows) {
    const auto source = simulator.source(way);
    source->connect({{}, Deadline::never(), "bench", way + std::to_string(::random()), {}, {}});
    const auto schema = source->query();
    const auto begin = std::chrono::steady_clock::now();
    const auto cpu = cpu_seconds();
    data::Batch batch;
    std::uint64_t seen = 0;
    for (batch.reset(schema); source->next(batch); batch.reset(schema)) {
        seen += batch.rows();
    }
    if (seen != rows) {
        throw std::runtime_error("rows are missing");
    }
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
    const auto count = static_cast<double>(rows);
    return {
        count / wall.count(),
        (cpu_seconds() - cpu) / count * 1e6,
        static_cast<double>(source->bytes_received()) / 1e6 / wall.count()};
}

Settings parse(int count, char** words) {
    Settings out;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string name = words[i];
        if (name == "--rows") {
            out.rows = std::stoull(words[i + 1]);
        } else if (name == "--repeat") {
            out.repeat = std::stoi(words[i + 1]);
        } else if (name == "--ways") {
            out.ways = words[i + 1];
        }
    }
    return out;
}

}  // namespace

int main(int count, char** words) {
    const auto settings = parse(count, words);
    const SimulatorProcess simulator(settings.rows);
    pin(0);
    fmt::print("{} rows of 8 mixed columns, {} repeats, medians\n", settings.rows, settings.repeat);
    fmt::print("{:<10} {:>12} {:>18} {:>8}\n", "way", "rows/s", "CPU-s per million", "MB/s");
    for (std::string_view rest = settings.ways; !rest.empty();) {
        const std::string way(rest.substr(0, rest.find(',')));
        rest.remove_prefix(std::min(way.size() + 1, rest.size()));
        measure(simulator, way, settings.rows);  // the simulator renders its answers once
        std::vector<Measured> all;
        for (int i = 0; i < settings.repeat; ++i) {
            all.push_back(measure(simulator, way, settings.rows));
        }
        std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
            return a.rows_a_second < b.rows_a_second;
        });
        const auto& middle = all[all.size() / 2];
        fmt::print(
            "{:<10} {:>12.0f} {:>18.3f} {:>8.0f}\n",
            way,
            middle.rows_a_second,
            middle.cpu_a_million,
            middle.megabytes_a_second
        );
    }
    rusage use{};
    ::getrusage(RUSAGE_SELF, &use);
    fmt::print("peak RSS {} MiB\n", use.ru_maxrss / 1024);
    return 0;
}
