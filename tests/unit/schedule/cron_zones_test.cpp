// Every zone of the system's database against the rules at clock changes, and the footer rule
// against the file.
#include "schedule/cron.hpp"

#include <date/tz.h>
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace headrace::schedule {
namespace {

struct Change {
    std::int64_t at;
    std::int64_t before;  // offsets
    std::int64_t after;
};

// Taken from the library directly, not from CronZone.
std::vector<Change> changes_of(const date::time_zone& zone, int first_year, int last_year) {
    std::vector<Change> out;
    auto info = zone.get_info(date::sys_seconds(date::sys_days(date::year(first_year) / 1 / 1)));
    const date::sys_seconds stop = date::sys_days(date::year(last_year + 1) / 1 / 1);
    while (info.end < stop) {
        const auto before = info.offset.count();
        info = zone.get_info(info.end);
        if (info.offset.count() != before) {
            out.push_back({info.begin.time_since_epoch().count(), before, info.offset.count()});
        }
    }
    return out;
}

Timestamp at(std::int64_t utc) {
    return Timestamp(std::chrono::seconds(utc));
}

std::int64_t utc(std::optional<Timestamp> time) {
    return time ? std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch()).count() : -1;
}

class Crons {
public:
    explicit Crons(std::string zone) : zone_(std::move(zone)) {}

    const Cron& operator()(const std::string& expression) {
        auto it = made_.find(expression);
        if (it == made_.end()) {
            it = made_.emplace(expression, Cron::parse(expression, zone_)).first;
        }
        return it->second;
    }

private:
    std::string zone_;
    std::map<std::string, Cron> made_;
};

std::string daily(std::int64_t local) {
    const auto time = (local % 86'400 + 86'400) % 86'400;
    return fmt::format("{} {} {} * * *", time % 60, time / 60 % 60, time / 3600);
}

void check_gap(Crons& crons, const Change& c) {
    const auto missing = (c.at + c.before + c.at + c.after) / 2;  // the middle of the gap, on the wall clock
    const auto& cron = crons(daily(missing));
    ASSERT_EQ(utc(cron.next(at(c.at - 1))), c.at);
    ASSERT_GE(utc(cron.next(at(c.at))), c.at + 1);
    ASSERT_LE(utc(cron.next(at(c.at))), c.at + 86'400);
    ASSERT_EQ(cron.between(at(c.at - 1), at(c.at + 3600), 10).size(), 1U);
}

void check_fold(Crons& crons, const Change& c) {
    const auto twice = (c.at + c.before + c.at + c.after) / 2;
    const auto& cron = crons(daily(twice));
    const auto first = twice - c.before;
    const auto second = twice - c.after;
    ASSERT_EQ(utc(cron.next(at(first - 1))), first);
    ASSERT_GT(utc(cron.next(at(first))), second);
    ASSERT_GT(utc(cron.next(at(second - 1))), second);
    ASSERT_EQ(cron.between(at(first - 3600), at(second + 3600), 10).size(), 1U);
}

// Elapsed time: the same distance through the change.
void check_steady(Crons& crons, const Change& c, const char* expression, std::int64_t step) {
    if ((c.after - c.before) % step != 0) {
        return;
    }
    const auto times = crons(expression).between(at(c.at - 4 * step), at(c.at + 5 * step), 20);
    ASSERT_GE(times.size(), 8U);
    for (std::size_t i = 1; i < times.size(); ++i) {
        ASSERT_EQ(times[i] - times[i - 1], std::chrono::seconds(step)) << expression;
    }
}

TEST(CronZones, F38_EveryChangeOfEveryZone) {
    std::size_t cases = 0;
    std::size_t zones = 0;
    for (const auto& zone : date::get_tzdb().zones) {
        if (zone.name() == "localtime") {
            continue;
        }
        ++zones;
        Crons crons(zone.name());
        for (const auto& change : changes_of(zone, 1980, 2036)) {
            SCOPED_TRACE(fmt::format("{} at {}", zone.name(), change.at));
            ++cases;
            if (change.after > change.before) {
                check_gap(crons, change);
            } else {
                check_fold(crons, change);
            }
            check_steady(crons, change, "*/10 * * * *", 600);
            check_steady(crons, change, "0 * * * *", 3600);
            if (HasFatalFailure()) {
                return;
            }
        }
    }
    std::cout << cases << " clock changes in " << zones << " zones\n";
    EXPECT_GE(cases, 2000U);
}

TEST(CronZones, AFixedTimeRunsOncePerCalendarDay) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    const auto& all = date::get_tzdb().zones;
    const auto from = *parse_rfc3339("2006-01-01T12:00:00Z");
    const auto upto = *parse_rfc3339("2026-01-01T12:00:00Z");
    const std::size_t days = 7305;
    std::vector<std::string> names{
        "Pacific/Apia", "Asia/Beirut", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Cairo"};
    for (int i = 0; i < 60; ++i) {
        names.push_back(all[random() % all.size()].name());
    }
    for (const auto& name : names) {
        if (name == "localtime") {
            continue;
        }
        const auto hour = random() % 4;  // where clocks change
        const auto cron = Cron::parse(fmt::format("{} {} * * *", random() % 60, hour), name);
        const auto times = cron.between(from, upto, days + 10);
        // A zone that moved over the date line in between has a calendar day more or less; the slot
        // count follows the wall clock's calendar, which only shifts by the offset at both ends.
        EXPECT_NEAR(static_cast<double>(times.size()), static_cast<double>(days), 1.0)
            << name << ' ' << cron.expression();
        for (std::size_t i = 1; i < times.size(); ++i) {
            ASSERT_LE(times[i] - times[i - 1], std::chrono::hours(27)) << name << ' ' << cron.expression();
        }
    }
}

std::string footer(const std::string& zone) {
    std::ifstream file("/usr/share/zoneinfo/" + zone, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const auto start = bytes.rfind('\n', bytes.size() - 2);
    return bytes.substr(start + 1, bytes.size() - start - 2);
}

// What a "slim" zone file leaves to its footer is listed in Debian's files: both must say the same.
TEST(CronZones, FooterRuleAgreesWithTheListedChanges) {
    int with_rule = 0;
    for (const auto& zone : date::get_tzdb().zones) {
        const auto made = posix_transitions(footer(zone.name()), 2030, 2036);
        if (made.empty()) {
            continue;
        }
        ++with_rule;
        std::vector<std::pair<std::int64_t, std::int64_t>> listed;
        for (const auto& c : changes_of(zone, 2030, 2036)) {
            listed.emplace_back(c.at, c.after);
        }
        if (!changes_of(zone, 2040, 2060).empty()) {
            continue;  // Gaza and Hebron: a list up to 2086 (moon calendar), the rule only after it
        }
        ASSERT_EQ(listed.size(), made.size()) << zone.name();
        for (std::size_t i = 0; i < made.size(); ++i) {
            EXPECT_EQ(made[i].at, listed[i].first) << zone.name();
            EXPECT_EQ(made[i].offset, listed[i].second) << zone.name();
        }
    }
    EXPECT_GT(with_rule, 100);
}

TEST(CronZones, PosixRules) {
    const auto one = posix_transitions("CET-1CEST,M3.5.0,M10.5.0/3", 2026, 2026);
    ASSERT_EQ(one.size(), 2U);
    EXPECT_EQ(one[0].at, utc(parse_rfc3339("2026-03-29T01:00:00Z")));
    EXPECT_EQ(one[0].offset, 7200);
    EXPECT_EQ(one[1].at, utc(parse_rfc3339("2026-10-25T01:00:00Z")));
    EXPECT_EQ(one[1].offset, 3600);
    const auto south = posix_transitions("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 2026, 2026);
    ASSERT_EQ(south.size(), 2U);
    EXPECT_EQ(south[0].offset, 37'800);
    EXPECT_EQ(south[1].offset, 39'600);
    const auto dublin = posix_transitions("IST-1GMT0,M10.5.0,M3.5.0/1", 2026, 2026);
    ASSERT_EQ(dublin.size(), 2U);
    EXPECT_EQ(dublin[0].at, utc(parse_rfc3339("2026-03-29T01:00:00Z")));
    EXPECT_EQ(dublin[0].offset, 3600);
    const auto late_hour = posix_transitions("EET-2EEST,M3.4.4/50,M10.4.4/50", 2090, 2090);
    ASSERT_EQ(late_hour.size(), 2U);
    EXPECT_EQ(late_hour[0].at, utc(parse_rfc3339("2090-03-25T00:00:00Z")));
    const auto julian = posix_transitions("AAA3BBB,J60/2,300", 2028, 2028);  // J60 is 1 March in every year
    ASSERT_EQ(julian.size(), 2U);
    EXPECT_EQ(julian[0].at, utc(parse_rfc3339("2028-03-01T05:00:00Z")));
    EXPECT_EQ(julian[1].at, utc(parse_rfc3339("2028-10-27T04:00:00Z")));
    for (const auto* text :
         {"",
          "UTC0",
          "<+03>-3",
          "CET",
          "CET-1CEST",
          "CET-1CEST,M3.5.0",
          "CET-1CEST,M13.5.0,M10.5.0",
          "CET-1CEST,M3.6.0,M10.5.0",
          "CET-1CEST,M3.5.7,M10.5.0",
          "CET-1CEST,M3.5.0,M10.5.0x",
          "<+03-3",
          "C-1",
          "CET-1CEST,J400,J1",
          "CET-1:xCEST,M3.5.0,M10.5.0"}) {
        EXPECT_TRUE(posix_transitions(text, 2026, 2027).empty()) << text;
    }
}

TEST(CronZones, SummerTimeAllYear) {
    const auto all_year = posix_transitions("XXX3EDT4,0/0,J365/23", 2026, 2030);
    const CronZone zone("Test/Zone", -10'800, all_year);
    EXPECT_EQ(zone.offset_at(utc(parse_rfc3339("2028-01-01T12:00:00Z"))), -14'400);
    EXPECT_EQ(zone.offset_at(utc(parse_rfc3339("2028-07-01T12:00:00Z"))), -14'400);
}

TEST(CronZones, StretchesAreSeamless) {
    for (const auto* name : {"Europe/Kyiv", "Pacific/Apia", "UTC", "Africa/Casablanca", "America/New_York"}) {
        const auto zone = CronZone::load(name);
        const auto& s = zone->stretches();
        for (std::size_t i = 1; i < s.size(); ++i) {
            EXPECT_EQ(s[i].begin, s[i - 1].end);
            EXPECT_NE(s[i].offset, s[i - 1].offset);
            EXPECT_EQ(zone->index_at(s[i].begin), i);
            EXPECT_EQ(zone->index_at(s[i].begin - 1), i - 1);
        }
    }
    EXPECT_GT(CronZone::load("Europe/Kyiv")->stretches().size(), 300U);  // the rule goes on to 2150
    EXPECT_EQ(CronZone::load("UTC")->stretches().size(), 1U);
}

}  // namespace
}  // namespace headrace::schedule
