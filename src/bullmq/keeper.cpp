#include "bullmq/keeper.hpp"

#include "base/error.hpp"

#include <algorithm>

namespace headrace::bullmq {

Keeper::Keeper(redis::Options options, const Keys& keys, Settings settings, EventSink events)
    : options_(std::move(options)), settings_(settings), events_(std::move(events)), calls_(keys) {
    check_on_ = settings.check_stalled;
    // A half-open connection must be noticed while there is still time to renew over a new one.
    const auto patience = std::max(settings_.lock_duration / 4, Millis(50));
    options_.reply_timeout = std::min(options_.reply_timeout, patience);
    options_.connect_timeout = std::min(options_.connect_timeout, patience);
}

void Keeper::start() {
    thread_ = std::thread([this] { run(); });
}

void Keeper::stop() {
    stop_.request_stop("closing");
    if (thread_.joinable()) {
        thread_.join();
    }
}

void Keeper::track(const RunningPtr& running) {
    std::lock_guard guard(mutex_);
    tracked_.add(running);
}

void Keeper::untrack(const RunningPtr& running) {
    std::lock_guard guard(mutex_);
    tracked_.remove(running);
}

void Keeper::set_check_stalled(bool on) {
    std::lock_guard guard(mutex_);
    check_on_ = on && settings_.check_stalled;
}

void Keeper::run() {
    const auto token = stop_.token();
    next_check_ = Clock::now();
    next_renew_ = Clock::now() + settings_.renew_time / 2;
    while (!token.stop_requested()) {
        auto now = Clock::now();
        try {
            if (reconnect_.due(now)) {
                renew(now);
                check_stalled(now);
            }
        } catch (const Error& error) {
            if (token.stop_requested()) {
                return;
            }
            connection_.reset();  // also a live one: it may lead to a server that has become a replica
            reconnect_.failed(Clock::now());
            events_(WorkerEvent::Kind::error, {}, std::string("locks: ") + error.what());
        }
        expire(Clock::now());
        net::wait_readable(-1, Deadline::at(next_wake(Clock::now())), token);
    }
}

Keeper::Clock::time_point Keeper::next_wake(Clock::time_point now) {
    std::lock_guard guard(mutex_);
    auto wake = next_renew_;
    if (check_on_) {
        wake = std::min(wake, next_check_);
    }
    wake = std::max(wake, reconnect_.next());
    for (const auto& running : tracked_.items()) {
        if (settings_.stop_on_expired_lock && !running->lock_lost && !running->finishing) {
            wake = std::min(wake, running->renewed + settings_.lock_duration);
        }
    }
    // Nothing is sooner than a millisecond: poll() rounds anyway.
    return std::max(wake, now + Millis(1));
}

redis::Reply Keeper::call(const Call& call) {
    if (!connection_) {
        connection_.emplace(redis::Connection::connect(options_, stop_.token()));
    }
    connection_->append_encoded(call.resp);
    auto reply = connection_->read_reply();
    if (redis::is_no_script(reply)) {
        connection_->append_encoded(redis::as_eval(call.resp, *call.script));
        reply = connection_->read_reply();
    }
    reconnect_.succeeded();
    return redis::checked(std::move(reply));
}

void Keeper::renew(Clock::time_point now) {
    if (now < next_renew_) {
        return;
    }
    std::vector<RunningPtr> due;
    {
        std::lock_guard guard(mutex_);
        for (const auto& running : tracked_.items()) {
            if (!running->lock_lost && running->renewed + settings_.renew_time / 2 <= now + Millis(1)) {
                due.push_back(running);
            }
        }
    }
    if (!due.empty()) {
        std::vector<std::string> ids;
        std::vector<std::string> tokens;
        for (const auto& running : due) {
            ids.push_back(running->id);
            tokens.push_back(running->token);
        }
        auto reply = call(calls_.extend_locks(tokens, ids, settings_.lock_duration));
        std::vector<std::string> failed;
        for (auto& id : reply.elements()) {
            failed.push_back(id.is_integer() ? std::to_string(id.integer()) : id.text());
        }
        for (const auto& running : due) {
            if (std::find(failed.begin(), failed.end(), running->id) == failed.end()) {
                std::lock_guard guard(mutex_);
                running->renewed = now;  // when the command left, not when its answer came
            } else if (!running->finishing) {
                lost(running, "lock lost");
            }
        }
    }
    next_renew_ = now + settings_.renew_time / 2;
}

void Keeper::expire(Clock::time_point now) {
    if (!settings_.stop_on_expired_lock) {
        return;
    }
    std::vector<RunningPtr> expired;
    {
        std::lock_guard guard(mutex_);
        for (const auto& running : tracked_.items()) {
            if (!running->lock_lost && !running->finishing && running->renewed + settings_.lock_duration <= now) {
                expired.push_back(running);
            }
        }
    }
    for (const auto& running : expired) {
        lost(running, "lock lost: it could not be renewed in time");
    }
}

void Keeper::lost(const RunningPtr& running, std::string why) {
    running->lock_lost = true;
    running->stop.request_stop(why);
    events_(WorkerEvent::Kind::lock_lost, running->id, why);
}

void Keeper::check_stalled(Clock::time_point now) {
    {
        std::lock_guard guard(mutex_);
        if (!check_on_ || now < next_check_) {
            return;
        }
    }
    auto reply = call(calls_.move_stalled(settings_.max_stalled_count, settings_.stalled_interval, now_ms()));
    next_check_ = now + settings_.stalled_interval;
    for (auto& id : reply.elements()) {
        events_(WorkerEvent::Kind::stalled, id.str(), {});
    }
}

}  // namespace headrace::bullmq
