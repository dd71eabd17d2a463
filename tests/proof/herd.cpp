#include "proof/herd.hpp"

#include "proof/wait.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace headrace::proof {
namespace {

// A pause that is to make a zombie outlives the lease; this many at once leave Postgres enough connections.
constexpr std::size_t most_asleep = 3;
constexpr std::chrono::milliseconds boot_limit{30'000};
constexpr double pause_share = 0.06;  // of the workers: paused at a random moment
constexpr double point_share = 0.08;  // of the workers: stop themselves at a point of the protocol

// More often where a zombie could do the most harm: about to decide, about to publish.
constexpr std::array points = {"K2", "K3", "K6", "K7", "K8", "K8", "K10", "K11", "K12", "K12", "K12", "K13", "K14"};

bool is_stopped(pid_t pid) {
    std::ifstream in(fmt::format("/proc/{}/stat", pid));
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto end = text.rfind(')');
    return end != std::string::npos && end + 2 < text.size() && text[end + 2] == 'T';
}

}  // namespace

Herd::Herd(std::string program, std::string log_folder, Env env, std::uint64_t seed, Violations& violations)
    : program_(std::move(program)),
      log_folder_(std::move(log_folder)),
      env_(std::move(env)),
      random_(seed),
      violations_(violations) {}

Herd::milliseconds Herd::start_first() {
    const auto begin = Clock::now();
    workers_.push_back(start(""));
    auto& first = workers_.back();
    first.next = Clock::time_point::max();
    first.ready = wait_until([&] { return is_ready(first); }, boot_limit);
    if (!first.ready) {
        throw std::runtime_error("the worker is not ready: " + app::file_tail(first.log_file, 20));
    }
    return std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
}

void Herd::set_times(Times times) {
    times_ = times;
    for (auto& worker : workers_) {
        worker.next = Clock::now();
    }
}

Herd::milliseconds Herd::some(milliseconds from, milliseconds to) {
    return milliseconds(std::uniform_int_distribution<long>(from.count(), std::max(from, to).count())(random_));
}

bool Herd::chance(double probability) {
    return std::bernoulli_distribution(probability)(random_);
}

std::string Herd::some_point() {
    const auto which = std::uniform_int_distribution<std::size_t>(0, points.size() - 1)(random_);
    return fmt::format("{}#{}:stop", points.at(which), std::uniform_int_distribution<int>(1, 4)(random_));
}

Herd::Worker Herd::start(const std::string& stop_at) {
    app::ProcessSpec spec;
    spec.argv = {program_, "worker", "--grace", "5"};
    spec.env = env_;
    if (!stop_at.empty()) {
        spec.env.emplace_back("HEADRACE_KILL_AT", stop_at);
    }
    spec.log_file = fmt::format("{}/worker-{}.log", log_folder_, started_++);
    spec.death_signal = SIGKILL;
    Worker worker;
    worker.process = app::ChildProcess::start(spec);
    worker.log_file = spec.log_file;
    worker.stops_itself = !stop_at.empty();
    worker.kill_next = worker.stops_itself || !chance(pause_share);
    // Some die while they start.
    worker.next = Clock::now() + (chance(0.1) ? some(milliseconds(1), times_.boot) : boot_limit);
    return worker;
}

bool Herd::is_ready(const Worker& worker) const {
    return app::file_tail(worker.log_file, 50).find("\"ready\"") != std::string::npos;
}

// Most die somewhere in their first four runs.
void Herd::begin_life(Worker& worker) {
    worker.ready = true;
    const auto life = some(milliseconds(0), 4 * times_.run);
    worker.next = Clock::now() + (worker.stops_itself ? 2 * life + milliseconds(300) : life);
}

std::size_t Herd::asleep() const {
    return static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(), [](const Worker& w) {
        return w.mood == Mood::paused;
    }));
}

void Herd::kill(Worker& worker) {
    if (worker.process.running()) {
        const auto status = worker.process.terminate(SIGKILL, milliseconds(10'000));
        kills_ += status.signal == SIGKILL ? 1 : 0;
    }
}

void Herd::pause(Worker& worker, bool by_itself) {
    if (!by_itself) {
        worker.process.signal(SIGSTOP);
    }
    ++(by_itself ? pauses_at_points_ : pauses_);
    worker.mood = Mood::paused;
    worker.next = Clock::now() + times_.lease + some(milliseconds(200), milliseconds(2500));
}

void Herd::wake(Worker& worker) {
    worker.process.signal(SIGCONT);
    worker.mood = Mood::woken;
    worker.next = Clock::now() + some(milliseconds(1), 10 * times_.run);
}

// One whose time has come, or that has stopped itself.
void Herd::act(Worker& worker) {
    if (worker.mood == Mood::working && worker.stops_itself && is_stopped(worker.process.pid())) {
        if (asleep() < most_asleep + 1) {
            pause(worker, true);
        } else {
            kill(worker);
        }
        return;
    }
    if (!worker.ready && worker.mood == Mood::working && is_ready(worker)) {
        begin_life(worker);
    }
    if (Clock::now() < worker.next) {
        return;
    }
    if (worker.mood == Mood::paused) {
        wake(worker);
    } else if (worker.mood == Mood::working && !worker.kill_next && asleep() < most_asleep) {
        pause(worker, false);
    } else {
        kill(worker);
    }
}

// Those that have ended go; one that ended by itself is a failure of ours.
void Herd::reap() {
    std::erase_if(workers_, [&](Worker& worker) {
        if (worker.process.running()) {
            return false;
        }
        const auto status = worker.process.wait(Deadline::in(milliseconds(0)), {}).value_or(app::ExitStatus{});
        // It may refuse to start when its first connection is cut: with words and exit code 1.
        if (status.code == 1 && !is_ready(worker)) {
            ++failed_starts_;
        } else if (status.signal != SIGKILL) {
            violations_.add("other", fmt::format("a worker ended by itself: {} ({})", status.text(), worker.log_file));
        }
        return true;
    });
}

void Herd::resize(std::size_t size) {
    std::vector<Worker*> standing;
    for (auto& worker : workers_) {
        if (worker.mood == Mood::working && !worker.extra) {
            standing.push_back(&worker);
        }
    }
    for (std::size_t i = size; i < standing.size(); ++i) {
        kill(*standing[i]);
    }
    for (auto missing = standing.size(); missing < size; ++missing) {
        workers_.push_back(start(chance(point_share) ? some_point() : ""));
    }
}

void Herd::tick(std::size_t size) {
    for (auto& worker : workers_) {
        act(worker);
    }
    reap();
    resize(size);
    reap();
}

void Herd::ambush() {
    if (asleep() >= most_asleep) {
        return;
    }
    // Every output is lost: each is called once with its staging (gone), then with the copy. Even numbers are copies.
    const auto at = 2 * std::uniform_int_distribution<int>(1, 4)(random_);
    workers_.push_back(start(fmt::format("K12#{}:stop", at)));
    workers_.back().extra = true;
}

void Herd::calm(std::size_t size) {
    for (auto& worker : workers_) {
        if (worker.stops_itself) {
            kill(worker);
        } else if (worker.mood == Mood::paused) {
            wake(worker);
        }
    }
    reap();
    resize(size);
    for (auto& worker : workers_) {
        worker.next = Clock::time_point::max();
    }
}

void Herd::stop() {
    for (auto& worker : workers_) {
        worker.process.signal(SIGTERM);
    }
    for (auto& worker : workers_) {
        const auto status = worker.process.terminate(SIGTERM, milliseconds(15'000));
        if (!status.ok()) {
            violations_.add("other", "a worker did not end on SIGTERM: " + status.text());
        }
    }
    workers_.clear();
}

}  // namespace headrace::proof
