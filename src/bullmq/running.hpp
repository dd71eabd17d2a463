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
#include <vector>

namespace headrace::bullmq {

struct Running {
    Running(const std::string& job_id, const redis::ReplyPart& hash, std::string lock_token)
        : own_job_(new Job(read_job(job_id, hash))),
          id(job_id),
          token(std::move(lock_token)),
          keep_logs(job.options.keep_logs) {}

private:
    const std::unique_ptr<Job> own_job_;  // apart: malloc has blocks of up to a kilobyte at hand, and both are less

public:
    Job& job = *own_job_;  // the slot's while the processor runs, else the speaker's
    const std::string id;  // this and the next two may be read by all threads meanwhile
    const std::string token;
    const std::int64_t keep_logs;
    StopSource stop;
    std::atomic<bool> finishing{false};  // set before the finish is written: from then on only its answer counts
    std::atomic<bool> lock_lost{false};
    Deadline::Clock::time_point renewed = Deadline::Clock::now();  // the keeper's: last time we surely had the lock
    std::size_t held_place = 0;                                    // in the speaker's list
    std::size_t tracked_place = 0;                                 // in the keeper's list
};

using RunningPtr = std::shared_ptr<Running>;

// Jobs in any order; each knows its place, so that nothing is searched. A job is in it at most once.
template <std::size_t Running::*Place>
class RunningList {
public:
    void add(const RunningPtr& running) {
        (*running).*Place = items_.size();
        items_.push_back(running);
    }

    // Nothing happens when it is not in the list.
    void remove(const RunningPtr& running) {
        const auto place = (*running).*Place;
        if (place >= items_.size() || items_[place] != running) {
            return;
        }
        if (place + 1 != items_.size()) {
            items_[place] = std::move(items_.back());
            (*items_[place]).*Place = place;
        }
        items_.pop_back();
    }

    const std::vector<RunningPtr>& items() const { return items_; }

private:
    std::vector<RunningPtr> items_;
};

using EventSink = std::function<void(WorkerEvent::Kind, std::string_view job_id, std::string_view text)>;

}  // namespace headrace::bullmq
