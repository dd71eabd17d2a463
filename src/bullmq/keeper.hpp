// Inside of the worker: keeps the locks of running jobs, and looks for stalled ones. Own thread, own connection.
// A job is kept from track() to untrack(), that is until its finish was acknowledged, however long Redis is away.
#pragma once

#include "bullmq/backoff.hpp"
#include "bullmq/running.hpp"
#include "bullmq/scripts.hpp"
#include "net/wait.hpp"
#include "redis/connection.hpp"

#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace headrace::bullmq {

class Keeper {
public:
    struct Settings {
        Millis lock_duration;
        Millis renew_time;
        Millis stalled_interval;
        unsigned max_stalled_count = 1;
        bool check_stalled = true;
        bool stop_on_expired_lock = true;
    };

    Keeper(redis::Options options, const Keys& keys, Settings settings, EventSink events);

    ~Keeper() { stop(); }

    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;

    void start();
    void stop();  // ends the thread; idempotent
    void track(const RunningPtr& running);
    void untrack(const RunningPtr& running);
    void set_check_stalled(bool on);  // off while the worker is paused or closing

private:
    using Clock = Deadline::Clock;

    void run();
    Clock::time_point next_wake(Clock::time_point now);
    void renew(Clock::time_point now);
    void expire(Clock::time_point now);
    void check_stalled(Clock::time_point now);
    redis::Reply call(const Call& call);
    void lost(const RunningPtr& running, std::string why);

    redis::Options options_;
    Settings settings_;
    EventSink events_;
    Calls calls_;
    std::optional<redis::Connection> connection_;
    Reconnect reconnect_;
    Clock::time_point next_renew_;
    Clock::time_point next_check_;

    std::mutex mutex_;  // guards what follows
    RunningList<&Running::tracked_place> tracked_;
    bool check_on_ = true;

    StopSource stop_;
    std::thread thread_;
};

}  // namespace headrace::bullmq
