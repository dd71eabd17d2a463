// How often a service may be asked: shared by all runs of this process that use one credential at one host, so that
// two pipelines of one account keep its limit together. Thread-safe.
#pragma once

#include "base/deadline.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace headrace::source::http {

class Pace {
public:
    // Takes the next free beginning of a request, at least `apart` after the one before: when it is.
    Deadline::Clock::time_point reserve(std::chrono::nanoseconds apart);
    // Takes it only when it is now.
    bool reserve_now(std::chrono::nanoseconds apart);
    void hold_until(Deadline::Clock::time_point when);  // nobody begins before

private:
    std::mutex mutex_;
    Deadline::Clock::time_point next_{};
};

class Paces {
public:
    std::shared_ptr<Pace> of(const std::string& account);

private:
    std::mutex mutex_;
    std::map<std::string, std::weak_ptr<Pace>> paces_;
};

}  // namespace headrace::source::http
