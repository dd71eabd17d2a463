#include "bullmq/keys.hpp"

#include "base/encoding.hpp"
#include "bullmq/invalid.hpp"

#include <algorithm>

namespace headrace::bullmq {
namespace {

// What JavaScript's `${parseInt(id, 10)}` === id means: an integer in its shortest form.
bool is_integer(std::string_view id) {
    auto digits = id.starts_with('-') ? id.substr(1) : id;
    if (digits.empty() || (digits.size() > 1 && digits[0] == '0') || id == "-0") {
        return false;
    }
    return std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Keys::Keys(std::string_view queue_name, std::string_view key_prefix) : queue(queue_name), prefix(key_prefix) {
    if (queue.empty() || queue.find(':') != std::string::npos) {
        throw invalid("a queue name must not be empty and must not contain a colon");
    }
    if (prefix.empty()) {
        throw invalid("the prefix of a queue must not be empty");
    }
    qualified = prefix + ":" + queue;
    base = qualified + ":";
    wait = key("wait");
    active = key("active");
    paused = key("paused");
    prioritized = key("prioritized");
    delayed = key("delayed");
    waiting_children = key("waiting-children");
    completed = key("completed");
    failed = key("failed");
    stalled = key("stalled");
    stalled_check = key("stalled-check");
    id_counter = key("id");
    limiter = key("limiter");
    meta = key("meta");
    events = key("events");
    pc = key("pc");
    marker = key("marker");
    repeat = key("repeat");
    de = key("de");
}

std::string Keys::key(std::string_view suffix) const {
    std::string out;
    out.reserve(base.size() + suffix.size());
    out.append(base).append(suffix);
    return out;
}

std::string Keys::lock(std::string_view job_id) const {
    return job(job_id) + ":lock";
}

std::string Keys::logs(std::string_view job_id) const {
    return job(job_id) + ":logs";
}

std::string Keys::scheduler(std::string_view scheduler_id) const {
    return repeat + ":" + std::string(scheduler_id);
}

std::string Keys::deduplication(std::string_view deduplication_id) const {
    return de + ":" + std::string(deduplication_id);
}

std::string Keys::client_name(std::string_view worker_name) const {
    auto name = prefix + ":" + base64_encode(queue);
    if (!worker_name.empty()) {
        name += ":w:" + std::string(worker_name);
    }
    return name;
}

redis::Options located(redis::Options options, const Keys& keys) {
    if (options.cluster) {
        const auto open = keys.qualified.find('{');
        const auto close = keys.qualified.find('}', open == std::string::npos ? 0 : open);
        if (open == std::string::npos || close == std::string::npos || close == open + 1) {
            throw invalid("in a Redis Cluster the prefix of a queue needs a hash tag, such as {bull}");
        }
        options.cluster_key = keys.meta;
    }
    return options;
}

void check_custom_job_id(std::string_view job_id) {
    if (job_id == "0" || job_id.starts_with("0:")) {
        throw invalid("a job id must not be 0 or start with 0:");
    }
    if (is_integer(job_id)) {
        throw invalid("an own job id must not be an integer");
    }
    const auto colons = std::count(job_id.begin(), job_id.end(), ':');
    if (colons != 0 && colons != 2) {
        throw invalid("an own job id must not contain a colon");
    }
}

}  // namespace headrace::bullmq
