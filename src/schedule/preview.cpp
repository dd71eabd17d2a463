#include "schedule/preview.hpp"

#include "base/time.hpp"
#include "base/units.hpp"
#include "schedule/cron_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <chrono>

namespace headrace::schedule {
namespace {

constexpr std::int64_t year_seconds = 366 * day_seconds;

std::int64_t utc_seconds(Timestamp time) {
    return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

std::string clock_text(std::int64_t local) {
    const auto time = ((local % day_seconds) + day_seconds) % day_seconds;
    return time % 60 == 0 ? fmt::format("{:02d}:{:02d}", time / 3600, time / 60 % 60)
                          : fmt::format("{:02d}:{:02d}:{:02d}", time / 3600, time / 60 % 60, time % 60);
}

std::string date_text(std::int64_t local) {
    using namespace std::chrono;
    const year_month_day date(floor<days>(sys_seconds(seconds(local))));
    return fmt::format(
        "{} {} {}",
        static_cast<unsigned>(date.day()),
        month_name(static_cast<int>(static_cast<unsigned>(date.month()))).substr(0, 3),
        static_cast<int>(date.year())
    );
}

std::string local_text(std::int64_t local) {
    return date_text(local) + " " + clock_text(local);
}

// The allowed wall-clock times in [from, upto): first, last, and how many (counted to 1000).
struct Affected {
    std::int64_t first = 0;
    std::int64_t last = 0;
    int count = 0;
};

Affected affected(const CronFields& fields, std::int64_t from, std::int64_t upto) {
    Affected out;
    for (auto at = first_match(fields, from, upto); at && out.count < 1000; at = first_match(fields, *at + 1, upto)) {
        out.first = out.count == 0 ? *at : out.first;
        out.last = *at;
        ++out.count;
    }
    return out;
}

std::string gap_warning(const Cron& cron, const CronZone::Stretch& stretch, const Affected& times) {
    const auto end = stretch.local_begin();
    const bool same_day = end / day_seconds == times.first / day_seconds;
    const auto starts = same_day ? clock_text(end) : local_text(end);
    if (times.count == 1) {
        return fmt::format(
            "{} does not exist in {}: that run starts at {}", local_text(times.first), cron.zone(), starts
        );
    }
    return fmt::format(
        "{} to {} do not exist in {}: one run starts at {} in place of {}",
        local_text(times.first),
        clock_text(times.last),
        cron.zone(),
        starts,
        times.count
    );
}

std::string fold_warning(const Cron& cron, const Affected& times) {
    const bool once = cron.fields().fixed_hours();
    if (times.count == 1) {
        return fmt::format(
            "{} comes twice in {}: {}",
            local_text(times.first),
            cron.zone(),
            once ? "it runs once, the first time" : "it runs both times"
        );
    }
    return fmt::format(
        "{} to {} come twice in {}: {}",
        local_text(times.first),
        clock_text(times.last),
        cron.zone(),
        once ? "they run once, the first time" : "they run both times"
    );
}

void clock_changes(const Cron& cron, std::int64_t now, std::vector<std::string>& out) {
    if (cron.fields().every_hour()) {
        return;  // elapsed time: nothing moves
    }
    const auto& stretches = cron.zone_table().stretches();
    for (auto i = cron.zone_table().index_at(now) + 1; i < stretches.size(); ++i) {
        const auto& stretch = stretches[i];
        if (stretch.begin > now + year_seconds) {
            return;
        }
        const auto local = stretch.local_begin();
        if (local > stretch.seen) {
            if (const auto times = affected(cron.fields(), stretch.seen, local); times.count > 0) {
                out.push_back(gap_warning(cron, stretch, times));
            }
        } else if (const auto times = affected(cron.fields(), local, stretch.seen); times.count > 0) {
            out.push_back(fold_warning(cron, times));
        }
    }
}

void day_rules(const CronFields& f, std::vector<std::string>& out) {
    if (f.day_or_weekday()) {
        out.emplace_back(
            "Day of month and day of week are both set: it runs when either one fits, not only "
            "when both do"
        );
    }
    // Numbered days that some of the months do not have.
    const int highest = 31 - std::countl_zero(f.days | 1U);
    if (f.any_day || f.last_day || highest < 29 || std::popcount(f.days) > 1) {
        return;
    }
    std::vector<std::string> missing;
    for (int m = 1; m <= 12; ++m) {
        const int length = m == 2 ? 28 : m == 4 || m == 6 || m == 9 || m == 11 ? 30 : 31;
        if ((f.months >> m & 1U) != 0 && highest > length) {
            missing.push_back(month_name(m) + (m == 2 && highest == 29 ? " outside leap years" : ""));
        }
    }
    if (!missing.empty()) {
        out.push_back(fmt::format(
            "Day {} does not come in {}; L means the last day of every month", highest, join_words(missing, "and")
        ));
    }
}

// */7 minutes starts again with every hour: the last step is short.
void uneven_steps(const CronFields& f, std::vector<std::string>& out) {
    struct Unit {
        CronField field;
        int size;
        std::string_view name;
        std::string_view outer;
    };

    for (const auto& unit :
         {Unit{cron_second, 60, "second", "minute"},
          Unit{cron_minute, 60, "minute", "hour"},
          Unit{cron_hour, 24, "hour", "day"}}) {
        const auto& items = f.items[unit.field];
        const int step = items.size() == 1 && items[0].kind == CronItem::Kind::any ? items[0].step : 1;
        if (step > 1 && unit.size % step != 0) {
            const int rest = unit.size % step;
            out.push_back(fmt::format(
                "*/{} starts again with every {}: the last step of each {} is {} {}{}",
                step,
                unit.outer,
                unit.outer,
                rest,
                unit.name,
                rest == 1 ? "" : "s"
            ));
        }
    }
}

void rare_runs(const Cron& cron, Timestamp now, std::vector<std::string>& out) {
    const auto first = cron.next(now);
    if (!first) {
        out.emplace_back("It does not run within the next 41 years");
        return;
    }
    const auto second = cron.next(*first);
    const auto year = std::chrono::seconds(year_seconds);
    if (*first - now > year || !second || *second - *first > year) {
        out.push_back(fmt::format(
            "It runs rarely: next on {}, then {}",
            date_text(utc_seconds(*first) + cron.zone_table().offset_at(utc_seconds(*first))),
            second ? "on " + date_text(utc_seconds(*second) + cron.zone_table().offset_at(utc_seconds(*second)))
                   : "not within 41 years"
        ));
    }
}

}  // namespace

Preview preview(const Cron& cron, Timestamp now, int count) {
    Preview out;
    out.text = describe(cron.fields());
    Timestamp last = now;
    for (int i = 0; i < std::min(count, 1000); ++i) {
        const auto time = cron.next(last);
        if (!time) {
            break;
        }
        out.next.push_back(*time);
        last = *time;
    }
    clock_changes(cron, utc_seconds(now), out.warnings);
    day_rules(cron.fields(), out.warnings);
    uneven_steps(cron.fields(), out.warnings);
    rare_runs(cron, now, out.warnings);
    return out;
}

std::string local_text(const Cron& cron, Timestamp time) {
    const auto utc = utc_seconds(time);
    return local_text(utc + cron.zone_table().offset_at(utc));
}

}  // namespace headrace::schedule
