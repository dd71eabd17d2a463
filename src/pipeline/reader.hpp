// Typed reading of a YAML tree. Each want_* reports what is wrong (what was found, what is wanted) and returns nullopt;
// nothing throws, so that one pass finds every problem of a file. Used for pipeline files and for headrace.yaml.
#pragma once

#include "pipeline/parse.hpp"
#include "pipeline/yaml.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::pipeline {

using std::chrono::milliseconds;

// Collects the problems of one file (and of the defaults beside it).
class Problems {
public:
    explicit Problems(std::string file, std::string defaults_file = "");

    void add(yaml::Mark mark, std::string message);
    void add(const std::vector<yaml::Fault>& faults);

    bool empty() const { return problems_.empty(); }

    std::size_t size() const { return problems_.size(); }

    Place place(yaml::Mark mark) const;
    std::vector<Problem> take();  // in the order of the file; at most 100

private:
    std::string files_[2];
    std::vector<Problem> problems_;
};

// "a list", "nothing", "`10`": what stands there, for messages. Long text is cut.
std::string found(const yaml::Node& node);

// `what` is the key as the reader of the message knows it: "schedule.jitter".
bool want_map(Problems& problems, const yaml::Node& node, std::string_view what);
std::optional<std::string> want_text(Problems& problems, const yaml::Node& node, std::string_view what);
std::optional<std::int64_t> want_integer(
    Problems& problems,
    const yaml::Node& node,
    std::string_view what,
    std::int64_t min = INT64_MIN,
    std::int64_t max = INT64_MAX
);
// Decimal text as it was written: "0.5", or a share, "50%" → "0.5".
std::optional<std::string> want_number(Problems& problems, const yaml::Node& node, std::string_view what);
std::optional<bool> want_boolean(Problems& problems, const yaml::Node& node, std::string_view what);
std::optional<milliseconds> want_duration(
    Problems& problems,
    const yaml::Node& node,
    std::string_view what,
    milliseconds min = milliseconds(0),
    milliseconds max = milliseconds(INT64_MAX)
);
std::optional<std::uint64_t> want_bytes(
    Problems& problems,
    const yaml::Node& node,
    std::string_view what,
    std::uint64_t min = 0,
    std::uint64_t max = UINT64_MAX
);
std::optional<std::string> want_choice(
    Problems& problems,
    const yaml::Node& node,
    std::string_view what,
    std::span<const std::string_view> choices
);
// A list of texts; one text alone is a list of one.
std::optional<std::vector<std::string>> want_texts(Problems& problems, const yaml::Node& node, std::string_view what);

// A key that people write in the wrong map, and the map that it belongs to.
struct Elsewhere {
    std::string_view key;
    std::string_view home;  // "schedule"; "" = the top of the file
};

// Reports every key of the map that is not in `known`. Keys that look like a secret are refused with the way to store
// it. `where` is the map's key ("schedule"), "" for the top of the file.
void check_keys(
    Problems& problems,
    const yaml::Node& map,
    std::string_view where,
    std::span<const std::string_view> known,
    std::span<const Elsewhere> elsewhere = {}
);

// "1h", "7d", "250ms": exact, unlike base/units.hpp's format for people.
std::string plain_duration(milliseconds span);

}  // namespace headrace::pipeline
