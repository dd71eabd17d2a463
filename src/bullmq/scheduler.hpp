// Job schedulers of BullMQ: a named template from which one job at a time is armed; the worker that takes it arms the
// next. Works through a Queue (its connection, lock and errors; the Queue must outlive this).
#pragma once

#include "bullmq/queue.hpp"
#include "bullmq/repeat.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::bullmq {

struct JobTemplate {
    std::string name;         // empty: the scheduler's id
    std::string data = "{}";  // JSON
    JobOptions options;       // no job_id, no delay
};

struct SchedulerInfo {
    std::string id;
    std::string name;
    std::int64_t next = 0;  // ms of the armed run
    std::int64_t iterations = 0;
    RepeatOptions repeat;
    std::string data;  // JSON; empty: none
    std::string options_json;
};

class JobSchedulers {
public:
    explicit JobSchedulers(Queue& queue, NextTime next_time = {}) : queue_(queue), next_time_(std::move(next_time)) {}

    // Makes or replaces the scheduler and arms its next run; returns that job's id, or "" when nothing is left to run
    // (limit reached, no next time). queue.refused when the slot is taken by a run that is active or finished.
    std::string upsert(std::string_view id, const RepeatOptions& repeat, const JobTemplate& job);
    bool remove(std::string_view id);  // false: no such scheduler. A run that already waits still runs.
    std::optional<SchedulerInfo> get(std::string_view id);
    std::vector<SchedulerInfo> list(std::int64_t start = 0, std::int64_t end = -1, bool ascending = true);
    std::int64_t count();

private:
    Queue& queue_;
    NextTime next_time_;
};

}  // namespace headrace::bullmq
