#include "schedule/cron_fields.hpp"

#include <algorithm>
#include <chrono>

namespace headrace::schedule {
namespace {

// Bits 0, 7, 14, 21, 28: one weekday through a month.
constexpr std::uint32_t weekly = 0x10204081U;

}  // namespace

bool CronFields::fixed_hours() const {
    const auto repeats = [](const CronItem& item) {
        return item.kind == CronItem::Kind::any || item.step > 1 || item.open;
    };
    return !every_hour() && std::none_of(items[cron_hour].begin(), items[cron_hour].end(), repeats);
}

std::uint32_t CronFields::days_of(int year, unsigned month) const {
    using namespace std::chrono;
    const year_month first{std::chrono::year(year), std::chrono::month(month)};
    const auto length = static_cast<unsigned>(year_month_day_last(first / last).day());
    const std::uint32_t all = static_cast<std::uint32_t>((std::uint64_t{1} << (length + 1)) - 2);
    std::uint32_t by_day = days & all;
    if (last_day) {
        by_day |= 1U << length;
    }
    if (any_weekday) {
        return any_day ? all : by_day;
    }
    const unsigned first_weekday = weekday(sys_days(first / 1)).c_encoding();
    std::uint32_t by_weekday = 0;
    for (unsigned wd = 0; wd < 7; ++wd) {
        const unsigned day = 1 + (wd + 7 - first_weekday) % 7;  // of its first one
        if ((weekdays >> wd & 1U) != 0) {
            by_weekday |= weekly << day;
        }
        for (unsigned n = 1; n <= 5; ++n) {
            if ((nth_weekdays[n] >> wd & 1U) != 0 && day + 7 * (n - 1) <= length) {
                by_weekday |= 1U << (day + 7 * (n - 1));
            }
        }
        if ((last_weekdays >> wd & 1U) != 0) {
            by_weekday |= 1U << (day + (length - day) / 7 * 7);
        }
    }
    by_weekday &= all;
    return any_day ? by_weekday : by_day | by_weekday;
}

}  // namespace headrace::schedule
