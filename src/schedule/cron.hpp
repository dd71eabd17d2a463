// A cron expression in a time zone, and its times. Pure and immutable: every method may be called
// from any thread.
//
// Rules at clock changes, told by the hour field alone (examples, each one a test:
// docs/schedules.md):
//
//   fixed    no * and no step, and not all 24 hours: "30 2", "*/15 2", "0 8-18".
//            A time that does not exist (spring) runs at the first instant after the gap, and
//            several such times are one run; a time that comes twice (autumn) runs once, the first
//            time.
//   stepped  a * or a step, but hours are left out: "0 */2".
//            Never waits longer than usual: a time in the gap runs at the first instant after it,
//            a time that comes twice runs twice.
//   hourly   all 24 hours: "*/20 *", "0 *".
//            Elapsed time: every instant whose wall clock fits, and nothing else.
#pragma once

#include "base/time.hpp"
#include "schedule/cron_fields.hpp"
#include "schedule/cron_zone.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::schedule {

class Cron {
public:
    // `zone` is an IANA name ("Europe/Kyiv", "UTC"). Throws Error invalid schedule.bad_cron or
    // schedule.bad_zone.
    static Cron parse(std::string_view expression, std::string_view zone);

    // The first time strictly after `after`; a function of `after` alone, nothing is remembered.
    // nullopt when there is none within 41 years (a fifth Monday of February can be 40 years away).
    // Costs about a microsecond, at worst some tens.
    std::optional<Timestamp> next(Timestamp after) const;
    // The times in (after, upto], oldest first, at most `max`.
    std::vector<Timestamp> between(Timestamp after, Timestamp upto, std::size_t max) const;

    const std::string& expression() const { return expression_; }  // as given, without outer blanks

    const std::string& zone() const { return zone_->name(); }

    bool has_seconds() const { return fields_.has_seconds; }

    const CronFields& fields() const { return fields_; }

    const CronZone& zone_table() const { return *zone_; }

private:
    Cron(std::string expression, CronFields fields, std::shared_ptr<const CronZone> zone);

    std::string expression_;
    CronFields fields_;
    std::shared_ptr<const CronZone> zone_;
};

// The first second of the wall clock in [from, upto) that the fields allow; seconds since
// 1970-01-01 00:00 local.
std::optional<std::int64_t> first_match(const CronFields& fields, std::int64_t from, std::int64_t upto);

}  // namespace headrace::schedule
