// A point on the monotonic clock by which something must be done. Value type; never the wall clock.
#pragma once

#include <algorithm>
#include <chrono>

namespace headrace {

class Deadline {
public:
    using Clock = std::chrono::steady_clock;

    static Deadline never() { return Deadline(Clock::time_point::max()); }

    static Deadline in(std::chrono::nanoseconds span) {
        auto now = Clock::now();
        return Deadline(span > Clock::time_point::max() - now ? Clock::time_point::max() : now + span);
    }

    static Deadline at(Clock::time_point when) { return Deadline(when); }

    bool passed() const { return at_ != Clock::time_point::max() && Clock::now() >= at_; }

    Clock::time_point when() const { return at_; }

    Deadline earlier(Deadline other) const { return Deadline(std::min(at_, other.at_)); }

    // For poll(): milliseconds left, rounded up, 0 when passed, -1 for never.
    int poll_timeout() const {
        if (at_ == Clock::time_point::max()) {
            return -1;
        }
        auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now()).count();
        return static_cast<int>(std::clamp<long long>(left, 0, 86'400'000));
    }

private:
    explicit Deadline(Clock::time_point when) : at_(when) {}

    Clock::time_point at_;
};

}  // namespace headrace
