// Inside of the worker: the threads that run user code. A thread is started when a job waits and none is idle.
// One thread is woken for a batch of jobs. When it has not come to the last of them soon, the speaker says spread(),
// and each thread that comes wakes the next: jobs that block get a thread each, jobs that are over at once do not pay
// for waking anybody.
#pragma once

#include "bullmq/running.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace headrace::bullmq {

class Slots {
public:
    using Run = std::function<void(const RunningPtr&)>;  // runs the processor and reports; must not throw

    Slots(unsigned limit, Run run) : limit_(limit), run_(std::move(run)) {}

    ~Slots() { close(); }

    Slots(const Slots&) = delete;
    Slots& operator=(const Slots&) = delete;

    void push(std::vector<RunningPtr>&& jobs);

    // Jobs that nobody has taken yet.
    bool behind() const { return behind_; }

    // Those are to be taken now, each by a thread of its own if need be.
    void spread();
    // No more jobs will come; waits for those that run.
    void close();

private:
    void work();
    // Unlocks first: who is called must not find the door shut.
    void wake_one(std::unique_lock<std::mutex>& lock);

    unsigned limit_;
    Run run_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<RunningPtr> queue_;
    std::vector<std::thread> threads_;
    std::size_t idle_ = 0;
    std::atomic<bool> behind_{false};
    bool spreading_ = false;  // until the queue is empty
    bool waking_ = false;     // a thread was called and has not come yet
    std::size_t owed_ = 0;    // batches that came meanwhile: each has a thread
    bool closed_ = false;
};

}  // namespace headrace::bullmq
