#include "bullmq/job.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace headrace::bullmq {
namespace {

namespace json = boost::json;

std::int64_t to_integer(std::string_view text) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::vector<std::string> traces_of(std::string_view text) {
    boost::system::error_code error;
    auto value = json::parse(text, error);
    std::vector<std::string> out;
    if (!error && value.is_array()) {
        for (const auto& entry : value.as_array()) {
            if (entry.is_string()) {
                out.emplace_back(entry.as_string());
            }
        }
    }
    return out;
}

void set_field(Job& job, std::string_view field, std::string_view value) {
    if (field == "name") {
        job.name = value;
    } else if (field == "data") {
        job.data = value;
    } else if (field == "opts") {
        job.options_json = value;
        if (job.options_json != R"({"attempts":0})") {  // most jobs: nothing but what Node always writes
            job.options = parse_options(job.options_json);
        }
    } else if (field == "timestamp") {
        job.timestamp = to_integer(value);
    } else if (field == "delay") {
        job.delay = Millis(to_integer(value));
    } else if (field == "priority") {
        job.priority = to_integer(value);
    } else if (field == "processedOn") {
        job.processed_on = to_integer(value);
    } else if (field == "finishedOn") {
        job.finished_on = to_integer(value);
    } else if (field == "ats") {
        job.attempts_started = static_cast<int>(to_integer(value));
    } else if (field == "atm" || field == "attemptsMade") {
        job.attempts_made = static_cast<int>(to_integer(value));
    } else if (field == "stc") {
        job.stalled_count = static_cast<int>(to_integer(value));
    } else if (field == "progress") {
        job.progress = value;
    } else if (field == "returnvalue") {
        job.return_value = value;
    } else if (field == "failedReason") {
        job.failed_reason = value;
    } else if (field == "stacktrace") {
        job.stacktrace = traces_of(value);
    } else if (field == "parentKey") {
        job.parent_key = value;
    } else if (field == "parent") {
        job.parent = value;
    } else if (field == "rjk") {
        job.scheduler_id = value;
    } else if (field == "deid") {
        job.deduplication_id = value;
    } else if (field == "pb") {
        job.processed_by = value;
    } else if (field == "defa") {
        job.deferred_failure = value;
    }
}

}  // namespace

Job read_job(std::string_view id, const redis::ReplyPart& hash) {
    Job job;
    job.id = id;
    const auto fields = hash.elements();
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        set_field(job, fields[i].str(), fields[i + 1].str());
    }
    job.exists = job.timestamp != 0;  // a hash that only moveToActive wrote has no timestamp
    return job;
}

std::optional<Millis> backoff_delay(const Backoff& backoff, int failed_attempts, double random) {
    double delay = static_cast<double>(backoff.delay.count());
    if (backoff.type == "exponential") {
        delay = std::round(std::exp2(failed_attempts - 1) * delay);
    } else if (backoff.type != "fixed") {
        return std::nullopt;
    }
    const double jitter = std::clamp(backoff.jitter.value_or(0), 0.0, 1.0);  // others may have written anything
    if (jitter > 0) {
        delay = std::floor(random * delay * jitter + delay * (1 - jitter));
    }
    return Millis(static_cast<std::int64_t>(std::min(delay, 9e15)));
}

std::int64_t now_ms() {
    return std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace headrace::bullmq
