// Inside of the worker: a job in our hands, from the fetch to the acknowledged finish. Shared by speaker, keeper and
// slot.
#pragma once

#include "base/deadline.hpp"
#include "base/stop.hpp"
#include "bullmq/job.hpp"
#include "bullmq/worker.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>

namespace headrace::bullmq {

struct Running {
    Running(Job j, std::string t) : id(j.id), token(std::move(t)), keep_logs(j.options.keep_logs), job(std::move(j)) {}

    const std::string id;  // what all threads may read while the processor has `job`
    const std::string token;
    const std::int64_t keep_logs;
    Job job;  // the slot's while the processor runs, else the speaker's
    StopSource stop;
    std::atomic<bool> finishing{false};  // set before the finish is written: from then on only its answer counts
    std::atomic<bool> lock_lost{false};
    Deadline::Clock::time_point renewed = Deadline::Clock::now();  // the keeper's: last time we surely had the lock
};

using RunningPtr = std::shared_ptr<Running>;
using EventSink = std::function<void(WorkerEvent::Kind, std::string_view job_id, std::string text)>;

}  // namespace headrace::bullmq
