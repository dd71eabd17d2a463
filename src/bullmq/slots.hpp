// Inside of the worker: the threads that run user code. A thread is started when a job comes and none is idle.
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

    void push(RunningPtr job);
    // No more jobs will come; waits for those that run.
    void close();

private:
    void work();

    unsigned limit_;
    Run run_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<RunningPtr> queue_;
    std::vector<std::thread> threads_;
    std::size_t idle_ = 0;
    bool closed_ = false;
};

}  // namespace headrace::bullmq
