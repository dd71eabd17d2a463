// OutputStore in Redis, by the scripts of run/publish_scripts. Connects at the first call; after an error the
// connection is dropped, and the next call makes a new one. In a Redis Cluster each output has a connection of its own,
// to the node that has its slot; a slot that moved is an error, after which the next call finds it. One thread.
#pragma once

#include "base/stop.hpp"
#include "pipeline/redis_space.hpp"
#include "redis/connection.hpp"
#include "redis/options.hpp"
#include "run/stores.hpp"

#include <map>
#include <span>
#include <string>
#include <vector>

namespace headrace::run {

class RedisOutputs final : public OutputStore {
public:
    // `stop` ends every wait for Redis.
    explicit RedisOutputs(redis::Options options, StopToken stop = {});

    Applied apply(const Generation& generation, const std::string& staging, bool force) override;
    std::string rebuild(const Generation& generation, const std::string& payload) override;
    std::vector<Live> look_at(const std::vector<Generation>& generations) override;
    bool sweep_rows(const Generation& generation) override;
    void retire(const std::vector<Retirable>& outputs, Deadline until) override;

private:
    template <class Body>
    auto with(const pipeline::RedisSpace& space, Body&& body);
    std::vector<Live> look_together(std::span<const Generation> generations);
    void retire_together(std::span<const Retirable> outputs, Deadline until);

    redis::Options options_;
    StopToken stop_;
    std::map<std::string, redis::Connection> connections_;  // by a key of the slot; without a cluster there is one
};

}  // namespace headrace::run
