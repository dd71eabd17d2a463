// Every Redis key of a queue, in one place. Value type; immutable after construction.
#pragma once

#include "redis/options.hpp"

#include <string>
#include <string_view>

namespace headrace::bullmq {

struct Keys {
    // Throws Error{invalid, "config.invalid"} for an empty queue name or one with a colon, and for an empty prefix.
    explicit Keys(std::string_view queue, std::string_view prefix = "bull");

    std::string queue;      // "etl"
    std::string prefix;     // "bull"
    std::string qualified;  // "bull:etl"
    std::string base;       // "bull:etl:": what the scripts call the key prefix

    std::string wait, active, paused, prioritized, delayed, waiting_children, completed, failed, stalled, stalled_check;
    std::string id_counter, limiter, meta, events, pc, marker, repeat, de;

    std::string key(std::string_view suffix) const;  // base + suffix, e.g. "metrics:completed"

    std::string job(std::string_view id) const { return key(id); }

    std::string lock(std::string_view id) const;
    std::string logs(std::string_view id) const;
    std::string scheduler(std::string_view id) const;      // repeat:<id>
    std::string deduplication(std::string_view id) const;  // de:<id>
    // How BullMQ's getWorkers and Bull Board find a worker: CLIENT SETNAME of its blocking connection.
    std::string client_name(std::string_view worker_name = {}) const;
};

// For a Redis Cluster: connections of this queue go to the node that has its keys. Throws Error{invalid,
// "config.invalid"} when neither prefix nor queue name has a hash tag ("{bull}"), without which a queue cannot work
// there.
redis::Options located(redis::Options options, const Keys& keys);

// Throws Error{invalid, "config.invalid"}: an integer, "0", "0:…", and ":" except in three parts (a scheduler's run).
void check_custom_job_id(std::string_view id);

}  // namespace headrace::bullmq
