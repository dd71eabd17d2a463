// F03: a worker is killed before the N-th call of each network and file syscall of one run, for every N that a run has;
// another worker finishes the run, and readers see nothing wrong. The run has every kind of output, in Redis and
// Postgres.
//   syscall_kills [--every M] [--evidence FILE.json]     M: only every M-th call, for a quick look
// Exit code 77 where ptrace is not allowed.
#include "base/error.hpp"
#include "proof/installation.hpp"
#include "proof/program.hpp"
#include "proof/wait.hpp"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

namespace headrace::proof {
namespace {

using std::chrono::milliseconds;
using support::HeadraceProcess;

constexpr int skipped = 77;
constexpr long table_rows = 300;

const std::vector<std::string> syscalls = {
    "socket",
    "connect",
    "sendto",
    "sendmsg",
    "recvfrom",
    "recvmsg",
    "shutdown",
    "openat",
    "read",
    "pread64",
    "write",
    "writev",
    "ftruncate",
    "fsync",
    "close",
    "poll",
    "ppoll",
    "epoll_wait"};

std::string joined(const std::vector<std::string>& words) {
    std::string all;
    for (const auto& word : words) {
        all += (all.empty() ? "" : ",") + word;
    }
    return all;
}

// strace on all threads of a process that runs already: counters begin here.
class Tracer {
public:
    Tracer(pid_t pid, const std::vector<std::string>& options, const std::string& folder)
        : log_(folder + "/strace.log") {
        std::filesystem::remove(log_);
        app::ProcessSpec spec;
        spec.argv = {"strace", "-f", "-p", std::to_string(pid)};
        spec.argv.insert(spec.argv.end(), options.begin(), options.end());
        spec.log_file = log_;
        spec.death_signal = SIGKILL;
        process_ = app::ChildProcess::start(spec);
        if (!wait_until([&] { return text().find("attached") != std::string::npos || !process_.running(); }, limit)) {
            throw std::runtime_error("strace does not attach: " + text());
        }
    }

    bool attached() const { return text().find("attached") != std::string::npos; }

    std::string text() const { return app::file_tail(log_, 20); }

    void detach() { process_.terminate(SIGINT, limit); }

private:
    static constexpr milliseconds limit{10'000};
    std::string log_;
    app::ChildProcess process_;
};

struct Point {
    std::string syscall;
    int number = 0;
};

class Sweep {
public:
    Sweep(int every, std::uint64_t seed)
        : every_(every),
          seed_(seed),
          folder_(support::servers().fresh_folder()),
          db_(installation_.stack().database_url()),
          queue_(installation_.stack().redis_url()) {
        installation_.add_pipeline("t", table_rows, true);
        cache_.emplace(installation_.cache_url());
        check_.emplace(db_, queue_, *cache_, installation_.outputs(), violations_);
    }

    bool run(const std::string& evidence_file);

private:
    std::vector<Point> baseline();
    void kill_at(const Point& point);
    void heal(const std::string& run_id, const std::string& where);
    std::unique_ptr<HeadraceProcess> quiet_worker();
    std::unique_ptr<HeadraceProcess> start(HeadraceProcess::Env env, const std::vector<std::string>& options);
    std::string trigger();
    std::string state_of(const std::string& run_id);
    bool is_over(const std::string& run_id);

    int every_;
    std::uint64_t seed_;
    std::string folder_;
    Violations violations_;
    Installation installation_;
    Database db_;
    Cache queue_;
    std::optional<Cache> cache_;
    std::optional<LedgerCheck> check_;
    int version_ = 0;
    long killed_ = 0, not_reached_ = 0;
    std::map<std::string, long> killed_by_;
};

std::unique_ptr<HeadraceProcess> Sweep::start(HeadraceProcess::Env more, const std::vector<std::string>& options) {
    auto env = installation_.environment();
    std::erase_if(env, [&](const auto& pair) { return !more.empty() && pair.first == more.front().first; });
    env.insert(env.end(), more.begin(), more.end());
    std::vector<std::string> args = {"worker", "--grace", "5"};
    args.insert(args.end(), options.begin(), options.end());
    auto worker = std::make_unique<HeadraceProcess>(args, env);
    if (!worker->wait_for_log("ready", std::chrono::seconds(20))) {
        throw std::runtime_error("the worker is not ready:\n" + worker->log());
    }
    return worker;
}

// Its other threads sleep while the run is at work, so that the counters are the run's.
std::unique_ptr<HeadraceProcess> Sweep::quiet_worker() {
    return start({{"HEADRACE_SWEEP", "60s"}}, {"--no-schedule"});
}

std::string Sweep::trigger() {
    installation_.stack().set_version(++version_);
    return installation_.stack().trigger("t");
}

std::string Sweep::state_of(const std::string& run_id) {
    return db_.one("select state from etl_runs where run_id = $1", {run_id});
}

bool Sweep::is_over(const std::string& run_id) {
    const auto state = state_of(run_id);
    return state != "queued" && state != "running" && state != "committed";
}

// What one whole run calls, by the thread that calls a syscall most often.
std::vector<Point> Sweep::baseline() {
    const auto file = folder_ + "/baseline.txt";
    auto worker = quiet_worker();
    Tracer tracer(worker->pid(), {"-e", "trace=" + joined(syscalls), "-o", file}, folder_);
    if (!tracer.attached()) {
        throw Error(ErrorKind::permanent, "internal.bug", tracer.text());
    }
    const auto run_id = trigger();
    if (!wait_until([&] { return is_over(run_id); }, std::chrono::seconds(60)) || state_of(run_id) != "succeeded") {
        throw std::runtime_error("the traced run did not succeed:\n" + worker->log());
    }
    tracer.detach();
    worker->terminate(milliseconds(10'000));
    std::map<std::string, std::map<std::string, int>> calls;  // syscall, thread
    std::ifstream in(file);
    for (std::string thread, call; in >> thread && std::getline(in, call);) {
        const auto name = call.substr(call.find_first_not_of(' '), call.find('(') - call.find_first_not_of(' '));
        if (std::find(syscalls.begin(), syscalls.end(), name) != syscalls.end()) {
            ++calls[name][thread];
        }
    }
    std::vector<Point> points;
    for (const auto& [name, threads] : calls) {
        int most = 0;
        for (const auto& [thread, count] : threads) {
            most = std::max(most, count);
        }
        for (int number = 1; number <= most; number += every_) {
            points.push_back({name, number});
        }
        fmt::print("  {:<10} {:3} calls in one thread of a run\n", name, most);
    }
    return points;
}

void Sweep::kill_at(const Point& point) {
    const auto where = fmt::format("before {} number {}", point.syscall, point.number);
    auto doomed = quiet_worker();
    Tracer tracer(
        doomed->pid(),
        {"-e",
         "trace=" + point.syscall,
         "-e",
         fmt::format("inject={}:signal=KILL:when={}", point.syscall, point.number),
         "-o",
         "/dev/null"},
        folder_
    );
    const auto run_id = trigger();
    wait_until([&] { return !doomed->running() || is_over(run_id); }, std::chrono::seconds(20));
    // The last calls of a run come after its end in Postgres.
    if (doomed->wait(milliseconds(200))) {
        ++killed_;
        ++killed_by_[point.syscall];
    } else {
        ++not_reached_;
        doomed->kill();
    }
    heal(run_id, where);
}

void Sweep::heal(const std::string& run_id, const std::string& where) {
    auto heir = start({}, {});
    if (!wait_until([&] { return is_over(run_id); }, std::chrono::seconds(20))) {
        violations_.add("stuck", where + ": the run is " + state_of(run_id));
    } else if (state_of(run_id) != "succeeded") {
        violations_.add("lost", where + ": the run is " + state_of(run_id));
    }
    const auto outputs = static_cast<long>(installation_.outputs().size() + installation_.tables().size());
    if (db_.number("select count(*) from etl_commits where run_id = $1", {run_id}) != outputs) {
        violations_.add("doubled", where + ": not one decision per output");
    }
    heir->terminate(milliseconds(10'000));
}

bool Sweep::run(const std::string& evidence_file) {
    const auto begin = std::chrono::steady_clock::now();
    const auto points = baseline();
    OutputReader reader(installation_.cache_url(), installation_.outputs(), violations_);
    TableWatch tables(installation_.stack().database_url(), installation_.tables(), violations_);
    for (const auto& point : points) {
        kill_at(point);
        if (violations_.total() > 0) {
            fmt::print("stopped at {} number {}\n", point.syscall, point.number);
            break;
        }
    }
    {
        auto last = start({}, {});
        if (!wait_until([&] { return check_->settled(); }, std::chrono::seconds(60), 50)) {
            check_->unsettled();
        }
        last->terminate(milliseconds(10'000));
    }
    reader.stop();
    tables.stop();
    check_->finals();
    check_->seen(reader.seen());
    tables.finals();
    if (killed_ < static_cast<long>(points.size()) * 8 / 10) {
        violations_.add("other", fmt::format("only {} of {} points were reached", killed_, points.size()));
    }
    const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::string by;
    for (const auto& [name, count] : killed_by_) {
        by += fmt::format("{}\"{}\":{}", by.empty() ? "" : ",", name, count);
    }
    const auto evidence = fmt::format(
        R"({{"suite":"syscall_kills","seed":{},"points":{},"kills":{},"notReached":{},"killsBySyscall":{{{}}},)"
        R"("reads":{},"tableReads":{},"seconds":{:.1f},"violations":{}}})",
        seed_,
        points.size(),
        killed_,
        not_reached_,
        by,
        reader.reads(),
        tables.reads(),
        seconds,
        json_of(violations_)
    );
    fmt::print("{}\n", evidence);
    print(violations_);
    write_file(evidence_file, evidence + "\n");
    return violations_.total() == 0;
}

bool may_trace() {
    app::ProcessSpec spec;
    spec.argv = {"strace", "-o", "/dev/null", "-e", "trace=none", "true"};
    spec.log_file = "/dev/null";
    try {
        auto probe = app::ChildProcess::start(spec);
        const auto status = probe.wait(Deadline::in(milliseconds(10'000)), {});
        return status && status->ok();
    } catch (const Error&) {
        return false;  // not installed
    }
}

}  // namespace
}  // namespace headrace::proof

int main(int argc, char** argv) {
    using namespace headrace::proof;
    int every = 1;
    std::string seed_text;
    std::string evidence;
    CLI::App app("Kills a worker before each network and file syscall of a run");
    app.add_option("--every", every, "Only every so many calls of a kind");
    app.add_option("--seed", seed_text, "For the record: this program draws nothing");
    app.add_option("--evidence", evidence, "Writes the counters to this file");
    CLI11_PARSE(app, argc, argv);
    if (!may_trace()) {
        std::puts("strace is missing or ptrace is not allowed here: skipped");
        std::puts("0 passed, 0 failed, 1 skipped");
        return skipped;
    }
    const auto seed = seed_or_random(seed_text);
    return with_servers(seed, [&] {
        const bool good = Sweep(every, seed).run(evidence);
        return Score{good ? 1 : 0, good ? 0 : 1};
    });
}
