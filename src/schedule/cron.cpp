#include "schedule/cron.hpp"

#include "base/time.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

namespace headrace::schedule {
namespace {

constexpr std::int64_t year_one = -62'135'596'800;  // the calendar types of <chrono> hold ±32767 years only
constexpr std::int64_t year_9999 = 253'370'764'800;
constexpr std::int64_t horizon_seconds = 41LL * 366 * day_seconds;

// The lowest set bit that is not below `from`; 64 when there is none.
int bit_from(std::uint64_t mask, int from) {
    return from > 63 ? 64 : std::countr_zero(mask >> from << from);
}

// The first second of a day, not before `from`, that the fields allow; nullopt when the day has
// none left.
std::optional<std::int64_t> time_from(const CronFields& f, std::int64_t from) {
    if (from >= day_seconds) {
        return std::nullopt;
    }
    const int from_hour = static_cast<int>(from / 3600);
    const int from_minute = static_cast<int>(from / 60 % 60);
    const int first_minute = std::countr_zero(f.minutes);
    const int first_second = std::countr_zero(f.seconds);
    const auto time = [](int h, int m, int s) -> std::int64_t { return (h * 60LL + m) * 60 + s; };

    int hour = bit_from(f.hours, from_hour);
    if (hour == from_hour) {
        int minute = bit_from(f.minutes, from_minute);
        if (minute == from_minute) {
            const int second = bit_from(f.seconds, static_cast<int>(from % 60));
            if (second < 60) {
                return time(hour, minute, second);
            }
            minute = bit_from(f.minutes, from_minute + 1);
        }
        if (minute < 60) {
            return time(hour, minute, first_second);
        }
        hour = bit_from(f.hours, from_hour + 1);
    }
    return hour < 24 ? std::optional(time(hour, first_minute, first_second)) : std::nullopt;
}

std::string_view trimmed(std::string_view text) {
    const auto start = text.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos) {
        return {};
    }
    return text.substr(start, text.find_last_not_of(" \t\r\n") + 1 - start);
}

}  // namespace

std::optional<std::int64_t> first_match(const CronFields& fields, std::int64_t from, std::int64_t upto) {
    using namespace std::chrono;
    while (from < upto) {
        const sys_days today = floor<days>(sys_seconds(seconds(from)));
        const year_month_day date(today);
        const auto month = static_cast<unsigned>(date.month());
        const auto day = static_cast<int>(static_cast<unsigned>(date.day()));
        const std::int64_t month_begin = (today.time_since_epoch().count() - (day - 1)) * day_seconds;
        const std::uint32_t allowed =
            (fields.months >> month & 1U) != 0 ? fields.days_of(static_cast<int>(date.year()), month) : 0;

        int found = bit_from(allowed, day);
        if (found == day) {
            const std::int64_t midnight = today.time_since_epoch().count() * day_seconds;
            if (const auto time = time_from(fields, from - midnight)) {
                return midnight + *time < upto ? std::optional(midnight + *time) : std::nullopt;
            }
            found = bit_from(allowed, day + 1);
        }
        if (found < 32) {
            from = month_begin + (found - 1) * day_seconds;
        } else {
            const auto next_month = date.year() / date.month() + months(1);
            from = sys_days(next_month / 1).time_since_epoch().count() * day_seconds;
        }
    }
    return std::nullopt;
}

Cron::Cron(std::string expression, CronFields fields, std::shared_ptr<const CronZone> zone)
    : expression_(std::move(expression)), fields_(std::move(fields)), zone_(std::move(zone)) {}

Cron Cron::parse(std::string_view expression, std::string_view zone) {
    auto fields = parse_cron_fields(expression);
    return {std::string(trimmed(expression)), std::move(fields), CronZone::load(zone)};
}

std::optional<Timestamp> Cron::next(Timestamp after) const {
    const auto as_time = [](std::int64_t utc) { return Timestamp(std::chrono::seconds(utc)); };
    const std::int64_t from =
        std::max(std::chrono::floor<std::chrono::seconds>(after).time_since_epoch().count() + 1, year_one);
    if (from > year_9999) {
        return std::nullopt;
    }
    const std::int64_t horizon = from + horizon_seconds;
    const bool once = fields_.fixed_hours();
    const bool moves_out_of_gap = !fields_.every_hour();

    const auto& stretches = zone_->stretches();
    for (std::size_t i = zone_->index_at(from); i < stretches.size() && stretches[i].begin < horizon; ++i) {
        const auto& stretch = stretches[i];
        if (moves_out_of_gap && stretch.begin >= from && stretch.local_begin() > stretch.seen &&
            first_match(fields_, stretch.seen, stretch.local_begin())) {
            return as_time(stretch.begin);
        }
        std::int64_t local = std::max(from, stretch.begin) + stretch.offset;
        if (once) {
            local = std::max(local, stretch.seen);
        }
        if (const auto match = first_match(fields_, local, std::min(stretch.end, horizon) + stretch.offset)) {
            return as_time(*match - stretch.offset);
        }
    }
    return std::nullopt;
}

std::vector<Timestamp> Cron::between(Timestamp after, Timestamp upto, std::size_t max) const {
    std::vector<Timestamp> times;
    while (times.size() < max) {
        const auto time = next(after);
        if (!time || *time > upto) {
            break;
        }
        times.push_back(*time);
        after = *time;
    }
    return times;
}

}  // namespace headrace::schedule
