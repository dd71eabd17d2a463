// Threads with small stacks behind a bounded queue. Private to net.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

namespace headrace::net {

// Starts a thread that takes no signals (they belong to main). Throws Error{transient, "net.io"}.
pthread_t start_thread(std::size_t stack_bytes, std::function<void()> body);

class WorkerPool {
public:
    WorkerPool(unsigned threads, std::size_t stack_bytes, std::size_t queue_limit);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    // False when the queue is full or the pool stops. A task must not throw.
    bool submit(std::function<void()> task);
    // Drops what is queued, waits for what runs. Idempotent, not from a task.
    void stop();

private:
    void work();

    const std::size_t queue_limit_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> queue_;
    bool stopping_ = false;
    std::vector<pthread_t> threads_;
};

}  // namespace headrace::net
