// What a job scheduler repeats, and the function that a pattern needs. Values only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::bullmq {

struct RepeatOptions {
    std::chrono::milliseconds every{0};      // exactly one of every and pattern
    std::string pattern;                     // cron
    std::string tz;                          // IANA zone of the pattern
    std::optional<std::int64_t> start_date;  // ms
    std::optional<std::int64_t> end_date;    // ms; must lie ahead
    std::optional<std::int64_t> limit;       // runs
    std::optional<std::int64_t> offset;      // ms within `every`
    std::int64_t count = 0;                  // runs so far; kept by the scheduler
    bool immediately = false;                // first run of a pattern now; not together with start_date
};

// The first time (ms) of `options.pattern` strictly after `after_ms`; nullopt when there is none.
// This library has no cron of its own: the caller brings one. Throws Error for a pattern it cannot read.
using NextTime = std::function<std::optional<std::int64_t>(const RepeatOptions& options, std::int64_t after_ms)>;

}  // namespace headrace::bullmq
