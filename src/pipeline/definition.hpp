// A pipeline as its YAML file says it, checked. Plain data; made by parse_definition (pipeline/parse.hpp).
// Shape and words: docs/pipelines.md.
#pragma once

#include "data/schema.hpp"
#include "pipeline/incremental.hpp"
#include "pipeline/rejects.hpp"
#include "schedule/catchup.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace headrace::pipeline {

using std::chrono::milliseconds;

// Where a value stands in its file, 1-based; for messages.
struct Place {
    std::string file;
    int line = 0;
    int column = 0;
};

// A connector's own options, already checked against its OptionSpec list (pipeline/registry.hpp).
// Durations are milliseconds and sizes are bytes, as decimal text; booleans are "true"/"false".
struct Options {
    std::map<std::string, std::string, std::less<>> values;
    std::map<std::string, std::vector<std::string>, std::less<>> lists;
    Place place;

    bool has(std::string_view name) const { return values.find(name) != values.end(); }

    std::string get(std::string_view name, std::string_view otherwise = "") const;
    std::int64_t get_int(std::string_view name, std::int64_t otherwise = 0) const;
    bool get_bool(std::string_view name, bool otherwise = false) const;
    std::vector<std::string> get_list(std::string_view name) const;
};

struct ScheduleSpec {
    std::string cron;
    std::string timezone = "UTC";
    milliseconds jitter{0};
    schedule::Catchup catchup = schedule::Catchup::last;
    milliseconds catchup_window{std::chrono::hours(24)};
    schedule::Overlap overlap = schedule::Overlap::skip;
};

struct Part {                // source, one transform step, one check, one sink
    std::string type;        // "clickhouse", "rename", "min_rows", "redis"
    std::string credential;  // name, or ""
    Options options;
};

struct RetrySpec {
    int attempts = 3;              // tries of one run in all, 1..20
    milliseconds backoff{10'000};  // first wait; doubles, full jitter
    milliseconds max{std::chrono::minutes(5)};
};

struct Definition {
    int version = 1;
    std::string name;  // [A-Za-z0-9_.-]{1,64}, the file's stem
    std::string description;
    std::string owner;
    std::vector<std::string> tags;
    bool enabled = true;
    std::optional<ScheduleSpec> schedule;
    Part source;
    std::optional<IncrementalSpec> incremental;  // nullopt: every run reads everything
    // Contract: declared columns in order; empty = whatever the source gives.
    std::vector<data::Field> columns;
    std::vector<Part> transforms;
    std::vector<Part> checks;
    std::vector<Part> sinks;  // at least one
    bool allow_empty = false;
    std::optional<RejectSpec> on_reject;  // nullopt: the first bad row stops the run
    RetrySpec retry;
    milliseconds timeout{std::chrono::minutes(30)};
    std::uint64_t memory = 64u << 20;          // bytes for buffers of one run
    std::optional<milliseconds> fresh_within;  // older than this = late
    std::string text;                          // the file as it was read
    Place place;
};

}  // namespace headrace::pipeline
