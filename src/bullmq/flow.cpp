#include "bullmq/flow.hpp"

#include "base/ids.hpp"
#include "bullmq/invalid.hpp"
#include "bullmq/scripts.hpp"
#include "redis/connection.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>

namespace headrace::bullmq {
namespace {

using Guard = std::lock_guard<std::mutex>;

// One node on its way: where it goes and below whom.
struct Entry {
    const FlowNode* node;
    FlowIds* ids;
    std::optional<ParentRef> parent;
};

void check_node(const FlowNode& node, bool is_root) {
    auto options = node.options;
    if (!is_root && options.parent) {
        throw invalid("only the root of a flow can name a parent");
    }
    if (!node.children.empty() && options.deduplication) {
        throw invalid("a job of a flow that has children cannot be deduplicated");
    }
    if (!is_root && options.deduplication) {
        throw invalid("deduplication and a parent cannot be used together");
    }
    check_options(options, node.data);
    for (const auto& child : node.children) {
        check_node(child, false);
    }
}

}  // namespace

struct FlowProducer::State {
    State(redis::Options o, std::string_view p, StopToken token)
        : options(std::move(o)), prefix(p), stop(std::move(token)) {}

    redis::Connection& connected(const Keys& keys) {
        if (connection && (connection->pending() != 0 || connection->peer_is_gone())) {
            connection.reset();
        }
        if (!connection) {
            connection.emplace(redis::Connection::connect(located(options, keys), stop));
            load = true;
        }
        return *connection;
    }

    Calls& calls_of(std::string_view queue, std::string_view own_prefix) {
        const auto& used = own_prefix.empty() ? std::string_view(prefix) : own_prefix;
        const auto key = std::string(used) + ":" + std::string(queue);
        auto found = queues.find(key);
        if (found == queues.end()) {
            found = queues.emplace(key, Calls(Keys(queue, used))).first;
        }
        return found->second;
    }

    std::vector<Call> encode(std::vector<Entry> level);
    // Answers with what EXEC says, of which the last are those of `calls`.
    redis::Reply transaction(const std::vector<Call>& calls);

    std::mutex mutex;
    redis::Options options;
    std::string prefix;
    StopToken stop;
    std::optional<redis::Connection> connection;
    bool load = true;  // this connection has not told Redis the scripts yet
    std::map<std::string, Calls, std::less<>> queues;
};

// Level by level, parents before children, as Node does; at the end each parent whose children are all done already
// (they existed before) is released.
std::vector<Call> FlowProducer::State::encode(std::vector<Entry> level) {
    const auto now = now_ms();
    std::vector<Call> calls;
    std::vector<ParentRef> parents;
    while (!level.empty()) {
        std::vector<Entry> below;
        for (auto& [node, ids, parent] : level) {
            auto& queue = calls_of(node->queue, node->prefix);
            auto job_options = node->options;
            job_options.parent = parent;
            ids->queue = node->queue;
            ids->id = job_options.job_id.empty() ? make_uuid_v4() : job_options.job_id;
            calls.push_back(queue.add_node(*node, ids->id, job_options, now));
            const auto is_known = [&](const ParentRef& p) { return p.id == parent->id && p.queue == parent->queue; };
            if (parent && std::none_of(parents.begin(), parents.end(), is_known)) {
                parents.push_back(*parent);
            }
            ids->children.resize(node->children.size());
            for (std::size_t i = 0; i < node->children.size(); ++i) {
                below.push_back({&node->children[i], &ids->children[i], ParentRef{ids->id, queue.keys().qualified}});
            }
        }
        level = std::move(below);
    }
    for (const auto& parent : parents) {
        calls.push_back(queues.begin()->second.release_parent(parent, now));
    }
    return calls;
}

redis::Reply FlowProducer::State::transaction(const std::vector<Call>& calls) {
    // Ids are chosen before, so that the same transaction may be sent again.
    for (bool again = false;; again = true) {
        auto& redis = connected(queues.begin()->second.keys());
        std::map<std::string_view, const redis::Script*> scripts;
        for (const auto& call : calls) {
            scripts[call.script->sha1] = call.script;
        }
        redis.append({"MULTI"});
        if (load) {
            for (const auto& [sha, script] : scripts) {
                redis.append({"SCRIPT", "LOAD", script->body});
            }
        }
        for (const auto& call : calls) {
            redis.append_encoded(call.resp);
        }
        redis.append({"EXEC"});
        const auto loads = load ? scripts.size() : 0;
        for (std::size_t i = 0; i < 1 + loads + calls.size(); ++i) {
            redis::Reply queued = redis.read_reply();
            if (queued.is_error()) {
                connection.reset();  // the rest of the answers is not wanted, and EXEC does nothing now
                throw redis::error_of(queued);
            }
        }
        auto executed = redis::checked(redis.read_reply());
        executed.at(loads + calls.size() - 1);  // throws when it is shorter
        const auto replies = executed.elements().subspan(loads);
        load = !again && std::any_of(replies.begin(), replies.end(), redis::is_no_script);
        if (!load) {
            return executed;
        }
    }
}

FlowProducer::FlowProducer(redis::Options options, std::string_view prefix, StopToken stop)
    : state_(std::make_unique<State>(std::move(options), prefix, std::move(stop))) {}

FlowProducer::~FlowProducer() = default;

FlowIds FlowProducer::add(const FlowNode& root) {
    return std::move(add_bulk({&root, 1}).front());
}

std::vector<FlowIds> FlowProducer::add_bulk(std::span<const FlowNode> roots) {
    std::vector<FlowIds> out(roots.size());
    std::vector<Entry> level;
    for (std::size_t i = 0; i < roots.size(); ++i) {
        check_node(roots[i], true);
        level.push_back({&roots[i], &out[i], roots[i].options.parent});
    }
    if (roots.empty()) {
        return out;
    }
    Guard guard(state_->mutex);
    const auto calls = state_->encode(std::move(level));
    const auto executed = state_->transaction(calls);
    const auto replies = executed.elements().last(calls.size());
    for (const auto& reply : replies) {
        check_accepted(reply, "flow");
    }
    for (std::size_t i = 0; i < roots.size(); ++i) {
        out[i].id = replies[i].is_integer() ? std::to_string(replies[i].integer()) : replies[i].text();
    }
    return out;
}

std::optional<FlowJob> FlowProducer::get(
    std::string_view queue,
    std::string_view id,
    unsigned depth,
    unsigned max_children,
    std::string_view prefix
) {
    FlowJob out;
    std::vector<std::string> children;
    {
        Guard guard(state_->mutex);
        const auto& keys = state_->calls_of(queue, prefix).keys();
        auto& redis = state_->connected(keys);
        const auto job = keys.job(id);
        const auto count = std::to_string(max_children);
        redis.append({"HGETALL", job});
        redis.append({"HSCAN", job + ":processed", "0", "COUNT", count});
        redis.append({"SSCAN", job + ":dependencies", "0", "COUNT", count});
        redis.append({"ZRANGE", job + ":unsuccessful", "0", std::to_string(std::max(max_children, 1U) - 1)});
        redis.append({"HSCAN", job + ":failed", "0", "COUNT", count});
        std::vector<redis::Reply> replies;
        while (redis.pending() > 0) {
            replies.push_back(redis.read_reply());
        }
        const auto hash = redis::checked(std::move(replies[0]));
        if (hash.elements().empty()) {
            return std::nullopt;
        }
        out = {keys.queue, keys.prefix, read_job(id, hash), {}};
        auto take = [&](const redis::ReplyPart& list, std::size_t step) {
            for (std::size_t i = 0; i < list.elements().size(); i += step) {
                children.emplace_back(list.at(i).str());
            }
        };
        take(redis::checked(std::move(replies[1])).at(1), 2);
        take(redis::checked(std::move(replies[2])).at(1), 1);
        take(redis::checked(std::move(replies[3])), 1);
        take(redis::checked(std::move(replies[4])).at(1), 2);
    }
    if (depth <= 1) {
        return out;
    }
    for (const auto& key : children) {  // prefix:queue:id; an id may hold colons, a queue may not
        const auto first = key.find(':');
        const auto second = key.find(':', first + 1);
        if (second == std::string::npos) {
            continue;
        }
        auto child =
            get(key.substr(first + 1, second - first - 1),
                key.substr(second + 1),
                depth - 1,
                max_children,
                key.substr(0, first));
        if (child) {
            out.children.push_back(std::move(*child));
        }
    }
    return out;
}

}  // namespace headrace::bullmq
