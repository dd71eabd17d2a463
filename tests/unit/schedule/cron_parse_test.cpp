// What is accepted, what it means, and what is refused with which words.
#include "base/error.hpp"
#include "schedule/cron.hpp"
#include "schedule/cron_words.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace headrace::schedule {
namespace {

std::set<int> bits(std::uint64_t mask) {
    std::set<int> out;
    for (int i = 0; i < 64; ++i) {
        if ((mask >> i & 1U) != 0) {
            out.insert(i);
        }
    }
    return out;
}

std::string message_of(const std::string& expression, const std::string& zone = "UTC") {
    try {
        Cron::parse(expression, zone);
    } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::invalid) << expression;
        return e.code() + ": " + e.message();
    }
    return "accepted";
}

TEST(CronParse, SetsOfFields) {
    const auto f = parse_cron_fields("*/15 6-8,22 1,15 jan-mar,12 MON-fri");
    EXPECT_EQ(bits(f.seconds), (std::set<int>{0}));
    EXPECT_EQ(bits(f.minutes), (std::set<int>{0, 15, 30, 45}));
    EXPECT_EQ(bits(f.hours), (std::set<int>{6, 7, 8, 22}));
    EXPECT_EQ(bits(f.days), (std::set<int>{1, 15}));
    EXPECT_EQ(bits(f.months), (std::set<int>{1, 2, 3, 12}));
    EXPECT_EQ(bits(f.weekdays), (std::set<int>{1, 2, 3, 4, 5}));
    EXPECT_FALSE(f.any_day);
    EXPECT_FALSE(f.any_weekday);
    EXPECT_TRUE(f.day_or_weekday());
    EXPECT_FALSE(f.has_seconds);
}

TEST(CronParse, SixFieldsBeginWithSeconds) {
    const auto f = parse_cron_fields("*/20 1 2 3 4 ?");
    EXPECT_TRUE(f.has_seconds);
    EXPECT_EQ(bits(f.seconds), (std::set<int>{0, 20, 40}));
    EXPECT_EQ(bits(f.minutes), (std::set<int>{1}));
    EXPECT_TRUE(f.any_weekday);
}

TEST(CronParse, StepsAndOpenRanges) {
    EXPECT_EQ(bits(parse_cron_fields("50/4 * * * *").minutes), (std::set<int>{50, 54, 58}));
    EXPECT_EQ(bits(parse_cron_fields("10-20/5 * * * *").minutes), (std::set<int>{10, 15, 20}));
    EXPECT_EQ(bits(parse_cron_fields("* * */10 * *").days), (std::set<int>{1, 11, 21, 31}));
    EXPECT_EQ(bits(parse_cron_fields("* * * */5 *").months), (std::set<int>{1, 6, 11}));
    EXPECT_EQ(bits(parse_cron_fields("* * * * */2").weekdays), (std::set<int>{0, 2, 4, 6}));
    EXPECT_EQ(bits(parse_cron_fields("* * * * 1/2").weekdays), (std::set<int>{0, 1, 3, 5}));  // to Sunday as 7
}

TEST(CronParse, SundayIsZeroAndSeven) {
    for (const auto* text : {"* * * * 0", "* * * * 7", "* * * * sun", "* * * * SUN", "* * * * 7,0"}) {
        EXPECT_EQ(bits(parse_cron_fields(text).weekdays), (std::set<int>{0})) << text;
    }
    for (const auto* text : {"* * * * 5-7", "* * * * fri-sun", "* * * * fri-7"}) {
        EXPECT_EQ(bits(parse_cron_fields(text).weekdays), (std::set<int>{0, 5, 6})) << text;
    }
    EXPECT_EQ(bits(parse_cron_fields("* * * * sun-mon").weekdays), (std::set<int>{0, 1}));
    EXPECT_EQ(bits(parse_cron_fields("* * * * 7L").last_weekdays), (std::set<int>{0}));
    EXPECT_EQ(bits(parse_cron_fields("* * * * 7#3").nth_weekdays[3]), (std::set<int>{0}));
}

TEST(CronParse, LastAndNth) {
    EXPECT_TRUE(parse_cron_fields("0 0 L * *").last_day);
    EXPECT_TRUE(parse_cron_fields("0 0 15,l * *").last_day);
    for (const auto* text : {"0 0 * * 5L", "0 0 * * friL", "0 0 * * FRIl"}) {
        const auto f = parse_cron_fields(text);
        EXPECT_EQ(bits(f.last_weekdays), (std::set<int>{5})) << text;
        EXPECT_EQ(f.weekdays, 0U) << text;
    }
    const auto f = parse_cron_fields("0 0 * * 1#1,mon#3,3");
    EXPECT_EQ(bits(f.nth_weekdays[1]), (std::set<int>{1}));
    EXPECT_EQ(bits(f.nth_weekdays[3]), (std::set<int>{1}));
    EXPECT_EQ(bits(f.weekdays), (std::set<int>{3}));
}

TEST(CronParse, Macros) {
    const std::vector<std::pair<std::string, std::string>> same = {
        {"@yearly", "0 0 1 1 *"},
        {"@annually", "0 0 1 1 *"},
        {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * 0"},
        {"@daily", "0 0 * * *"},
        {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
        {" @Minutely ", "* * * * *"},
    };
    const auto from = *parse_rfc3339("2026-11-21T18:00:01Z");
    for (const auto& [macro, fields] : same) {
        EXPECT_EQ(
            Cron::parse(macro, "Europe/Kyiv").between(from, Timestamp::max(), 5),
            Cron::parse(fields, "Europe/Kyiv").between(from, Timestamp::max(), 5)
        ) << macro;
    }
}

TEST(CronParse, Accessors) {
    const auto cron = Cron::parse("  */5 *\t* * *\n", "Europe/Kyiv");
    EXPECT_EQ(cron.expression(), "*/5 *\t* * *");
    EXPECT_EQ(cron.zone(), "Europe/Kyiv");
    EXPECT_FALSE(cron.has_seconds());
    EXPECT_TRUE(Cron::parse("0 */5 * * * *", "UTC").has_seconds());
}

TEST(CronParse, HoursAreFixedSteppedOrAll) {
    const auto kind = [](const char* text) {
        const auto f = parse_cron_fields(text);
        return f.every_hour() ? 'a' : f.fixed_hours() ? 'f' : 's';
    };
    for (const auto* text : {"30 2 * * *", "*/15 2 * * *", "* 0-22 * * *", "0 1,2,5-8 * * *", "@daily"}) {
        EXPECT_EQ(kind(text), 'f') << text;
    }
    for (const auto* text : {"0 */2 * * *", "0 8-20/2 * * *", "0 2/6 * * *", "0 1,*/6 * * *"}) {
        EXPECT_EQ(kind(text), 's') << text;
    }
    for (const auto* text : {"* * * * *", "0 * * * *", "0 0-23 * * *", "0 */1 * * *", "0 0-11,12-23 * * *"}) {
        EXPECT_EQ(kind(text), 'a') << text;
    }
}

TEST(CronParse, RefusesWithWords) {
    const std::string bad = "schedule.bad_cron: ";
    const std::vector<std::pair<std::string, std::string>> table = {
        {"",
         "\"\" has 0 fields; allowed are five (minute hour day-of-month month day-of-week), or six "
         "with seconds first"},
        {"* * * *",
         "\"* * * *\" has 4 fields; allowed are five (minute hour day-of-month month day-of-week), "
         "or six with seconds "
         "first"},
        {"60 * * * *", "minute field \"60\" has 60, which is out of range; allowed are 0 to 59"},
        {"60 * * * * *", "second field \"60\" has 60, which is out of range; allowed are 0 to 59"},
        {"0 24 * * *", "hour field \"24\" has 24, which is out of range; allowed are 0 to 23"},
        {"0 0 0 * *",
         "day-of-month field \"0\" has 0, which is out of range; allowed are 1 to 31, or L for the "
         "last day"},
        {"0 0 * 13 *", "month field \"13\" has 13, which is out of range; allowed are 1 to 12, or jan to dec"},
        {"0 0 * * 8",
         "day-of-week field \"8\" has 8, which is out of range; allowed are 0 to 7 (0 and 7 are "
         "Sunday), or sun to "
         "sat"},
        {"0 0 * * monday",
         "day-of-week field \"monday\" has \"monday\", which is not understood (did you mean "
         "\"mon\"?); allowed are 0 "
         "to 7 "
         "(0 and 7 are Sunday), or sun to sat"},
        {"0 0 * sept *",
         "month field \"sept\" has \"sept\", which is not understood (did you mean \"sep\"?); "
         "allowed are 1 to 12, or "
         "jan to "
         "dec"},
        {"x * * * *", "minute field \"x\" has \"x\", which is not understood; allowed are 0 to 59"},
        {"1,,2 * * * *", "minute field \"1,,2\" has an empty item between commas; allowed are 0 to 59"},
        {"5- * * * *",
         "minute field \"5-\" has nothing at one end of a range, which is not understood; allowed "
         "are 0 to 59"},
        {"0 22-2 * * *",
         "hour field \"22-2\" has a range that runs backwards; write 22-23,0-2; allowed are 0 to "
         "23"},
        {"*/0 * * * *",
         "minute field \"*/0\" has the step \"0\", which must be a number from 1 on; allowed are 0 "
         "to 59"},
        {"*/x * * * *",
         "minute field \"*/x\" has the step \"x\", which must be a number from 1 on; allowed are 0 "
         "to 59"},
        {"*/90 * * * *",
         "minute field \"*/90\" has the step 90, wider than the whole field: it cannot reach into "
         "the next hour; "
         "allowed are "
         "0 to 59"},
        {"/5 * * * *",
         "minute field \"/5\" has a step without anything before it; write */n; allowed are 0 to "
         "59"},
        {"? * * * *",
         "minute field \"?\" has ?, which only the two day fields take; write *; allowed are 0 to "
         "59"},
        {"0 0 15W * *",
         "day-of-month field \"15W\" uses a form that is not supported (only a plain L is); "
         "allowed are 1 to 31, or L "
         "for the "
         "last day"},
        {"0 0 L-3 * *",
         "day-of-month field \"L-3\" uses a form that is not supported (only a plain L is); "
         "allowed are 1 to 31, or L "
         "for the "
         "last day"},
        {"H * * * *",
         "minute field \"H\" uses H, which is not supported; `jitter` spreads the runs; allowed "
         "are 0 to 59"},
        {"0 0 * * L",
         "day-of-week field \"L\" has L alone, which says nothing about the weekday; write 5L or "
         "friL for the last "
         "Friday; "
         "allowed are 0 to 7 (0 and 7 are Sunday), or sun to sat"},
        {"0 0 * * 1#6",
         "day-of-week field \"1#6\" has # without a number from 1 to 5 after it (mon#2 is the "
         "second Monday); allowed "
         "are 0 to "
         "7 (0 and 7 are Sunday), or sun to sat"},
        {"0 0 L/2 * *",
         "day-of-month field \"L/2\" has a step after L or #, which take none; allowed are 1 to "
         "31, or L for the last "
         "day"},
        {"0 0 31 2 *", "day-of-month field: day 31 never comes in February"},
        {"0 0 31 4,6,9,11 *", "day-of-month field: day 31 never comes in April, June, September, November"},
        {"@dayly",
         "\"@dayly\" is not understood (did you mean \"@daily\"?); allowed are @yearly, @annually, "
         "@monthly, @weekly, "
         "@daily, "
         "@midnight, @hourly, @minutely"},
        {"@reboot",
         "\"@reboot\" is not understood; allowed are @yearly, @annually, @monthly, @weekly, "
         "@daily, @midnight, "
         "@hourly, "
         "@minutely"},
    };
    for (const auto& [expression, message] : table) {
        EXPECT_EQ(message_of(expression), bad + message) << expression;
    }
    EXPECT_EQ(message_of(std::string(600, '*')), bad + "the expression is longer than 512 characters");
    EXPECT_EQ(
        message_of("\x01\xff * * * *"),
        bad + "minute field \"??\" has \"??\", which is not understood; allowed are 0 to 59"
    );
}

TEST(CronParse, AcceptsWhatOnlyLooksImpossible) {
    for (const auto* text : {"0 0 29 2 *", "0 0 30,31 2,3 *", "0 0 31 2 1", "0 0 L 2 *", "0 0 * 2 5#5"}) {
        EXPECT_EQ(message_of(text), "accepted") << text;
    }
}

TEST(CronParse, RefusesZones) {
    const auto tail = std::string("; allowed are IANA names such as Europe/Kyiv or UTC");
    const std::vector<std::pair<std::string, std::string>> table = {
        {"europe/kyiv", " (did you mean \"Europe/Kyiv\"?)"},
        {"Europe/Kyyiv", " (did you mean \"Europe/Kyiv\"?)"},
        {"Kyiv", " (did you mean \"Europe/Kyiv\"?)"},
        {"berlin", " (did you mean \"Europe/Berlin\"?)"},
        {"PST", ""},
        {"utc", " (did you mean \"UTC\"?)"},
        {"UTC+2", ""},
        {"GMT+2", ""},  // not Etc/GMT+2, which lies west
        {"+02:00", ""},
        {"localtime", ""},
        {"", ""},
        {"../../etc/passwd", ""},
    };
    for (const auto& [zone, suggestion] : table) {
        EXPECT_EQ(
            message_of("* * * * *", zone),
            "schedule.bad_zone: time zone \"" + zone + "\" is unknown" + suggestion + tail
        );
    }
    EXPECT_EQ(message_of("* * * * *", "UTC"), "accepted");
    EXPECT_EQ(message_of("* * * * *", "Europe/Kiev"), "accepted");  // the old name is a link
}

TEST(CronWords, Nearest) {
    EXPECT_EQ(nearest_word("tues", {"mon", "tue", "wed"}), "tue");
    EXPECT_EQ(nearest_word("zzz", {"mon", "tue", "wed"}), "");
    EXPECT_EQ(nearest_word("", {"mon"}), "");
    EXPECT_EQ(nearest_word("Europe/Lodon", {"Europe/Lisbon", "Europe/London"}), "Europe/London");
}

}  // namespace
}  // namespace headrace::schedule
