#include "source/http/pace.hpp"

#include <algorithm>

namespace headrace::source::http {

Deadline::Clock::time_point Pace::reserve(std::chrono::nanoseconds apart) {
    const std::lock_guard lock(mutex_);
    const auto begin = std::max(next_, Deadline::Clock::now());
    next_ = begin + apart;
    return begin;
}

bool Pace::reserve_now(std::chrono::nanoseconds apart) {
    const std::lock_guard lock(mutex_);
    const auto now = Deadline::Clock::now();
    if (next_ > now) {
        return false;
    }
    next_ = now + apart;
    return true;
}

void Pace::hold_until(Deadline::Clock::time_point when) {
    const std::lock_guard lock(mutex_);
    next_ = std::max(next_, when);
}

std::shared_ptr<Pace> Paces::of(const std::string& account) {
    const std::lock_guard lock(mutex_);
    std::erase_if(paces_, [](const auto& one) { return one.second.expired(); });
    auto& known = paces_[account];
    auto pace = known.lock();
    if (!pace) {
        known = pace = std::make_shared<Pace>();
    }
    return pace;
}

}  // namespace headrace::source::http
