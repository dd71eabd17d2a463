#include "net/event_stream.hpp"

#include "net/event_stream_reader.hpp"

#include <memory>
#include <utility>

namespace headrace::net {

bool EventStream::send(std::string_view bytes) {
    std::unique_lock lock(mutex_);
    if (closed_) {
        return false;
    }
    const bool was_empty = queue_.empty();
    if (queue_.size() >= limits_.messages || bytes.size() > limits_.bytes - queued_bytes_) {
        // The client is too slow. It learns that it missed something and starts over from a
        // snapshot.
        queue_.clear();
        queue_.emplace_back("event: reset\ndata: {}\n\n");
        queued_bytes_ = queue_.back().size();
        finish(lock);
        return false;
    }
    queue_.emplace_back(bytes);
    queued_bytes_ += bytes.size();
    if (was_empty && wake_) {
        wake_();
    }
    return true;
}

void EventStream::close() {
    std::unique_lock lock(mutex_);
    if (!closed_) {
        finish(lock);
    }
}

bool EventStream::closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
}

void EventStream::on_closed(std::function<void()> callback) {
    {
        std::lock_guard lock(mutex_);
        if (!closed_) {
            on_closed_ = std::move(callback);
            return;
        }
    }
    callback();
}

void EventStream::finish(std::unique_lock<std::mutex>& lock) {
    closed_ = true;
    if (wake_) {
        wake_();
    }
    const auto callback = std::exchange(on_closed_, nullptr);
    lock.unlock();
    if (callback) {
        callback();
    }
}

void EventStreamReader::attach(std::function<void()> wake) {
    std::lock_guard lock(stream_->mutex_);
    stream_->wake_ = std::move(wake);
}

bool EventStreamReader::take(std::string& out) {
    std::lock_guard lock(stream_->mutex_);
    for (const auto& message : stream_->queue_) {
        out += message;
    }
    stream_->queue_.clear();
    stream_->queued_bytes_ = 0;
    return !stream_->closed_;
}

void EventStreamReader::detach() {
    std::unique_lock lock(stream_->mutex_);
    stream_->wake_ = nullptr;
    stream_->queue_.clear();
    stream_->queued_bytes_ = 0;
    if (!stream_->closed_) {
        stream_->finish(lock);
    }
}

}  // namespace headrace::net
