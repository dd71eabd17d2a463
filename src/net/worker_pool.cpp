#include "net/worker_pool.hpp"

#include "base/error.hpp"

#include <signal.h>

#include <memory>
#include <system_error>
#include <utility>

namespace headrace::net {
namespace {

// Sanitizers need several times the stack for the same code.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t stack_factor = 8;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr std::size_t stack_factor = 8;
#else
constexpr std::size_t stack_factor = 1;
#endif
#else
constexpr std::size_t stack_factor = 1;
#endif

void* thread_entry(void* argument) {
    const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(argument));
    (*body)();
    return nullptr;
}

}  // namespace

pthread_t start_thread(std::size_t stack_bytes, std::function<void()> body) {
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, stack_bytes * stack_factor);
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited by the new thread
    auto argument = std::make_unique<std::function<void()>>(std::move(body));
    pthread_t thread{};
    const int error = ::pthread_create(&thread, &attributes, &thread_entry, argument.get());
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_attr_destroy(&attributes);
    if (error != 0) {
        throw Error(ErrorKind::transient, "net.io", "no thread: " + std::generic_category().message(error));
    }
    static_cast<void>(argument.release());
    return thread;
}

WorkerPool::WorkerPool(unsigned threads, std::size_t stack_bytes, std::size_t queue_limit) : queue_limit_(queue_limit) {
    try {
        for (unsigned i = 0; i < threads; ++i) {
            threads_.push_back(start_thread(stack_bytes, [this] { work(); }));
        }
    } catch (...) {
        stop();
        throw;
    }
}

WorkerPool::~WorkerPool() {
    stop();
}

bool WorkerPool::submit(std::function<void()> task) {
    {
        std::lock_guard lock(mutex_);
        if (stopping_ || queue_.size() >= queue_limit_) {
            return false;
        }
        queue_.push_back(std::move(task));
    }
    wake_.notify_one();
    return true;
}

void WorkerPool::stop() {
    std::deque<std::function<void()>> dropped;  // destroyed outside the lock
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        dropped.swap(queue_);
    }
    wake_.notify_all();
    for (const auto thread : std::exchange(threads_, {})) {
        ::pthread_join(thread, nullptr);
    }
}

void WorkerPool::work() {
    for (;;) {
        std::function<void()> task;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
            if (stopping_) {
                return;
            }
            task = std::move(queue_.front());
            queue_.pop_front();
        }
        task();
    }
}

}  // namespace headrace::net
