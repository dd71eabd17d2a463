// Tables: expression, zone, from, and the next times written as a wall clock with its offset.
#include "base/time.hpp"
#include "schedule/cron.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace headrace::schedule {
namespace {

struct Row {
    const char* expression;
    const char* zone;
    const char* after;
    std::vector<const char*> next;
};

void check(const std::vector<Row>& rows) {
    for (const auto& row : rows) {
        const auto after = parse_rfc3339(row.after);
        ASSERT_TRUE(after) << row.after;
        std::vector<std::string> wanted;
        for (const auto* text : row.next) {
            const auto time = parse_rfc3339(text);
            ASSERT_TRUE(time) << text;
            wanted.push_back(format_rfc3339(*time));
        }
        std::vector<std::string> got;
        for (const auto time : Cron::parse(row.expression, row.zone).between(*after, Timestamp::max(), wanted.size())) {
            got.push_back(format_rfc3339(time));
        }
        EXPECT_EQ(got, wanted) << row.expression << " in " << row.zone << " after " << row.after;
    }
}

TEST(CronNext, Plain) {
    check({
        {"* * * * *", "UTC", "2026-11-21T18:00:00Z", {"2026-11-21T18:01:00Z", "2026-11-21T18:02:00Z"}},
        {"* * * * *", "UTC", "2026-11-21T17:59:59.999999Z", {"2026-11-21T18:00:00Z"}},
        {"* * * * *", "UTC", "2026-11-21T18:00:00.000001Z", {"2026-11-21T18:01:00Z"}},
        {"*/15 6-22 * * *", "UTC", "2026-11-21T22:30:00Z", {"2026-11-21T22:45:00Z", "2026-11-22T06:00:00Z"}},
        {"30 6 * * 1-5", "UTC", "2026-11-20T06:30:00Z", {"2026-11-23T06:30:00Z"}},
        {"59 59 23 31 12 *", "UTC", "2026-11-20T06:30:00Z", {"2026-12-31T23:59:59Z", "2027-12-31T23:59:59Z"}},
        {"*/20 * * * * *", "UTC", "2026-12-31T23:59:41Z", {"2027-01-01T00:00:00Z", "2027-01-01T00:00:20Z"}},
        {"5,10 0 0 * * *", "UTC", "2026-12-30T00:00:05Z", {"2026-12-30T00:00:10Z", "2026-12-31T00:00:05Z"}},
        {"0 0 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", {"2026-01-02T00:00:00+05:45"}},
        {"0 0 1 1 *", "UTC", "1969-06-01T00:00:00Z", {"1970-01-01T00:00:00Z"}},
    });
}

TEST(CronNext, DaysOfMonthAndWeek) {
    check({
        {"0 2 1 * 1",
         "UTC",
         "2026-11-22T00:00:00Z",
         {"2026-11-23T02:00:00Z", "2026-11-30T02:00:00Z", "2026-12-01T02:00:00Z", "2026-12-07T02:00:00Z"}},
        {"0 2 L * *",
         "UTC",
         "2027-12-31T03:00:00Z",
         {"2028-01-31T02:00:00Z", "2028-02-29T02:00:00Z", "2028-03-31T02:00:00Z"}},
        {"0 2 * * 5L",
         "UTC",
         "2026-11-01T00:00:00Z",
         {"2026-11-27T02:00:00Z", "2026-12-25T02:00:00Z", "2027-01-29T02:00:00Z"}},
        {"0 2 * * mon#2", "UTC", "2026-11-01T00:00:00Z", {"2026-11-09T02:00:00Z", "2026-12-14T02:00:00Z"}},
        {"0 2 * * 0#5", "UTC", "2026-11-01T00:00:00Z", {"2026-11-29T02:00:00Z", "2027-01-31T02:00:00Z"}},
        {"0 0 31 * *", "UTC", "2026-02-01T00:00:00Z", {"2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"}},
        {"0 0 31 2 1", "UTC", "2026-02-01T00:00:00Z", {"2026-02-02T00:00:00Z", "2026-02-09T00:00:00Z"}},
        {"0 0 */10 * ?", "UTC", "2026-01-30T00:00:00Z", {"2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"}},
    });
}

TEST(CronNext, LeapYearsAndFarTimes) {
    check({
        {"0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", {"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
        {"0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z", {"2104-02-29T00:00:00Z"}},  // 2100 is no leap year
        {"0 0 * 2 5#5", "UTC", "2026-01-01T00:00:00Z", {"2036-02-29T00:00:00Z", "2064-02-29T00:00:00Z"}},
        {"0 0 * 2 1#5",
         "UTC",
         "2072-02-29T00:00:00Z",
         {"2112-02-29T00:00:00Z"}},  // the longest wait there is: 40 years
        {"30 2 * * *",
         "Europe/Berlin",
         "2040-03-24T12:00:00Z",
         {"2040-03-25T03:00:00+02:00"}},  // past the file's last year
        {"30 2 * * *",
         "Europe/Berlin",
         "2149-10-25T12:00:00Z",
         {"2149-10-26T02:30:00+02:00", "2149-10-27T02:30:00+01:00"}},
    });
    EXPECT_EQ(Cron::parse("* * * * *", "UTC").next(Timestamp::max()), std::nullopt);
    EXPECT_EQ(format_rfc3339(*Cron::parse("* * * * *", "UTC").next(Timestamp::min())), "0001-01-01T00:00:00.000Z");
}

TEST(CronNext, SpringGap) {
    check({
        {"30 2 * * *",
         "Europe/Berlin",
         "2026-03-28T00:00:00Z",
         {"2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
        {"*/15 2 * * *",
         "Europe/Berlin",
         "2026-03-28T12:00:00Z",
         {"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"}},
        {"0,30 1-3 * * *",
         "Europe/Berlin",
         "2026-03-28T22:00:00Z",
         {"2026-03-29T01:00:00+01:00",
          "2026-03-29T01:30:00+01:00",
          "2026-03-29T03:00:00+02:00",
          "2026-03-29T03:30:00+02:00",
          "2026-03-30T01:00:00+02:00"}},
        {"30 2 29 3 *",
         "Europe/Berlin",
         "2026-01-01T00:00:00Z",
         {"2026-03-29T03:00:00+02:00", "2027-03-29T02:30:00+02:00"}},
        {"30 */2 * * *",
         "Europe/Berlin",
         "2026-03-28T23:00:00Z",
         {"2026-03-29T00:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:30:00+02:00"}},
        {"*/20 * * * *",
         "Europe/Berlin",
         "2026-03-29T00:30:00Z",
         {"2026-03-29T01:40:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:20:00+02:00"}},
        {"30 * * * *",
         "Europe/Berlin",
         "2026-03-29T00:00:00Z",
         {"2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"}},
        {"30 2 * * *",
         "America/New_York",
         "2026-03-07T12:00:00Z",
         {"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"}},
        {"59 59 2 * * *", "America/New_York", "2026-03-08T00:00:00Z", {"2026-03-08T03:00:00-04:00"}},
        // The instant right after the gap is also a time of the schedule: one run, not two.
        {"0,30 2,3 * * *",
         "America/New_York",
         "2026-03-08T00:00:00Z",
         {"2026-03-08T03:00:00-04:00", "2026-03-08T03:30:00-04:00", "2026-03-09T02:00:00-04:00"}},
    });
}

TEST(CronNext, AutumnFold) {
    check({
        {"30 2 * * *",
         "Europe/Berlin",
         "2026-10-24T12:00:00Z",
         {"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
        {"30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", {"2026-10-26T02:30:00+01:00"}},
        {"*/15 2 * * *",
         "Europe/Berlin",
         "2026-10-25T00:20:00Z",
         {"2026-10-25T02:30:00+02:00", "2026-10-25T02:45:00+02:00", "2026-10-26T02:00:00+01:00"}},
        {"0 0-22 * * *",
         "Europe/Berlin",
         "2026-10-24T23:00:00Z",
         {"2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00"}},
        {"30 */2 * * *",
         "Europe/Berlin",
         "2026-10-24T23:00:00Z",
         {"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T04:30:00+01:00"}},
        {"0 * * * *",
         "Europe/Berlin",
         "2026-10-24T23:30:00Z",
         {"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"}},
        {"*/20 * * * *",
         "Europe/Berlin",
         "2026-10-25T00:30:00Z",
         {"2026-10-25T02:40:00+02:00",
          "2026-10-25T02:00:00+01:00",
          "2026-10-25T02:20:00+01:00",
          "2026-10-25T02:40:00+01:00",
          "2026-10-25T03:00:00+01:00"}},
        {"30 1 * * *",
         "America/New_York",
         "2026-10-31T12:00:00Z",
         {"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
        {"30 22 * * *",
         "America/Godthab",
         "2022-10-29T12:00:00Z",
         {"2022-10-29T22:30:00-02:00", "2022-10-30T22:30:00-03:00"}},
        // The repeated hour begins at midnight, or lies on both sides of it: the 17th comes again
        // for an hour.
        {"0 0 * * *",
         "America/Havana",
         "2025-11-01T12:00:00Z",
         {"2025-11-02T00:00:00-04:00", "2025-11-03T00:00:00-05:00"}},
        {"30 23 * * *",
         "America/Sao_Paulo",
         "2018-02-17T12:00:00Z",
         {"2018-02-17T23:30:00-02:00", "2018-02-18T23:30:00-03:00"}},
    });
}

TEST(CronNext, HalfHourSummerTime) {
    check({
        {"0 2 * * *",
         "Australia/Lord_Howe",
         "2026-10-03T12:00:00Z",
         {"2026-10-04T02:30:00+11:00", "2026-10-05T02:00:00+11:00"}},
        {"*/15 2 * * *",
         "Australia/Lord_Howe",
         "2026-10-03T12:00:00Z",
         {"2026-10-04T02:30:00+11:00", "2026-10-04T02:45:00+11:00", "2026-10-05T02:00:00+11:00"}},
        {"45 1 * * *",
         "Australia/Lord_Howe",
         "2026-04-04T12:00:00Z",
         {"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
        {"*/15 * * * *",
         "Australia/Lord_Howe",
         "2026-04-04T14:35:00Z",
         {"2026-04-05T01:45:00+11:00",
          "2026-04-05T01:30:00+10:30",
          "2026-04-05T01:45:00+10:30",
          "2026-04-05T02:00:00+10:30"}},
        {"*/30 * * * *",
         "Australia/Lord_Howe",
         "2026-10-03T15:00:00Z",
         {"2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"}},
    });
}

TEST(CronNext, MidnightThatDoesNotExist) {
    check({
        {"0 0 * * *",
         "America/Sao_Paulo",
         "2018-11-03T12:00:00Z",
         {"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"}},
        {"@daily", "Asia/Beirut", "2024-03-30T12:00:00Z", {"2024-03-31T01:00:00+03:00", "2024-04-01T00:00:00+03:00"}},
        {"30 0 * * 0",
         "Asia/Beirut",
         "2024-03-30T12:00:00Z",
         {"2024-03-31T01:00:00+03:00", "2024-04-07T00:30:00+03:00"}},
        {"0 0 * * *",
         "Africa/Cairo",
         "2024-04-25T12:00:00Z",
         {"2024-04-26T01:00:00+03:00", "2024-04-27T00:00:00+03:00"}},
    });
}

TEST(CronNext, DayThatDoesNotExist) {
    // Samoa had no 30 December 2011: at the end of the 29th came the 31st.
    check({
        {"0 9 * * *",
         "Pacific/Apia",
         "2011-12-29T10:00:00-10:00",
         {"2011-12-31T00:00:00+14:00", "2011-12-31T09:00:00+14:00", "2012-01-01T09:00:00+14:00"}},
        {"0 12 30 * *",
         "Pacific/Apia",
         "2011-12-01T00:00:00Z",
         {"2011-12-31T00:00:00+14:00", "2012-01-30T12:00:00+14:00"}},
        {"0 * * * *",
         "Pacific/Apia",
         "2011-12-29T22:30:00-10:00",
         {"2011-12-29T23:00:00-10:00", "2011-12-31T00:00:00+14:00"}},
    });
}

TEST(CronNext, BetweenIsAHalfOpenInterval) {
    const auto cron = Cron::parse("0 * * * *", "UTC");
    const auto from = *parse_rfc3339("2026-11-21T10:00:00Z");
    const auto upto = *parse_rfc3339("2026-11-21T13:00:00Z");
    EXPECT_EQ(cron.between(from, upto, 100).size(), 3U);
    EXPECT_EQ(cron.between(from, upto, 2).size(), 2U);
    EXPECT_EQ(cron.between(from, upto, 0).size(), 0U);
    EXPECT_EQ(cron.between(upto, from, 100).size(), 0U);
    EXPECT_EQ(cron.between(from, upto - std::chrono::microseconds(1), 100).size(), 2U);
}

TEST(CronNext, IsAFunctionOfItsArgumentAlone) {
    const auto cron = Cron::parse("7 3 * * *", "Europe/Kyiv");
    const auto late = *parse_rfc3339("2027-06-01T00:00:00Z");
    const auto early = *parse_rfc3339("2026-06-01T00:00:00Z");
    const auto wanted = cron.next(early);
    cron.next(late);
    EXPECT_EQ(cron.next(early), wanted);
    const Cron copy = cron;
    EXPECT_EQ(copy.next(early), wanted);
}

}  // namespace
}  // namespace headrace::schedule
