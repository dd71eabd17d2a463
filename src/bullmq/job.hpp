// Jobs as BullMQ stores them. Plain values. Times are milliseconds since 1970 UTC by the clock of whoever wrote them.
#pragma once

#include "redis/reply.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace headrace::bullmq {

using Millis = std::chrono::milliseconds;

// How many finished jobs stay: `count` newest, none older than `age` seconds; `limit` removals per finish (default
// 1000).
struct KeepJobs {
    std::optional<std::int64_t> count;
    std::optional<std::int64_t> age;
    std::optional<std::int64_t> limit;

    bool operator==(const KeepJobs&) const = default;
};

// As in Node: true = remove at once, false = keep for ever, a number = keep so many, or the full form.
using RemovePolicy = std::variant<bool, std::int64_t, KeepJobs>;
KeepJobs keep_jobs(const RemovePolicy& policy);  // true → {0}, false → {-1}

struct Backoff {
    std::string type = "fixed";  // "fixed", "exponential", or a name that the worker's custom strategy knows
    Millis delay{0};
    std::optional<double> jitter;  // 0..1
};

struct Deduplication {
    std::string id;
    Millis ttl{0};  // 0: until the job finishes
    std::optional<bool> extend;
    std::optional<bool> replace;
    std::optional<bool> reschedule;
    std::optional<bool> keep_last_if_active;
};

// The job waits for its parent's attention: `queue` is the parent's qualified queue name ("bull:parents").
struct ParentRef {
    std::string id;
    std::string queue;
};

// Everything a producer may ask for. Defaults are BullMQ's.
struct JobOptions {
    std::string job_id;          // own id (see check_custom_job_id); empty: the queue counts
    std::int64_t timestamp = 0;  // creation time; 0: now
    Millis delay{0};
    std::int64_t priority = 0;  // 1 (first) … 2097151; 0: none, served before all priorities
    bool lifo = false;
    int attempts = 0;  // 0 and 1: no retry
    std::optional<Backoff> backoff;
    std::optional<RemovePolicy> remove_on_complete;  // unset: the worker's
    std::optional<RemovePolicy> remove_on_fail;
    std::optional<Deduplication> deduplication;
    std::optional<ParentRef> parent;
    bool fail_parent_on_failure = false;
    bool continue_parent_on_failure = false;
    bool ignore_dependency_on_failure = false;
    bool remove_dependency_on_failure = false;
    std::int64_t keep_logs = 0;  // 0: all
    std::optional<int> stack_trace_limit;
    std::size_t size_limit = 0;      // bytes of data; 0: none
    std::string telemetry_metadata;  // opaque, for bullmq-otel
};

// Throws Error{invalid, "config.invalid"} for what Node's Queue.add refuses too.
void check_options(const JobOptions& options, std::string_view data);

// The options as the scripts take them (MessagePack map, short keys), and as they lie in a job's `opts` field (JSON).
std::string pack_options(const JobOptions& options);
JobOptions parse_options(std::string_view json);  // lenient: what it does not know is left out

struct Job {
    std::string id;
    std::string name;
    std::string data = "{}";  // JSON, byte for byte as it was added
    JobOptions options;
    std::string options_json = "{}";  // the stored text, for passing on what JobOptions does not know
    std::int64_t timestamp = 0;
    Millis delay{0};
    std::int64_t priority = 0;
    std::int64_t processed_on = 0;  // 0: never
    std::int64_t finished_on = 0;
    int attempts_started = 0;  // including the running one
    int attempts_made = 0;     // finished ones that count
    int stalled_count = 0;
    std::string progress;      // JSON; empty: none
    std::string return_value;  // JSON
    std::string failed_reason;
    std::vector<std::string> stacktrace;
    std::string parent_key;
    std::string parent;        // JSON
    std::string scheduler_id;  // `rjk`
    std::string deduplication_id;
    std::string processed_by;
    std::string deferred_failure;  // `defa`: to be failed with this text without being run

    bool exists = true;  // false for an id without its hash (somebody deleted the job while it waited)
};

// `hash` is a flat array field, value, …
Job read_job(std::string_view id, const redis::ReplyPart& hash);

// Delay before the next attempt after `failed_attempts` (≥ 1) tries; `random` in [0, 1). fixed and exponential only:
// nullopt for another type.
std::optional<Millis> backoff_delay(const Backoff& backoff, int failed_attempts, double random);

std::int64_t now_ms();

}  // namespace headrace::bullmq
