#include "bullmq/slots.hpp"

namespace headrace::bullmq {

void Slots::push(RunningPtr job) {
    {
        std::lock_guard guard(mutex_);
        queue_.push_back(std::move(job));
        if (idle_ < queue_.size() && threads_.size() < limit_) {
            threads_.emplace_back([this] { work(); });
        }
    }
    changed_.notify_one();
}

void Slots::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
        --idle_;
        if (queue_.empty()) {
            return;
        }
        auto job = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        run_(job);
        job.reset();
        lock.lock();
    }
}

void Slots::close() {
    std::vector<std::thread> threads;
    {
        std::lock_guard guard(mutex_);
        closed_ = true;
        threads.swap(threads_);
    }
    changed_.notify_all();
    for (auto& thread : threads) {
        thread.join();
    }
}

}  // namespace headrace::bullmq
