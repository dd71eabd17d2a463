#include "pipeline/parse_schedule.hpp"

#include "base/error.hpp"
#include "schedule/cron.hpp"

namespace headrace::pipeline {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using yaml::Node;

constexpr std::string_view schedule_keys[] = {"cron", "timezone", "jitter", "catchup", "catchup_window", "overlap"};
constexpr std::string_view catchup_words[] = {"none", "last", "all"};
constexpr std::string_view overlap_words[] = {"skip", "queue", "cancel_old"};

// True when the pair is good. The scheduler's own parser is the judge: a file that passes here runs there.
bool is_cron(Problems& problems, const Node& node, const std::string& cron, const std::string& zone) {
    try {
        schedule::Cron::parse(cron, zone);
        return true;
    } catch (const Error& e) {
        problems.add(node.mark, e.message());
        return false;
    }
}

}  // namespace

void read_zone(Problems& problems, const Node& node, Definition& out) {
    const auto zone = want_text(problems, node, "schedule.timezone");
    if (zone && is_cron(problems, node, "* * * * *", *zone)) {
        out.schedule->timezone = *zone;
    }
}

void read_schedule(Problems& problems, const Node& node, Definition& out) {
    if (!want_map(problems, node, "schedule")) {
        return;
    }
    check_keys(problems, node, "schedule", schedule_keys);
    out.schedule.emplace();
    auto& schedule = *out.schedule;
    if (const auto* zone = node.find("timezone")) {
        read_zone(problems, *zone, out);
    }
    if (const auto* cron = node.find("cron"); cron == nullptr) {
        problems.add(node.mark, "`schedule` needs `cron`, such as `cron: \"*/15 * * * *\"`");
    } else if (const auto text = want_text(problems, *cron, "schedule.cron");
               text && is_cron(problems, *cron, *text, "UTC")) {
        schedule.cron = *text;
    }
    if (const auto* jitter = node.find("jitter")) {
        schedule.jitter =
            want_duration(problems, *jitter, "schedule.jitter", seconds(0), hours(1)).value_or(schedule.jitter);
    }
    if (const auto* window = node.find("catchup_window")) {
        schedule.catchup_window =
            want_duration(problems, *window, "schedule.catchup_window", seconds(0), hours(24 * 366))
                .value_or(seconds(0));
    }
    if (const auto* catchup = node.find("catchup")) {
        const auto word = want_choice(problems, *catchup, "schedule.catchup", catchup_words);
        schedule.catchup = schedule::parse_catchup(word.value_or("last")).value_or(schedule.catchup);
    }
    if (const auto* overlap = node.find("overlap")) {
        const auto word = want_choice(problems, *overlap, "schedule.overlap", overlap_words);
        schedule.overlap = schedule::parse_overlap(word.value_or("skip")).value_or(schedule.overlap);
    }
}

}  // namespace headrace::pipeline
