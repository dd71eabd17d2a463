// The fields of a cron expression: text to sets of allowed values. Pure; no clock and no zone here.
//
// Five fields (minute hour day-of-month month day-of-week), or six with seconds first, or one of
// @yearly @annually @monthly @weekly @daily @midnight @hourly @minutely. Case does not matter.
//
//   field         item[,item…]; item = * | a | a-b, each with an optional /step;
//                 a/step means "from a to the end, by step"
//   both days     ? is the same as *
//   day-of-month  L: the last day of the month
//   month         also jan…dec
//   day-of-week   also sun…sat, 0 and 7 are both Sunday, fri-sun is a range;
//                 5L or friL: the last Friday; 1#2 or mon#2: the second Monday
//
// Refused on purpose, with a message: W, H, L-3, ranges that run backwards, steps wider than the
// field, dates that never come (31 February).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::schedule {

enum CronField : std::size_t { cron_second, cron_minute, cron_hour, cron_day, cron_month, cron_weekday };

// One item as it was written; the sets below are the truth for matching, the items are for the text
// of the preview.
struct CronItem {
    enum class Kind { any, one, range, last_day, last_weekday, nth_weekday };
    Kind kind = Kind::any;
    int from = 0;       // first value; of any: the field's lowest
    int to = 0;         // last value; of any and a/step: the field's highest; Sunday at an end is 7
    int step = 1;       // 1 when none was written
    int nth = 0;        // nth_weekday: 1 to 5
    bool open = false;  // a/step: `to` was not written
};

struct CronFields {
    // By CronField; without a seconds field that is one item, 0.
    std::array<std::vector<CronItem>, 6> items;
    bool has_seconds = false;

    std::uint64_t seconds = 0;  // bit n: second n
    std::uint64_t minutes = 0;
    std::uint32_t hours = 0;
    std::uint32_t days = 0;    // bit 1 to 31
    std::uint32_t months = 0;  // bit 1 to 12
    bool last_day = false;
    std::uint32_t weekdays = 0;                   // bit 0 (Sunday) to 6
    std::array<std::uint32_t, 6> nth_weekdays{};  // [n], 1 to 5: weekdays whose n-th counts
    std::uint32_t last_weekdays = 0;
    bool any_day = false;      // day-of-month is written * or ?
    bool any_weekday = false;  // day-of-week is written * or ?

    bool every_hour() const { return hours == (1U << 24) - 1; }

    // The hour field has no * and no step and leaves hours out: times of day as a person names
    // them.
    bool fixed_hours() const;

    // Both day fields are restricted: a day counts when either one allows it.
    bool day_or_weekday() const { return !any_day && !any_weekday; }

    // Days of that month that count, bit 1 to 31.
    std::uint32_t days_of(int year, unsigned month) const;
};

// Throws Error invalid schedule.bad_cron; the message names the field, what was found and what is
// allowed.
CronFields parse_cron_fields(std::string_view expression);

}  // namespace headrace::schedule
