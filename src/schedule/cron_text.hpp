// A cron expression in plain English: "Every 15 minutes", "At 06:30, Monday through Friday",
// "At 02:00, on day 1 of the month or on Monday". Pure. The text says what the fields allow; clock
// changes are the business of the preview's warnings.
#pragma once

#include "schedule/cron_fields.hpp"

#include <string>

namespace headrace::schedule {

std::string describe(const CronFields& fields);

std::string weekday_name(int weekday);  // 0 and 7: "Sunday"
std::string month_name(int month);      // 1: "January"
std::string join_words(const std::vector<std::string>& words,
                       std::string_view last);  // "a, b and c" with last = "and"

}  // namespace headrace::schedule
