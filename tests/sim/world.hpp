// One schedule: processes whose threads are fibers, a clock that nobody waits for, and faults, all drawn from one seed.
// Each call of a store is a point where others may come in, the process may die, freeze or be slow, the request or its
// answer may be lost.
#pragma once

#include "sim/fibers.hpp"
#include "sim/scene.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace headrace::sim {

// Thrown by each call of a process that died: none of them has an effect any more. No std::exception, so that nobody
// takes it for an error.
struct Died {};

// SplitMix64: small, fast, the same everywhere.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next();

    std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }

    bool one_in(std::uint64_t n) { return below(n) == 0; }

private:
    std::uint64_t state_;
};

// How many of each fault a schedule may have.
struct Faults {
    int deaths = 0;
    int lost_requests = 0;
    int lost_answers = 0;
    int lost_commits = 0;
    int freezes = 0;  // of a process, beyond its lease
    int slow_calls = 0;
};

struct Process {
    int number = 0;
    bool dead = false;
    std::int64_t frozen_until = 0;
    std::function<void()> on_death;
    std::function<void(std::string_view)> on_error;  // a request or an answer was lost
};

class World final : public Scene {
public:
    World(Fibers& fibers, std::uint64_t seed, Mutant mutant, bool trace);
    ~World() override;

    // --- Scene
    std::int64_t now() const override { return now_; }

    std::uint64_t draw(std::uint64_t below) override { return random.below(below); }

    Mutant mutant() const override { return mutant_; }

    void before(std::string_view call, std::string_view subject) override;
    void after(std::string_view answer = {}) override;
    void within(std::string_view what) override;
    Fate commit_fate() override;
    void wait(std::int64_t ms) override;

    // --- for those who set the scene
    void start(Process* process, std::function<void()> body);
    void wait_until(const std::function<bool()>& ready);  // looked at from time to time
    void kill(Process& process, std::string_view why);
    void freeze(Process& process, std::int64_t ms);
    // Runs until every fiber has ended, or until `stop()`: then all others end by Died.
    void run();

    void stop() { stopping_ = true; }

    // Called whenever time has passed, and after each step. No calls of stores in there.
    std::function<void()> tick;
    std::function<void()> looked;

    void say(std::string_view who, std::string_view what, std::string_view subject = {});

    bool tracing() const { return trace_; }

    Random random;
    Faults faults;
    long steps = 0;

private:
    struct Thread {
        Fiber* fiber = nullptr;
        Process* process = nullptr;
        std::int64_t wake = 0;
        const std::function<bool()>* ready = nullptr;
        std::string_view call;  // the last one: others call while it waits
    };

    Thread* choose();
    void let_others();
    void check_alive();
    [[noreturn]] void lose(std::string_view what);
    std::string name_of(const Process* process) const;

    Fibers& fibers_;
    const Mutant mutant_;
    const bool trace_;
    std::int64_t now_ = 1'000'000;
    std::vector<std::unique_ptr<Thread>> threads_;
    Thread* current_ = nullptr;
    bool stopping_ = false;
    std::int64_t ticked_ = 0;
};

}  // namespace headrace::sim
