// next() against an oracle that shares nothing with it: it walks minute by minute through real
// time, asks the date library for the wall clock, and holds the fields as plain sets that the
// generator drew (it never parses text).
#include "schedule/cron.hpp"

#include <date/tz.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace headrace::schedule {
namespace {

using date::days;
using date::local_days;
using std::chrono::minutes;
using std::chrono::seconds;
using LocalMinute = date::local_time<minutes>;

struct Spec {
    std::string text;
    std::set<int> minute, hour, day, month, weekday;
    std::set<std::pair<int, int>> nth;  // weekday, n
    std::set<int> last_weekday;
    bool last_day = false;
    bool any_day = false;
    bool any_weekday = false;
    bool hour_steps = false;

    bool day_fits(const date::year_month_day& date) const {
        const int d = static_cast<int>(static_cast<unsigned>(date.day()));
        const int length = static_cast<int>(
            static_cast<unsigned>(date::year_month_day_last(date.year(), date::month_day_last(date.month())).day())
        );
        const int wd = static_cast<int>(date::weekday(local_days(date)).c_encoding());
        const bool by_day = day.count(d) > 0 || (last_day && d == length);
        const bool by_weekday = weekday.count(wd) > 0 || nth.count({wd, (d - 1) / 7 + 1}) > 0 ||
                                (last_weekday.count(wd) > 0 && d + 7 > length);
        if (any_day || any_weekday) {
            return (any_day || by_day) && (any_weekday || by_weekday);
        }
        return by_day || by_weekday;
    }

    bool fits(LocalMinute local) const {
        const auto midnight = date::floor<days>(local);
        const int of_day = static_cast<int>((local - midnight).count());
        if (hour.count(of_day / 60) == 0 || minute.count(of_day % 60) == 0) {
            return false;
        }
        const date::year_month_day date(midnight);
        return month.count(static_cast<int>(static_cast<unsigned>(date.month()))) > 0 && day_fits(date);
    }
};

class Generator {
public:
    explicit Generator(unsigned seed) : random_(seed) {}

    int pick(int low, int high) { return low + static_cast<int>(random_() % static_cast<unsigned>(high - low + 1)); }

    bool chance(int percent) { return pick(1, 100) <= percent; }

    // One plain field; returns its text and fills the set. `step` is set when it has a * or a step.
    // `whole` is set when it has a */1, which is the same as *.
    std::string field(int low, int high, std::set<int>& values, bool& step, bool& whole) {
        std::vector<std::string> parts;
        for (int n = chance(60) ? 1 : pick(2, 3); n > 0; --n) {
            const int kind = pick(0, 5);
            const int a = pick(low, high);
            const int b = pick(a, high);
            const int by = pick(1, high - low + 1);
            int from = a;
            int to = a;
            int stride = 1;
            if (kind == 0) {
                parts.push_back(fmt::format("*/{}", by));
                from = low, to = high, stride = by;
            } else if (kind == 1) {
                parts.push_back(fmt::format("{}-{}", a, b));
                to = b;
            } else if (kind == 2) {
                parts.push_back(fmt::format("{}-{}/{}", a, b, by));
                to = b, stride = by;
            } else {
                parts.push_back(fmt::format("{}", a));
            }
            whole = whole || (kind == 0 && by == 1);
            step = step || kind == 0 || (kind == 2 && by > 1);
            for (int v = from; v <= to; v += stride) {
                values.insert(v);
            }
        }
        return fmt::format("{}", fmt::join(parts, ","));
    }

    std::string star(int low, int high, std::set<int>& values, bool& step) {
        for (int v = low; v <= high; ++v) {
            values.insert(v);
        }
        step = true;
        return "*";
    }

    std::string day_field(Spec& s) {
        bool unused = false;
        if (chance(60)) {
            s.any_day = true;
            return chance(50) ? "*" : "?";
        }
        if (chance(20)) {
            s.last_day = true;
            return "L";
        }
        return field(1, 31, s.day, unused, s.any_day);
    }

    std::string weekday_field(Spec& s) {
        static constexpr const char* names[] = {"sun", "MON", "tue", "Wed", "thu", "fri", "sat"};
        const int wd = pick(0, 6);
        switch (pick(0, 9)) {
            case 0:
                s.last_weekday.insert(wd);
                return fmt::format("{}L", chance(50) ? fmt::format("{}", wd) : names[wd]);
            case 1: {
                const int n = pick(1, 5);
                s.nth.insert({wd, n});
                return fmt::format("{}#{}", chance(50) ? fmt::format("{}", wd) : names[wd], n);
            }
            case 2: {
                bool unused = false;
                return field(0, 6, s.weekday, unused, s.any_weekday);
            }
            case 3:
                s.weekday.insert(wd);
                return names[wd];
            default:
                s.any_weekday = true;
                return "*";
        }
    }

    Spec spec(bool small_hours) {
        Spec s;
        bool unused = false;
        const auto minute = chance(25) ? star(0, 59, s.minute, unused) : field(0, 59, s.minute, unused, unused);
        std::string hour;
        if (small_hours && chance(60)) {  // where clocks change
            const int h = chance(15) ? 23 : pick(0, 3);
            s.hour.insert(h);
            hour = fmt::format("{}", h);
        } else {
            hour = chance(25) ? star(0, 23, s.hour, s.hour_steps) : field(0, 23, s.hour, s.hour_steps, unused);
        }
        const auto day = day_field(s);
        const auto month = chance(80) ? star(1, 12, s.month, unused) : field(1, 12, s.month, unused, unused);
        const auto weekday = weekday_field(s);
        s.text = fmt::format("{} {} {} {} {}", minute, hour, day, month, weekday);
        return s;
    }

private:
    std::mt19937 random_;
};

// All times of the rules of cron.hpp in (after, upto], found the slow way.
std::vector<Timestamp>
walk(const Spec& s, const date::time_zone& zone, date::sys_time<minutes> after, date::sys_time<minutes> upto) {
    const bool every_hour = s.hour.size() == 24;
    const bool fixed = !every_hour && !s.hour_steps;
    std::vector<Timestamp> out;
    date::sys_info info{};
    seconds before{};
    for (auto t = after + minutes(1); t <= upto; t += minutes(1)) {
        if (t >= info.end || t < info.begin) {
            info = zone.get_info(t);
            before = zone.get_info(info.begin - seconds(1)).offset;
        }
        const auto wall = [&](seconds offset) {
            return date::floor<minutes>(date::local_seconds((t + offset).time_since_epoch()));
        };
        bool due = s.fits(wall(info.offset));
        const auto seen = date::floor<minutes>(date::local_seconds((info.begin + before).time_since_epoch()));
        if (due && fixed && wall(info.offset) < seen) {
            due = false;  // its second time
        }
        if (t == info.begin && !every_hour) {
            for (auto lost = seen; lost < wall(info.offset); lost += minutes(1)) {
                due = due || s.fits(lost);
            }
        }
        if (due) {
            out.emplace_back(t);
        }
    }
    return out;
}

std::string list(const std::vector<Timestamp>& times) {
    std::string out;
    for (std::size_t i = 0; i < times.size() && i < 12; ++i) {
        out += " " + format_rfc3339(times[i]);
    }
    return out;
}

unsigned seed_of_run() {
    const char* given = std::getenv("HEADRACE_SEED");
    return given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
}

TEST(CronOracle, AgreesMinuteByMinute) {
    const unsigned seed = seed_of_run();
    std::cout << "HEADRACE_SEED=" << seed << '\n';
    Generator random(seed);
    std::vector<const date::time_zone*> zones;
    for (const auto& zone : date::get_tzdb().zones) {
        if (zone.name() != "localtime") {
            zones.push_back(&zone);
        }
    }
    int compared = 0;
    int near_change = 0;
    std::size_t times = 0;
    for (int i = 0; i < 6000; ++i) {
        const auto& zone = *zones[static_cast<std::size_t>(random.pick(0, static_cast<int>(zones.size()) - 1))];
        const bool at_change = random.chance(70);
        const auto spec = random.spec(at_change);
        auto after = date::floor<minutes>(
            date::sys_seconds(date::sys_days(date::year(1980) / 1 / 1)) + minutes(random.pick(0, 56 * 525'960))
        );
        if (at_change) {
            const auto info = zone.get_info(after);
            if (info.end < date::sys_days(date::year(2037) / 1 / 1)) {
                after = date::floor<minutes>(info.end) - minutes(random.pick(1, 2 * 1440));
                ++near_change;
            }
        }
        std::optional<Cron> cron;
        try {
            cron = Cron::parse(spec.text, zone.name());
        } catch (const std::exception& e) {
            // The only reason for which a drawn expression may be refused.
            ASSERT_NE(std::string(e.what()).find("never comes in"), std::string::npos) << spec.text << ": " << e.what();
            continue;
        }
        const auto upto = after + days(3);
        const auto wanted = walk(spec, zone, after, upto);
        const auto got = cron->between(after, upto, 1'000'000);
        ASSERT_TRUE(got == wanted) << "seed " << seed << " case " << i << ": " << spec.text << " in " << zone.name()
                                   << " after " << format_rfc3339(after) << "\n got " << list(got) << "\n want"
                                   << list(wanted);
        // Not chained: from anywhere between two times the next one is the same.
        for (std::size_t k = 1; k < wanted.size() && k < 4; ++k) {
            const auto gap = (wanted[k] - wanted[k - 1]).count();
            ASSERT_EQ(cron->next(wanted[k - 1] + std::chrono::microseconds(gap / 2)), wanted[k]) << spec.text;
        }
        ++compared;
        times += wanted.size();
    }
    std::cout << compared << " expressions compared, " << near_change << " of the starts near a clock change, " << times
              << " times\n";
    EXPECT_GT(compared, 5700);
}

// Rare dates: day by day over 30 years.
TEST(CronOracle, AgreesDayByDay) {
    const unsigned seed = seed_of_run();
    std::cout << "HEADRACE_SEED=" << seed << '\n';
    Generator random(seed);
    int compared = 0;
    for (int i = 0; i < 400; ++i) {
        Spec spec;
        bool unused = false;
        const auto day = random.day_field(spec);
        const auto month = random.chance(30) ? random.star(1, 12, spec.month, unused)
                                             : random.field(1, 12, spec.month, unused, unused);
        const auto weekday = random.weekday_field(spec);
        spec.text = fmt::format("0 12 {} {} {}", day, month, weekday);
        std::optional<Cron> cron;
        try {
            cron = Cron::parse(spec.text, "UTC");
        } catch (const std::exception&) {
            continue;
        }
        const local_days first(date::year(random.pick(1990, 2190)) / random.pick(1, 12) / 1);
        std::vector<Timestamp> wanted;
        for (auto d = first; d < first + days(30 * 365); d += days(1)) {
            const date::year_month_day ymd(d);
            if (spec.month.count(static_cast<int>(static_cast<unsigned>(ymd.month()))) > 0 && spec.day_fits(ymd)) {
                wanted.push_back(Timestamp(d.time_since_epoch()) + std::chrono::hours(12));
            }
        }
        const auto from = Timestamp(first.time_since_epoch());
        ASSERT_TRUE(cron->between(from, from + days(30 * 365), 1'000'000) == wanted)
            << "seed " << seed << ": " << spec.text;
        ++compared;
    }
    EXPECT_GT(compared, 300);
}

}  // namespace
}  // namespace headrace::schedule
