#include "schedule/preview.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace headrace::schedule {
namespace {

const Timestamp some_day = *parse_rfc3339("2026-11-21T18:00:00Z");

TEST(Preview, Texts) {
    const std::vector<std::pair<const char*, const char*>> table = {
        {"* * * * *", "Every minute"},
        {"@minutely", "Every minute"},
        {"*/5 * * * *", "Every 5 minutes"},
        {"0 * * * *", "Every hour"},
        {"15 * * * *", "Every hour at minute 15"},
        {"0,20,40 * * * *", "At minutes 0, 20 and 40 of every hour"},
        {"5/10 * * * *", "At every 10th minute from 5 of every hour"},
        {"30 */2 * * *", "Every 2 hours at minute 30"},
        {"0 8-20/3 * * *", "At minute 0 of every 3rd hour from 8 through 20"},
        {"*/15 2 * * *", "Every 15 minutes from 02:00 through 02:45"},
        {"* 9-17 * * 1-5", "Every minute from 09:00 through 17:59, Monday through Friday"},
        {"0 6-22 * * *", "Every hour from 06:00 through 22:00"},
        {"*/15 1,2,8-10 * * *", "Every 15 minutes in hours 1, 2 and 8 through 10"},
        {"1,2,3,4 1,2 * * *", "At minutes 1, 2, 3 and 4 of hours 1 and 2"},
        {"30 6 * * *", "At 06:30, every day"},
        {"0,30 6,18 * * *", "At 06:00, 06:30, 18:00 and 18:30, every day"},
        {"0 0 * * 0", "At 00:00, on Sunday"},
        {"0 0 * * 1,3,5", "At 00:00, on Monday, Wednesday and Friday"},
        {"0 0 * * fri-sun", "At 00:00, Friday through Sunday"},
        {"0 0 * * 1/2", "At 00:00, on Monday, Wednesday, Friday and Sunday"},
        {"0 0 * * mon#2", "At 00:00, on the second Monday of the month"},
        {"0 0 * * 1#1,1#3", "At 00:00, on the first Monday of the month and the third Monday of the month"},
        {"0 0 1,15 * *", "At 00:00, on days 1 and 15 of the month"},
        {"0 0 1-7 * *", "At 00:00, on days 1 through 7 of the month"},
        {"0 0 */2 * *", "At 00:00, on every 2nd day of the month"},
        {"0 0 15,L * *", "At 00:00, on day 15 and the last day of the month"},
        {"0 0 1-7 * 1-5", "At 00:00, on days 1 through 7 of the month or on Monday through Friday"},
        {"0 0 L 2 *", "At 00:00, on the last day of the month, in February"},
        {"0 0 25 12 *", "At 00:00, on 25 December"},
        {"0 0 * 6-8 *", "At 00:00, every day, in June through August"},
        {"0 0 1 */3 *", "At 00:00, on day 1 of the month, in every 3rd month"},
        {"0 0 1 1,7 ?", "At 00:00, on day 1 of the month, in January and July"},
        {"* * * * * *", "Every second"},
        {"*/10 * * * * *", "Every 10 seconds"},
        {"0 */5 * * * *", "Every 5 minutes"},
        {"30 * * * * *", "At second 30 of every minute"},
        {"15 30 6 * * *", "At 06:30:15, every day"},
        {"*/10 */5 8-17 * * *", "Every 10 seconds in every 5th minute of hours 8 through 17"},
        {"0,30 15 */2 * * *", "At seconds 0 and 30 of minute 15 of every 2nd hour"},
    };
    for (const auto& [expression, text] : table) {
        EXPECT_EQ(preview(Cron::parse(expression, "UTC"), some_day, 0).text, text) << expression;
    }
}

TEST(Preview, NextTimes) {
    const auto cron = Cron::parse("0 6 * * *", "Europe/Kyiv");
    const auto p = preview(cron, some_day, 3);
    ASSERT_EQ(p.next.size(), 3U);
    EXPECT_EQ(format_rfc3339(p.next[0]), "2026-11-22T04:00:00.000Z");
    EXPECT_EQ(local_text(cron, p.next[0]), "22 Nov 2026 06:00");
    EXPECT_EQ(p.next, cron.between(some_day, Timestamp::max(), 3));
    EXPECT_TRUE(preview(cron, some_day, -1).next.empty());
    EXPECT_EQ(preview(cron, some_day, 5000).next.size(), 1000U);
}

std::vector<std::string> warnings(const char* expression, const char* zone, Timestamp now = some_day) {
    return preview(Cron::parse(expression, zone), now, 1).warnings;
}

TEST(Preview, ClockChanges) {
    using Lines = std::vector<std::string>;
    EXPECT_EQ(
        warnings("30 3 * * *", "Europe/Kyiv"),
        (Lines{
            "28 Mar 2027 03:30 does not exist in Europe/Kyiv: that run starts at 04:00",
            "31 Oct 2027 03:30 comes twice in Europe/Kyiv: it runs once, the first time"})
    );
    EXPECT_EQ(
        warnings("*/15 3 * * *", "Europe/Kyiv"),
        (Lines{
            "28 Mar 2027 03:00 to 03:45 do not exist in Europe/Kyiv: one run starts at 04:00 in "
            "place of 4",
            "31 Oct 2027 03:00 to 03:45 come twice in Europe/Kyiv: they run once, the first time"})
    );
    EXPECT_EQ(
        warnings("0 3/3 * * *", "Europe/Kyiv"),
        (Lines{
            "28 Mar 2027 03:00 does not exist in Europe/Kyiv: that run starts at 04:00",
            "31 Oct 2027 03:00 comes twice in Europe/Kyiv: it runs both times"})
    );
    EXPECT_EQ(warnings("*/15 * * * *", "Europe/Kyiv"), Lines{});
    EXPECT_EQ(warnings("30 6 * * *", "Europe/Kyiv"), Lines{});
    EXPECT_EQ(warnings("30 3 * * *", "UTC"), Lines{});
    EXPECT_EQ(warnings("30 3 * * mon-sat", "Europe/Kyiv"), Lines{});  // clocks change on a Sunday
    EXPECT_EQ(
        warnings("0 12 * * *", "Pacific/Apia", *parse_rfc3339("2011-12-01T00:00:00Z"))[0],
        "30 Dec 2011 12:00 does not exist in Pacific/Apia: that run starts at 31 Dec 2011 00:00"
    );
}

TEST(Preview, WarningsSayWhatHappens) {
    const auto cron = Cron::parse("30 3 * * *", "Europe/Kyiv");
    const auto run = cron.next(*parse_rfc3339("2027-03-27T12:00:00Z"));
    EXPECT_EQ(local_text(cron, *run), "28 Mar 2027 04:00");
}

TEST(Preview, OtherWarnings) {
    using Lines = std::vector<std::string>;
    EXPECT_EQ(
        warnings("0 0 1 * 1", "UTC"),
        Lines{"Day of month and day of week are both set: it runs when either one fits, not only "
              "when both do"}
    );
    EXPECT_EQ(
        warnings("0 */5 * * *", "UTC"), Lines{"*/5 starts again with every day: the last step of each day is 4 hours"}
    );
    EXPECT_EQ(
        warnings("*/59 * * * *", "UTC"),
        Lines{"*/59 starts again with every hour: the last step of each hour is 1 minute"}
    );
    EXPECT_EQ(
        warnings("0 0 29 * *", "UTC"),
        Lines{"Day 29 does not come in February outside leap years; L means the last day of every "
              "month"}
    );
    EXPECT_EQ(warnings("0 0 31 1,3 *", "UTC"), Lines{});
    EXPECT_EQ(warnings("0 0 L * *", "UTC"), Lines{});
    EXPECT_EQ(warnings("0 0 29 2 *", "UTC").back(), "It runs rarely: next on 29 Feb 2028, then on 29 Feb 2032");
    EXPECT_EQ(warnings("@yearly", "UTC"), Lines{});
}

}  // namespace
}  // namespace headrace::schedule
