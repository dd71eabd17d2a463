#include "bullmq/slots.hpp"

#include <iterator>
#include <system_error>

namespace headrace::bullmq {

void Slots::push(std::vector<RunningPtr>&& jobs) {
    std::unique_lock lock(mutex_);
    queue_.insert(queue_.end(), std::make_move_iterator(jobs.begin()), std::make_move_iterator(jobs.end()));
    jobs.clear();
    behind_ = !queue_.empty();
    owed_ += waking_ ? 1 : 0;
    wake_one(lock);
}

void Slots::spread() {
    std::unique_lock lock(mutex_);
    spreading_ = !queue_.empty();
    wake_one(lock);
}

void Slots::wake_one(std::unique_lock<std::mutex>& lock) {
    if (waking_ || queue_.empty()) {
        return;
    }
    if (idle_ > 0) {
        waking_ = true;
        lock.unlock();
        changed_.notify_one();
    } else if (threads_.size() < limit_ && !closed_) {
        try {
            threads_.emplace_back([this] { work(); });
            waking_ = true;
        } catch (const std::system_error&) {
            if (threads_.empty()) {
                throw;
            }
            // No more threads to be had: those that are there will come to it.
        }
    }
}

void Slots::work() {
    std::unique_lock lock(mutex_);
    waking_ = false;
    for (;;) {
        while (queue_.empty() && !closed_) {
            ++idle_;
            changed_.wait(lock);
            --idle_;
            waking_ = false;
        }
        if (queue_.empty()) {
            return;
        }
        auto job = std::move(queue_.front());
        queue_.pop_front();
        if (queue_.empty()) {
            behind_ = spreading_ = false;
            owed_ = 0;
        } else if (!waking_ && (spreading_ || owed_ > 0)) {
            owed_ -= owed_ > 0 ? 1 : 0;
            wake_one(lock);
        }
        if (lock.owns_lock()) {
            lock.unlock();
        }
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
