// Parsed cron expressions with their words, so that a list of pipelines parses none. Thread-safe.
#pragma once

#include "schedule/cron.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::api {

struct KnownSchedule {
    std::optional<schedule::Cron> cron;  // none: it does not parse, and `text` says why
    std::string text;
    std::vector<std::string> warnings;  // of the coming year
    Timestamp made_at;

    std::vector<Timestamp> next(Timestamp after, int count) const;
};

class ScheduleCache {
public:
    // Never throws for a bad expression.
    std::shared_ptr<const KnownSchedule> get(std::string_view cron, std::string_view zone, Timestamp now);

private:
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<const KnownSchedule>, std::less<>> known_;
};

}  // namespace headrace::api
