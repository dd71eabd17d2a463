// Inside of the worker: the threads that run user code. A thread is started when a job waits and none is idle.
// At most one thread is being woken at a time, and it wakes the next when there is more to do than it can take: jobs
// that block get a thread each, jobs that are over at once do not pay for waking anybody.
#pragma once

#include "bullmq/running.hpp"

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
    // No more jobs will come; waits for those that run.
    void close();

private:
    void work();
    void wake_one();  // needs the lock

    unsigned limit_;
    Run run_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<RunningPtr> queue_;
    std::vector<std::thread> threads_;
    std::size_t idle_ = 0;
    bool waking_ = false;  // a thread was called and has not come yet
    bool closed_ = false;
};

}  // namespace headrace::bullmq
