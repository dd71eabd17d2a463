// What Node's Queue and Job tell about a queue and its jobs, beyond what queue.hpp has. Works through a Queue (its
// connection, lock and errors; the Queue must outlive this).
#pragma once

#include "bullmq/queue.hpp"

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::bullmq {

struct Children {
    std::map<std::string, std::string> processed;  // key of the child → its return value, JSON
    std::vector<std::string> unprocessed;          // keys of children that are not done
    std::map<std::string, std::string> ignored;    // failed, and the parent does not mind: key → reason
    std::vector<std::string> failed;               // failed, and the parent fails with them
};

struct ChildCounts {
    std::int64_t processed = 0;
    std::int64_t unprocessed = 0;
    std::int64_t ignored = 0;
    std::int64_t failed = 0;
};

struct Finished {
    bool completed = false;
    std::string text;  // return value (JSON), or the reason of the failure
};

class Getters {
public:
    explicit Getters(Queue& queue) : queue_(queue) {}

    // --- children of a job, and how it ended
    Children children(std::string_view id);
    ChildCounts child_counts(std::string_view id);
    std::optional<Finished> finished(std::string_view id
    );  // nullopt: not yet. queue.refused when there is no such job.
    // The same, waiting for it by the queue's events (a connection of its own); nullopt when `timeout` is over.
    std::optional<Finished> wait_until_finished(std::string_view id, Millis timeout, const StopToken& stop = {});

    // --- lists
    // Newest first unless `ascending`; `end` inclusive for each state.
    std::vector<std::string>
    ids(std::span<const std::string_view> states, std::int64_t start = 0, std::int64_t end = -1, bool ascending = false
    );
    std::int64_t waiting_in_all();  // wait, paused, delayed, prioritized, waiting-children
    std::int64_t delayed_until(std::int64_t ms);
    std::vector<std::int64_t> counts_per_priority(std::span<const std::int64_t> priorities);  // 0: no priority

    // --- settings and limits
    std::map<std::string, std::string> meta();
    std::string version();  // "bullmq:6.7.0": who wrote it last
    std::optional<std::int64_t> global_concurrency();
    std::optional<std::pair<std::int64_t, Millis>> global_rate_limit();  // max, duration
    bool is_maxed();  // as many active as the global concurrency allows
    // How long the rate limit holds; with `max_jobs`, only when so many have started in this window.
    Millis rate_limit_left(std::int64_t max_jobs = 0);
    std::vector<std::string> event_readers();  // client names of the programs that read the queue's events

private:
    redis::Reply plain(
        std::string_view script,
        std::initializer_list<std::string_view> keys,
        std::span<const std::string_view> args = {}
    );

    Queue& queue_;
};

}  // namespace headrace::bullmq
