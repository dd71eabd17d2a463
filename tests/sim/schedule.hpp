// One simulated installation and what happens to it, all from a seed: pipelines with one to three outputs, workers that
// run the course of deliveries and sweep (the code that ships, over fake stores), and an operator who triggers,
// cancels, shuts down, and brings the faults that no process can bring upon itself. After the last fault everything
// must come to rest within a bounded time, and the checker (checker.hpp) must be content.
#pragma once

#include "sim/checker.hpp"
#include "sim/fake_postgres.hpp"
#include "sim/fake_queue.hpp"
#include "sim/fake_redis.hpp"
#include "sim/worker.hpp"
#include "sim/world.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace headrace::sim {

struct Outcome {
    std::optional<Violation> violation;
    long steps = 0;
    long runs = 0;
    long decisions = 0;
    long deaths = 0;
    std::int64_t healed_ms = 0;  // from the last fault to rest
};

class Schedule {
public:
    Schedule(Fibers& fibers, std::uint64_t seed, Mutant mutant, bool trace);
    ~Schedule();

    Outcome run();

private:
    enum class Event;
    void draw_installation();
    void draw_events();
    void start_worker(bool sweeps);
    void operate();
    void happen(Event event);
    void be_quiet();
    void trigger();
    void cancel();
    void hand_out_twice();
    void add_foreign_job();
    void drop_live();
    void fail_over();
    void tick();
    void died(Worker& worker);
    RunRow* any_run();

    World world_;
    FakePostgres db_;
    FakeRedis redis_;
    FakeQueue queue_;
    Checker checker_;
    Shared shared_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<Event> events_;
    std::optional<Tables> backup_;
    std::vector<std::pair<std::int64_t, bool>> restarts_;  // when, and whether it sweeps
    int numbers_ = 0;
    std::int64_t quiet_since_ = 0;
    Outcome outcome_;
};

}  // namespace headrace::sim
