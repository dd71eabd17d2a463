#include "sim/world.hpp"

#include "base/error.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::sim {
namespace {

// A fault happens at about one of so many calls, so that the few of a schedule fall anywhere in it.
constexpr std::uint64_t rareness = 60;
constexpr std::int64_t tick_ms = 1'000;

}  // namespace

std::uint64_t Random::next() {
    state_ += 0x9e3779b97f4a7c15u;
    auto z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

World::World(Fibers& fibers, std::uint64_t seed, Mutant mutant, bool trace)
    : random(seed), fibers_(fibers), mutant_(mutant), trace_(trace) {
    fibers_.next = [this]() -> Fiber* {
        auto* thread = choose();
        current_ = thread;
        return thread != nullptr ? thread->fiber : nullptr;
    };
}

World::~World() {
    fibers_.next = nullptr;
    fibers_.forget_all();
}

void World::start(Process* process, std::function<void()> body) {
    auto thread = std::make_unique<Thread>();
    thread->process = process;
    thread->wake = now_;
    thread->fiber = fibers_.make([body = std::move(body)] {
        try {
            body();
        } catch (const Died&) {
            return;
        }
    });
    threads_.push_back(std::move(thread));
}

void World::run() {
    while (auto* thread = choose()) {
        current_ = thread;
        fibers_.go_on(thread->fiber);
    }
    current_ = nullptr;
}

// Null: all have ended.
World::Thread* World::choose() {
    for (;;) {
        Thread* ready[32];
        std::size_t count = 0;
        auto earliest = INT64_MAX;
        for (const auto& one : threads_) {
            if (Fibers::ended(one->fiber)) {
                continue;
            }
            const bool dying = stopping_ || (one->process != nullptr && one->process->dead);
            const auto wake = dying                     ? now_
                              : one->process != nullptr ? std::max(one->wake, one->process->frozen_until)
                                                        : one->wake;
            if (one->ready != nullptr && !dying && wake <= now_ && !(*one->ready)()) {
                earliest = std::min(earliest, ticked_ + tick_ms);
                continue;
            }
            earliest = std::min(earliest, wake);
            if (wake <= now_ && count < std::size(ready)) {
                ready[count++] = one.get();
            }
        }
        if (count > 0) {
            return ready[random.below(count)];
        }
        if (earliest == INT64_MAX) {
            return nullptr;
        }
        now_ = std::min(earliest, ticked_ + tick_ms);
        if (now_ >= ticked_ + tick_ms || ticked_ == 0) {
            ticked_ = now_;
            tick();
        }
    }
}

void World::let_others() {
    ++steps;
    looked();
    now_ += static_cast<std::int64_t>(random.below(3));
    if (now_ >= ticked_ + tick_ms) {
        ticked_ = now_;
        tick();
    }
    // As often as not it goes on undisturbed: long stretches of one are schedules too.
    auto* me = current_;
    if (me->wake <= now_ && (me->process == nullptr || me->process->frozen_until <= now_) && random.one_in(2)) {
        return;
    }
    auto* next = choose();
    if (next != me) {
        current_ = next;
        fibers_.go_on(next->fiber);
        current_ = me;
    }
}

void World::check_alive() {
    if (stopping_ || (current_->process != nullptr && current_->process->dead)) {
        throw Died{};
    }
}

std::string World::name_of(const Process* process) const {
    return process == nullptr ? "operator" : fmt::format("worker {}", process->number);
}

void World::lose(std::string_view what) {
    say("fault", fmt::format("{} of {} is lost for", what, current_->call), name_of(current_->process));
    current_->process->on_error(current_->call);
    throw Error(ErrorKind::transient, "postgres.connect", "the link broke");
}

void World::before(std::string_view call, std::string_view subject) {
    check_alive();
    auto* process = current_->process;
    if (process != nullptr) {
        if (faults.deaths > 0 && random.one_in(rareness)) {
            --faults.deaths;
            kill(*process, call);
        } else if (faults.freezes > 0 && random.one_in(rareness)) {
            --faults.freezes;
            freeze(*process, static_cast<std::int64_t>(random.below(40'000)));
        } else if (faults.slow_calls > 0 && random.one_in(rareness)) {
            --faults.slow_calls;
            current_->wake = now_ + static_cast<std::int64_t>(random.below(30'000));
            say("fault", fmt::format("{} is slow for", call), name_of(process));
        }
    }
    let_others();
    check_alive();
    current_->call = call;
    if (trace_) {
        say(name_of(process), call, subject);
    }
    if (process != nullptr && faults.lost_requests > 0 && random.one_in(rareness)) {
        --faults.lost_requests;
        lose("the request");
    }
}

void World::after(std::string_view answer) {
    if (trace_ && !answer.empty()) {
        say(name_of(current_->process), "  →", answer);
    }
    if (current_->process != nullptr && faults.lost_answers > 0 && random.one_in(rareness)) {
        --faults.lost_answers;
        lose("the answer");
    }
}

void World::within(std::string_view what) {
    before(what, {});
}

Fate World::commit_fate() {
    if (current_->process == nullptr || faults.lost_commits == 0 || !random.one_in(3)) {
        return Fate::answered;
    }
    --faults.lost_commits;
    const auto fate = static_cast<Fate>(1 + random.below(3));
    say("fault",
        fate == Fate::in_flight         ? "COMMIT is on its way, its answer will not come for"
        : fate == Fate::done_unanswered ? "COMMIT is done, its answer is lost for"
                                        : "COMMIT did not arrive for",
        name_of(current_->process));
    current_->process->on_error("commit");
    return fate;
}

void World::wait(std::int64_t ms) {
    check_alive();
    current_->wake = now_ + ms;
    let_others();
    check_alive();
}

void World::wait_until(const std::function<bool()>& ready) {
    check_alive();
    current_->ready = &ready;
    current_->wake = now_ + 1;
    let_others();
    current_->ready = nullptr;
    check_alive();
}

void World::kill(Process& process, std::string_view why) {
    if (process.dead) {
        return;
    }
    say("fault", fmt::format("dies before {}:", why), name_of(&process));
    process.dead = true;
    process.on_death();
}

void World::freeze(Process& process, std::int64_t ms) {
    say("fault", fmt::format("frozen for {} ms:", ms), name_of(&process));
    process.frozen_until = now_ + ms;
    process.on_error("frozen");
}

void World::say(std::string_view who, std::string_view what, std::string_view subject) {
    if (trace_) {
        fmt::print("{:8} {:10} {} {}\n", now_ - 1'000'000, who, what, subject);
    }
}

}  // namespace headrace::sim
