// Inside of the library: job options as JSON objects with BullMQ's short keys, and JSON as MessagePack.
#pragma once

#include "bullmq/job.hpp"
#include "bullmq/repeat.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace headrace::bullmq {

// `for_template`: without the `attempts: 0` that Node puts into every job but not into a scheduler's template.
boost::json::object options_object(const JobOptions& options, bool for_template = false);
std::string pack_json(const boost::json::value& value);  // null members of objects are left out

RepeatOptions parse_repeat(std::string_view job_options_json);  // the `repeat` member
// The options of a scheduler's next run: `base` plus repeat, count, offset and, for a pattern, its time.
boost::json::object run_options(
    boost::json::object base,
    const RepeatOptions& repeat,
    std::string_view scheduler_id,
    std::optional<std::int64_t> next_ms,
    std::int64_t now
);

}  // namespace headrace::bullmq
