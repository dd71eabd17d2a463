#include "api/schedule_cache.hpp"

#include "base/error.hpp"
#include "schedule/preview.hpp"

namespace headrace::api {
namespace {

constexpr std::size_t entries = 1000;
constexpr auto good_for = std::chrono::hours(6);  // warnings speak of the coming year

std::shared_ptr<const KnownSchedule> make(std::string_view cron, std::string_view zone, Timestamp now) {
    auto out = std::make_shared<KnownSchedule>();
    out->made_at = now;
    try {
        out->cron = schedule::Cron::parse(cron, zone);
        auto preview = schedule::preview(*out->cron, now, 0);
        out->text = std::move(preview.text);
        out->warnings = std::move(preview.warnings);
    } catch (const Error& error) {
        out->text = error.message();
        out->warnings = {"The schedule cannot be read, so it never fires: " + error.message()};
    }
    return out;
}

}  // namespace

std::vector<Timestamp> KnownSchedule::next(Timestamp after, int count) const {
    std::vector<Timestamp> out;
    while (cron && count-- > 0) {
        const auto time = cron->next(out.empty() ? after : out.back());
        if (!time) {
            break;
        }
        out.push_back(*time);
    }
    return out;
}

std::shared_ptr<const KnownSchedule> ScheduleCache::get(std::string_view cron, std::string_view zone, Timestamp now) {
    const auto key = std::string(cron) + '\n' + std::string(zone);
    {
        const std::lock_guard lock(mutex_);
        const auto it = known_.find(key);
        if (it != known_.end() && now - it->second->made_at < good_for) {
            return it->second;
        }
    }
    auto fresh = make(cron, zone, now);
    const std::lock_guard lock(mutex_);
    if (known_.size() >= entries) {
        known_.clear();
    }
    known_[key] = fresh;
    return fresh;
}

}  // namespace headrace::api
