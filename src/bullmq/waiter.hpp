// Inside of the worker: waits at an empty queue. Own thread, own connection, which carries the worker's client name.
// Blocks in BZPOPMIN only while armed. An answer that does not come in time, or a lost connection, is a new connection.
#pragma once

#include "bullmq/backoff.hpp"
#include "bullmq/keys.hpp"
#include "bullmq/running.hpp"
#include "net/wait.hpp"
#include "redis/connection.hpp"

#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace headrace::bullmq {

class Waiter {
public:
    // Called on the waiter's thread, once per arm(): the marker's score (0 = work now, else ms of the next delayed
    // job), nullopt when nothing came, or the connection failed.
    using Answer = std::function<void(std::optional<std::int64_t> score)>;

    Waiter(
        redis::Options options,
        const Keys& keys,
        std::string_view worker_name,
        Millis block,
        Answer answer,
        EventSink events
    );

    ~Waiter() { stop(); }

    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    void start();  // connects, so that the worker is seen by its client name at once
    void stop();
    void arm();
    // Breaks a BZPOPMIN that is on its way (it could eat a marker that others need); the answer is nullopt.
    void disarm();

private:
    void run();
    std::optional<std::int64_t> wait_once();

    redis::Options options_;
    std::string marker_;
    Millis block_;
    Answer answer_;
    EventSink events_;
    Reconnect reconnect_;
    std::optional<redis::Connection> connection_;
    StopToken connection_cut_;  // what ends its waits

    net::Waker waker_;
    std::mutex mutex_;  // guards armed_, cut_, closing_
    bool armed_ = false;
    bool closing_ = false;
    StopSource cut_;
    std::thread thread_;
};

}  // namespace headrace::bullmq
