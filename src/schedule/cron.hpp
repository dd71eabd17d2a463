// A cron expression in a time zone, and its times. Pure and immutable: every method may be called from any thread.
//
// Rules at clock changes (docs/schedules.md has the examples, each one a test). H = the set of the hour field.
//   fixed     H has no * and no step and is not all 24 hours, whatever the minutes are ("30 2", "*/15 2", "0 8-18"):
//             a time that does not exist (spring) runs at the first instant after the gap; several such times are one
//             run; a time that comes twice (autumn) runs once, the first time.
//   stepped   H has a * or a step but leaves hours out ("0 */2"): never waits longer than usual, so a time in the gap
//             runs at the first instant after it, and a time that comes twice runs twice.
//   hourly    H is all 24 hours ("*/20 *", "0 *"): elapsed time; every instant whose wall clock fits, nothing else.
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
    // `zone` is an IANA name ("Europe/Kyiv", "UTC"). Throws Error invalid schedule.bad_cron or schedule.bad_zone.
    static Cron parse(std::string_view expression, std::string_view zone);

    // The first time strictly after `after`; a function of `after` alone, nothing is remembered. nullopt when there is
    // none within 41 years (a fifth Friday of February can be 40 years away). Microseconds, rarely tens of them.
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

// The first second of the wall clock in [from, upto) that the fields allow; seconds since 1970-01-01 00:00 local.
std::optional<std::int64_t> first_match(const CronFields& fields, std::int64_t from, std::int64_t upto);

}  // namespace headrace::schedule
