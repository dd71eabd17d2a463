// What a schedule will do, for the page and for `headrace plan`: one line of English, the next
// times, and everything that might surprise. Pure.
#pragma once

#include "base/time.hpp"
#include "schedule/cron.hpp"

#include <string>
#include <vector>

namespace headrace::schedule {

struct Preview {
    std::string text;                   // "At 06:30, Monday through Friday"
    std::vector<Timestamp> next;        // the next `count` times after `now`; fewer when there are no more
    std::vector<std::string> warnings;  // clock changes within a year first, each one sentence or two
};

// `count` is 0 to 1000 (more is cut).
Preview preview(const Cron& cron, Timestamp now, int count);

// The wall-clock time of an instant in the schedule's zone: "28 Mar 2027 04:00", with seconds when
// they are not 0.
std::string local_text(const Cron& cron, Timestamp time);

}  // namespace headrace::schedule
