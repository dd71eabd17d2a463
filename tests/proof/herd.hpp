// Worker processes that are killed, paused and replaced at once. Driven by tick() from the thread that made it.
#pragma once

#include "app/process.hpp"
#include "proof/violations.hpp"

#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace headrace::proof {

class Herd {
public:
    using Clock = std::chrono::steady_clock;
    using milliseconds = std::chrono::milliseconds;
    using Env = std::vector<std::pair<std::string, std::string>>;

    struct Times {
        milliseconds boot{40};  // of a worker, from its start to "ready"
        milliseconds run{50};   // of a run
        milliseconds lease{1000};
    };

    Herd(std::string program, std::string log_folder, Env env, std::uint64_t seed, Violations& violations);

    // One worker alone, to see how fast this machine is; waits until its log says that it is ready.
    milliseconds start_first();

    void set_times(Times times);  // from now on the first one is as mortal as the others

    // Keeps `size` workers at work; kills or pauses those whose time has come, wakes the paused ones.
    void tick(std::size_t size);
    // A worker more that stops by itself as soon as it is about to publish from the copy in Postgres.
    void ambush();
    // Nobody is killed any more; the paused ones wake.
    void calm(std::size_t size);

    void look() { reap(); }  // does one of them end by itself?

    void stop();  // SIGTERM to all

    long started() const { return started_; }

    long failed_starts() const { return failed_starts_; }

    long kills() const { return kills_; }

    long pauses() const { return pauses_; }

    long pauses_at_points() const { return pauses_at_points_; }

private:
    enum class Mood { working, paused, woken };

    struct Worker {
        app::ChildProcess process;
        std::string log_file;
        Mood mood = Mood::working;
        bool ready = false;
        bool stops_itself = false;
        bool extra = false;      // not one of the `size`
        Clock::time_point next;  // its time is counted from when it is ready
        bool kill_next = true;   // else pause
    };

    Worker start(const std::string& stop_at);
    std::string some_point();
    milliseconds some(milliseconds from, milliseconds to);
    bool chance(double probability);
    void resize(std::size_t size);
    void act(Worker& worker);
    bool is_ready(const Worker& worker) const;
    void begin_life(Worker& worker);
    void pause(Worker& worker, bool by_itself);
    void wake(Worker& worker);
    void kill(Worker& worker);
    void reap();
    std::size_t asleep() const;

    std::string program_;
    std::string log_folder_;
    Env env_;
    std::mt19937_64 random_;
    Violations& violations_;
    Times times_;
    std::vector<Worker> workers_;
    long started_ = 0;
    long failed_starts_ = 0;
    long kills_ = 0;
    long pauses_ = 0;
    long pauses_at_points_ = 0;
};

}  // namespace headrace::proof
