// Trees of jobs: a parent runs when all of its children are done, and can read their results (getters.hpp). What Node's
// `FlowProducer` does. The nodes may lie in different queues; in a Redis Cluster all of them need one hash tag.
//
// Any thread; one call at a time (a mutex inside). Errors as for Queue.
#pragma once

#include "base/stop.hpp"
#include "bullmq/job.hpp"
#include "redis/options.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::bullmq {

struct FlowNode {
    std::string queue;
    std::string name;
    std::string data = "{}";  // JSON
    // options.parent only at the root, to hang the tree below a job that is there already; what becomes of the parent
    // when a child fails is said by the child (fail_parent_on_failure …).
    JobOptions options;
    std::string prefix;  // empty: the producer's
    std::vector<FlowNode> children;
};

// The ids of an added tree, in the shape of its FlowNode. A node without options.job_id gets a UUID.
struct FlowIds {
    std::string queue;
    std::string id;
    std::vector<FlowIds> children;
};

// A tree that is there.
struct FlowJob {
    std::string queue;
    std::string prefix;
    Job job;
    std::vector<FlowJob> children;
};

class FlowProducer {
public:
    explicit FlowProducer(redis::Options options, std::string_view prefix = "bull", StopToken stop = {});
    ~FlowProducer();
    FlowProducer(const FlowProducer&) = delete;
    FlowProducer& operator=(const FlowProducer&) = delete;

    // One transaction: all of the tree, or nothing. Throws queue.refused when a given parent does not exist. (After a
    // SCRIPT FLUSH Redis may refuse a part of it; then all of it is sent again at once, scripts included. Node does
    // not.)
    FlowIds add(const FlowNode& root);
    std::vector<FlowIds> add_bulk(std::span<const FlowNode> roots);  // one transaction for all

    // The job and its children, `depth` levels in all, at most about `max_children` of each kind per job.
    std::optional<FlowJob> get(
        std::string_view queue,
        std::string_view id,
        unsigned depth = 10,
        unsigned max_children = 20,
        std::string_view prefix = {}
    );

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace headrace::bullmq
