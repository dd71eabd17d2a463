#include "sim/schedule.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::sim {
namespace {

// From the last fault to rest: a lease, and then some sweeps and tries.
constexpr std::int64_t rest_limit_ms = 300'000;

}  // namespace

enum class Schedule::Event {
    trigger,
    foreign_job,
    duplicate,
    cancel,
    shut_down,
    empty_redis,
    drop_live,
    empty_queue,
    lose_queue_lock,
    lose_worker_lock,
    back_up,
    fail_over
};

Schedule::Schedule(Fibers& fibers, std::uint64_t seed, Mutant mutant, bool trace)
    : world_(fibers, seed, mutant, trace),
      db_(world_),
      redis_(world_),
      queue_(world_),
      checker_(db_, redis_),
      shared_{.world = world_, .db = db_, .redis = redis_, .queue = queue_, .checker = checker_} {
    world_.tick = [this] { tick(); };
    world_.looked = [this] {
        checker_.look();
        if (checker_.violation()) {
            world_.stop();
        }
    };
}

Schedule::~Schedule() = default;

void Schedule::draw_installation() {
    auto& random = world_.random;
    const auto pipelines = 1 + random.below(2);
    for (std::uint64_t i = 0; i < pipelines; ++i) {
        const auto name = fmt::format("p{}", i);
        db_.tables.pipelines.push_back({.name = name, .queue_overlap = random.one_in(2)});
        if (random.one_in(3)) {
            shared_.tables.insert(name);
        }
        const auto outputs = 1 + random.below(3);
        for (std::uint64_t k = 0; k < outputs; ++k) {
            shared_.outputs[name].push_back({fmt::format("o{}", k), random.one_in(2)});
        }
    }
    const auto workers = 2 + random.below(3);
    for (std::uint64_t i = 0; i < workers; ++i) {
        start_worker(i == 0 || random.one_in(3));
    }
    auto& faults = world_.faults;
    faults.deaths = static_cast<int>(random.below(4));
    faults.lost_requests = static_cast<int>(random.below(3));
    faults.lost_answers = static_cast<int>(random.below(4));
    faults.lost_commits = static_cast<int>(random.below(3));
    faults.freezes = static_cast<int>(random.below(3));
    faults.slow_calls = static_cast<int>(random.below(3));
    shared_.sources_fail = random.one_in(3);
}

void Schedule::draw_events() {
    auto& random = world_.random;
    const auto add = [&](Event event, std::uint64_t most) {
        for (auto n = random.below(most + 1); n > 0; --n) {
            events_.push_back(event);
        }
    };
    add(Event::trigger, 4);
    add(Event::foreign_job, random.below(2));
    add(Event::duplicate, 3);
    add(Event::cancel, random.below(2));
    add(Event::shut_down, random.below(2));
    add(Event::empty_redis, random.below(2));
    add(Event::drop_live, random.below(2));
    add(Event::empty_queue, random.below(2));
    add(Event::lose_queue_lock, random.below(2));
    add(Event::lose_worker_lock, random.below(2));
    for (auto i = events_.size(); i > 1; --i) {
        std::swap(events_[i - 1], events_[random.below(i)]);
    }
    if (random.one_in(4)) {
        const auto at = random.below(events_.size() + 1);
        const auto later = at + random.below(events_.size() - at + 1);
        events_.insert(events_.begin() + static_cast<std::ptrdiff_t>(later), Event::fail_over);
        events_.insert(events_.begin() + static_cast<std::ptrdiff_t>(at), Event::back_up);
    }
    events_.insert(events_.begin(), Event::trigger);
}

Outcome Schedule::run() {
    draw_installation();
    draw_events();
    world_.start(nullptr, [this] { operate(); });
    world_.run();
    outcome_.steps = world_.steps;
    outcome_.runs = static_cast<long>(db_.tables.runs.size());
    outcome_.decisions = static_cast<long>(db_.ever_decided.size());
    outcome_.violation = checker_.violation();
    return outcome_;
}

void Schedule::start_worker(bool sweeps) {
    auto& worker = *workers_.emplace_back(std::make_unique<Worker>(shared_, ++numbers_));
    worker.process.on_death = [this, &worker, sweeps] {
        died(worker);
        restarts_.emplace_back(world_.now() + static_cast<std::int64_t>(world_.random.below(3'000)), sweeps);
    };
    worker.process.on_error = [this, &worker](std::string_view call) {
        if (call == "frozen" || call == "claim") {
            checker_.looked_dead();
        }
        checker_.transient_error(worker.run_id);
    };
    worker.start(sweeps);
}

// The kernel closes its connections.
void Schedule::died(Worker& worker) {
    ++outcome_.deaths;
    checker_.looked_dead();
    db_.worker_locks.erase(worker.process.number);
}

void Schedule::tick() {
    db_.land_orphans();
    queue_.check_stalled();
    for (const auto& worker : workers_) {
        if (!worker->process.dead && worker->process.frozen_until <= world_.now()) {
            worker->keep();
        }
    }
    for (std::size_t i = 0; i < restarts_.size();) {
        if (restarts_[i].first > world_.now()) {
            ++i;
            continue;
        }
        const bool sweeps = restarts_[i].second;
        restarts_.erase(restarts_.begin() + static_cast<std::ptrdiff_t>(i));
        start_worker(sweeps);
        world_.say("operator", "starts", fmt::format("worker {}", numbers_));
    }
}

RunRow* Schedule::any_run() {
    auto& runs = db_.tables.runs;
    return runs.empty() ? nullptr : &runs[world_.random.below(runs.size())];
}

void Schedule::operate() {
    for (const auto event : events_) {
        happen(event);
        world_.wait(static_cast<std::int64_t>(world_.random.below(world_.random.one_in(4) ? 8'000 : 1'500)));
    }
    world_.wait(static_cast<std::int64_t>(world_.random.below(10'000)));
    be_quiet();
    for (;;) {
        world_.wait(500);
        const auto open = checker_.open_end();
        if (open.empty()) {
            std::map<std::string, std::size_t> outputs;
            for (const auto& [pipeline, plans] : shared_.outputs) {
                outputs[pipeline] = plans.size();
            }
            checker_.judge(outputs);
            outcome_.healed_ms = world_.now() - quiet_since_;
            break;
        }
        if (world_.now() > quiet_since_ + rest_limit_ms) {
            checker_.stuck(fmt::format("{} ms after the last fault {}", rest_limit_ms, open));
            break;
        }
    }
    world_.stop();
}

// What is frozen or slow then comes back within its time.
void Schedule::be_quiet() {
    world_.say("operator", "no more faults");
    world_.faults = {};
    shared_.sources_fail = false;
    quiet_since_ = world_.now();
    for (const auto& worker : workers_) {
        worker->process.frozen_until = std::min(worker->process.frozen_until, world_.now());
    }
}

void Schedule::trigger() {
    const auto& pipeline = db_.tables.pipelines[world_.random.below(db_.tables.pipelines.size())].name;
    FakeLedger ledger(db_, 5'000);
    try {
        const auto done = ledger.trigger({.pipeline = pipeline, .trigger = "manual", .by = "operator"});
        world_.say("operator", "triggered", done.run_id);
        FakeRunQueue queue(queue_);
        if (!world_.random.one_in(4)) {
            ledger.send_outbox(queue);
        }
    } catch (const Error& e) {
        world_.say("operator", "may not trigger", e.message());
    }
}

void Schedule::cancel() {
    if (const auto* run = any_run()) {
        world_.say("operator", "cancels", run->id);
        checker_.cancelled(run->id);
        try {
            db_.cancel(run->id);
        } catch (const Error& e) {
            world_.say("operator", "may not cancel", e.message());
        }
    }
}

void Schedule::hand_out_twice() {
    if (auto job = queue_.deliver_again(world_.random.next() % 1'000)) {
        world_.say("fault", "is delivered to one more worker:", job->id);
        shared_.extra.push_back(std::move(*job));
    }
}

void Schedule::add_foreign_job() {
    Job job;
    job.id = fmt::format("foreign-{}", world_.random.below(1'000));
    job.pipeline = "p0";
    job.timestamp = world_.now();
    queue_.jobs.push_back(std::move(job));
}

void Schedule::drop_live() {
    if (redis_.shown.empty()) {
        return;
    }
    const auto steps = static_cast<std::ptrdiff_t>(world_.random.below(redis_.shown.size()));
    const auto id = std::next(redis_.shown.begin(), steps)->first;
    world_.say("fault", "somebody deletes the live key of output", std::to_string(id));
    checker_.redis_loses_live(id);
    redis_.drop_live(id);
}

// The new server knows no worker until they have connected again.
void Schedule::fail_over() {
    world_.say("fault", "a standby takes Postgres' place");
    for (int i = 0; i < 3; ++i) {
        checker_.looked_dead();
    }
    checker_.failed_over();
    db_.fail_over(*backup_);
}

void Schedule::happen(Event event) {
    auto& random = world_.random;
    auto& worker = *workers_[random.below(workers_.size())];
    switch (event) {
        case Event::trigger:
            return trigger();
        case Event::foreign_job:
            return add_foreign_job();
        case Event::duplicate:
            return hand_out_twice();
        case Event::cancel:
            return cancel();
        case Event::shut_down:
            world_.say("operator", "shuts down", fmt::format("worker {}", worker.process.number));
            worker.shutting_down = true;
            return;
        case Event::empty_redis:
            world_.say("fault", "the outputs' Redis is emptied");
            checker_.redis_loses_all();
            redis_.empty();
            return;
        case Event::drop_live:
            return drop_live();
        case Event::empty_queue:
            world_.say("fault", "the queue is emptied");
            queue_.jobs.clear();
            return;
        case Event::lose_queue_lock:
            for (auto& job : queue_.jobs) {
                if (job.state == "active") {
                    world_.say("fault", "the queue takes back", job.id);
                    job.state = "waiting";
                    job.token = 0;
                }
            }
            return;
        case Event::lose_worker_lock:
            world_.say("fault", "its link to Postgres broke:", fmt::format("worker {}", worker.process.number));
            checker_.looked_dead();
            db_.worker_locks.erase(worker.process.number);
            return;
        case Event::back_up:
            backup_ = db_.tables;
            return;
        case Event::fail_over:
            return fail_over();
    }
}

}  // namespace headrace::sim
