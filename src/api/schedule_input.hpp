// A cron expression and a zone from a client.
#pragma once

#include "api/problem.hpp"
#include "schedule/cron.hpp"

#include <string>
#include <string_view>

namespace headrace::api {

// Parses, or throws 422 schedule.bad_cron / schedule.bad_zone whose errors[] point at `cron_pointer` or `zone_pointer`.
inline schedule::Cron
parse_schedule(std::string_view cron, std::string_view zone, std::string cron_pointer, std::string zone_pointer) {
    try {
        return schedule::Cron::parse(cron, zone);
    } catch (const Error& error) {
        Problem problem(error.code(), error.message());
        problem.with_errors(
            {{error.code() == "schedule.bad_zone" ? std::move(zone_pointer) : std::move(cron_pointer), error.message()}}
        );
        throw problem;
    }
}

}  // namespace headrace::api
