#include "pipeline/parse_running.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

namespace headrace::pipeline {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using yaml::Node;

constexpr std::string_view retry_keys[] = {"attempts", "backoff", "max"};
constexpr std::string_view limits_keys[] = {"memory"};
constexpr std::string_view reject_keys[] = {"keep", "max"};

void read_retry(Problems& problems, const Node& node, Definition& out) {
    check_keys(problems, node, "retry", retry_keys);
    auto& retry = out.retry;
    if (const auto* attempts = node.find("attempts")) {
        retry.attempts = static_cast<int>(want_integer(problems, *attempts, "retry.attempts", 1, 20).value_or(1));
    }
    if (const auto* backoff = node.find("backoff")) {
        retry.backoff =
            want_duration(problems, *backoff, "retry.backoff", milliseconds(100), hours(1)).value_or(retry.backoff);
    }
    if (const auto* max = node.find("max")) {
        const auto value = want_duration(problems, *max, "retry.max", milliseconds(100), hours(24));
        retry.max = value.value_or(retry.max);
        if (value && *value < retry.backoff) {
            problems.add(
                max->mark,
                fmt::format("`retry.max` must not be less than `retry.backoff` ({})", plain_duration(retry.backoff))
            );
        }
    }
    retry.max = std::max(retry.max, retry.backoff);
}

}  // namespace

void read_running(Problems& problems, const Node& root, Definition& out) {
    if (const auto* node = root.find("owner")) {
        out.owner = want_text(problems, *node, "owner").value_or("");
    }
    if (const auto* node = root.find("tags")) {
        out.tags = want_texts(problems, *node, "tags").value_or(std::vector<std::string>());
    }
    if (const auto* node = root.find("timeout")) {
        out.timeout = want_duration(problems, *node, "timeout", seconds(1), hours(24 * 7)).value_or(out.timeout);
    }
    if (const auto* node = root.find("retry"); node != nullptr && want_map(problems, *node, "retry")) {
        read_retry(problems, *node, out);
    }
    if (const auto* node = root.find("limits"); node != nullptr && want_map(problems, *node, "limits")) {
        check_keys(problems, *node, "limits", limits_keys);
        if (const auto* memory = node->find("memory")) {
            out.memory = want_bytes(problems, *memory, "limits.memory", 1u << 20, 4ull << 30).value_or(out.memory);
        }
    }
}

void read_on_reject(Problems& problems, const Node& node, Definition& out) {
    check_keys(problems, node, "on_reject", reject_keys);
    RejectSpec spec;
    if (const auto* keep = node.find("keep")) {
        spec.keep = static_cast<std::uint64_t>(want_integer(problems, *keep, "on_reject.keep", 0, 5000).value_or(0));
    }
    const auto* max = node.find("max");
    if (max == nullptr) {
        problems.add(node.mark, "`on_reject` needs `max`: how many rows may be bad, such as 100 or 0.1%");
    } else if (!max->text.ends_with('%')) {
        spec.most_rows =
            static_cast<std::uint64_t>(want_integer(problems, *max, "on_reject.max", 0, 1'000'000'000).value_or(0));
    } else if (const auto share = want_number(problems, *max, "on_reject.max")) {
        spec.most_share = std::strtod(share->c_str(), nullptr);
        if (*spec.most_share < 0 || *spec.most_share > 1) {
            problems.add(max->mark, fmt::format("`on_reject.max` is 0% to 100%, found {}", found(*max)));
        }
    }
    out.on_reject = spec;
}

}  // namespace headrace::pipeline
