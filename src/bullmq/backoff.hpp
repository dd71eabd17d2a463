// When to connect again: 100 ms, doubling to 5 s, back to 100 ms after a success. Pure; the caller brings the time.
#pragma once

#include "base/deadline.hpp"

#include <algorithm>
#include <chrono>

namespace headrace::bullmq {

class Reconnect {
public:
    using Clock = Deadline::Clock;

    // Whether an attempt may be made now.
    bool due(Clock::time_point now) const { return now >= next_; }

    Clock::time_point next() const { return next_; }

    void failed(Clock::time_point now) {
        next_ = now + delay_;
        delay_ = std::min(delay_ * 2, std::chrono::milliseconds(5'000));
    }

    void succeeded() {
        delay_ = std::chrono::milliseconds(100);
        next_ = {};
    }

private:
    std::chrono::milliseconds delay_{100};
    Clock::time_point next_{};
};

}  // namespace headrace::bullmq
