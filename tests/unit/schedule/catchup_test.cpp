#include "schedule/catchup.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace headrace::schedule {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

Timestamp time(const char* text) {
    return *parse_rfc3339(text);
}

// "09:00+ 10:00- " : run or skipped.
std::string shape(const std::vector<DueSlot>& slots) {
    std::string out;
    for (const auto& slot : slots) {
        out += format_rfc3339(slot.slot).substr(11, 5) + (slot.run ? "+ " : "- ");
    }
    return out;
}

const char* const eight = "2026-11-21T08:00:00Z";

TEST(Catchup, Words) {
    for (const auto value : {Catchup::none, Catchup::last, Catchup::all}) {
        EXPECT_EQ(parse_catchup(to_string(value)), value);
    }
    for (const auto value : {Overlap::skip, Overlap::queue, Overlap::cancel_old}) {
        EXPECT_EQ(parse_overlap(to_string(value)), value);
    }
    EXPECT_EQ(to_string(Overlap::cancel_old), "cancel_old");
    EXPECT_EQ(parse_catchup("Last"), std::nullopt);
    EXPECT_EQ(parse_catchup(""), std::nullopt);
    EXPECT_EQ(parse_overlap("queue_one"), std::nullopt);
}

TEST(Catchup, NothingDue) {
    const auto hourly = Cron::parse("0 * * * *", "UTC");
    EXPECT_TRUE(due_slots(hourly, time(eight), time("2026-11-21T08:59:59.999Z"), Catchup::all, hours(9), 10).empty());
    EXPECT_TRUE(due_slots(hourly, time(eight), time(eight), Catchup::all, hours(9), 10).empty());
    EXPECT_TRUE(due_slots(hourly, time("2026-11-21T12:00:00Z"), time(eight), Catchup::all, hours(9), 10).empty());
}

TEST(Catchup, OnTimeAlwaysRuns) {
    const auto hourly = Cron::parse("0 * * * *", "UTC");
    for (const auto policy : {Catchup::none, Catchup::last, Catchup::all}) {
        const auto at_once = due_slots(hourly, time(eight), time("2026-11-21T09:00:00Z"), policy, hours(0), 10);
        ASSERT_EQ(shape(at_once), "09:00+ ");
        EXPECT_EQ(at_once[0].reason, "");
        EXPECT_EQ(shape(due_slots(hourly, time(eight), time("2026-11-21T09:01:00Z"), policy, hours(0), 10)), "09:00+ ");
        EXPECT_EQ(
            shape(due_slots(hourly, time(eight), time("2026-11-21T09:01:00.000001Z"), policy, hours(0), 10)), "09:00- "
        );
    }
}

TEST(Catchup, None) {
    const auto hourly = Cron::parse("0 * * * *", "UTC");
    const auto slots = due_slots(hourly, time(eight), time("2026-11-21T11:00:30Z"), Catchup::none, hours(9), 10);
    EXPECT_EQ(shape(slots), "09:00- 10:00- 11:00+ ");
    EXPECT_EQ(slots[0].reason, "missed: catchup none");
}

TEST(Catchup, Last) {
    const auto hourly = Cron::parse("0 * * * *", "UTC");
    const auto slots = due_slots(hourly, time(eight), time("2026-11-21T12:12:30Z"), Catchup::last, hours(2), 10);
    EXPECT_EQ(shape(slots), "09:00- 10:00- 11:00- 12:00+ ");
    EXPECT_EQ(slots[0].reason, "missed: older than catchup_window 2h");
    EXPECT_EQ(slots[2].reason, "missed: catchup last runs only the newest");
    EXPECT_EQ(slots[3].reason, "caught up: 12m30s late");
    EXPECT_EQ(
        shape(due_slots(hourly, time(eight), time("2026-11-21T12:30:00Z"), Catchup::last, std::chrono::minutes(20), 10)
        ),
        "09:00- 10:00- 11:00- 12:00- "
    );
}

TEST(Catchup, AllWithinTheWindow) {
    const auto hourly = Cron::parse("0 * * * *", "UTC");
    EXPECT_EQ(
        shape(due_slots(hourly, time(eight), time("2026-11-21T12:00:00Z"), Catchup::all, hours(2), 10)),
        "09:00- 10:00+ 11:00+ 12:00+ "
    );  // exactly the window old still counts
    EXPECT_EQ(
        shape(due_slots(hourly, time(eight), time("2026-11-21T12:00:00.001Z"), Catchup::all, hours(2), 10)),
        "09:00- 10:00- 11:00+ 12:00+ "
    );
}

TEST(Catchup, F39_LongOutageIsBounded) {
    const auto minutely = Cron::parse("* * * * *", "UTC");
    const auto slots = due_slots(
        minutely, time("2026-01-01T00:00:00Z"), time("2026-11-21T12:00:30Z"), Catchup::all, hours(24 * 365), 100
    );
    ASSERT_EQ(slots.size(), 102U);  // one for all the rest, 100 missed, one on time
    EXPECT_FALSE(slots[0].run);
    EXPECT_EQ(
        slots[0].reason,
        "missed: 10000 or more slots from 2026-01-01T00:01:00.000Z on, not listed one by one (the "
        "limit is 100)"
    );
    EXPECT_EQ(format_rfc3339(slots[0].slot), "2026-11-21T10:19:00.000Z");
    EXPECT_EQ(format_rfc3339(slots[1].slot), "2026-11-21T10:20:00.000Z");
    EXPECT_EQ(std::count_if(slots.begin(), slots.end(), [](const auto& s) { return s.run; }), 101);
    EXPECT_EQ(format_rfc3339(slots.back().slot), "2026-11-21T12:00:00.000Z");
}

TEST(Catchup, JustAboveTheLimit) {
    const auto hourly = Cron::parse("0 * * * *", "UTC");
    const auto at_limit = due_slots(hourly, time(eight), time("2026-11-21T11:30:00Z"), Catchup::all, hours(9), 3);
    EXPECT_EQ(shape(at_limit), "09:00+ 10:00+ 11:00+ ");
    const auto above = due_slots(hourly, time(eight), time("2026-11-21T13:30:00Z"), Catchup::all, hours(9), 3);
    EXPECT_EQ(shape(above), "10:00- 11:00+ 12:00+ 13:00+ ");
    EXPECT_EQ(
        above[0].reason, "missed: 2 slots from 2026-11-21T09:00:00.000Z on, not listed one by one (the limit is 3)"
    );
    EXPECT_EQ(
        shape(due_slots(hourly, time(eight), time("2026-11-21T13:30:00Z"), Catchup::all, hours(9), 0)), "12:00- 13:00+ "
    );
}

TEST(Catchup, OnTimeSlotsAreOutsideTheLimit) {
    const auto each_second = Cron::parse("* * * * * *", "UTC");
    const auto slots = due_slots(each_second, time("2025-11-21T08:00:00Z"), time(eight), Catchup::none, hours(1), 5);
    EXPECT_EQ(slots.size(), 1U + 5U + 61U);
    EXPECT_EQ(std::count_if(slots.begin(), slots.end(), [](const auto& s) { return s.run; }), 61);
}

TEST(Catchup, SlotsAreThoseOfTheSchedule) {
    const auto cron = Cron::parse("*/7 1-4 * * *", "Europe/Berlin");
    const auto from = time("2026-10-24T12:00:00Z");
    const auto now = time("2026-10-25T12:00:00Z");
    std::vector<Timestamp> got;
    for (const auto& slot : due_slots(cron, from, now, Catchup::all, hours(24), 1000)) {
        got.push_back(slot.slot);
    }
    EXPECT_EQ(got, cron.between(from, now, 1000));
}

// Considered piece by piece or at once: every slot exactly once.
TEST(Catchup, PiecesJoinWithoutSeam) {
    const auto cron = Cron::parse("*/5 * * * *", "UTC");
    std::vector<Timestamp> pieces;
    Timestamp mark = time(eight);
    for (int i = 1; i <= 40; ++i) {
        const Timestamp now = time(eight) + seconds(61 * i);
        for (const auto& slot : due_slots(cron, mark, now, Catchup::all, hours(1), 100)) {
            pieces.push_back(slot.slot);
        }
        mark = now;
    }
    EXPECT_EQ(pieces, cron.between(time(eight), mark, 1000));
}

TEST(Jitter, SameEverywhereAndSpread) {
    const auto slot = time(eight);
    const auto max = milliseconds(30'000);
    EXPECT_EQ(jitter_for("ch.top_dests", slot, max), jitter_for("ch.top_dests", slot, max));
    EXPECT_EQ(jitter_for("ch.top_dests", slot, milliseconds(0)).count(), 0);
    EXPECT_EQ(jitter_for("ch.top_dests", slot, milliseconds(-5)).count(), 0);
    // Pinned: two builds that run side by side must agree.
    EXPECT_EQ(jitter_for("ch.top_dests", slot, max).count(), 13'424);
    std::set<std::int64_t> seen;
    std::int64_t sum = 0;
    for (int i = 0; i < 1000; ++i) {
        const auto j = jitter_for("p" + std::to_string(i % 10), slot + std::chrono::minutes(i / 10), max);
        EXPECT_GE(j.count(), 0);
        EXPECT_LE(j, max);
        seen.insert(j.count());
        sum += j.count();
    }
    EXPECT_GT(seen.size(), 950U);
    EXPECT_NEAR(static_cast<double>(sum) / 1000, 15'000, 1500);
    for (int i = 0; i < 100; ++i) {
        EXPECT_LE(jitter_for("x", slot + seconds(i), milliseconds(1)).count(), 1);
    }
}

}  // namespace
}  // namespace headrace::schedule
