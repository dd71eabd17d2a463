#include "api/redis_pool.hpp"

#include <optional>

namespace headrace::api {

RedisPool::Lease RedisPool::take() {
    while (true) {
        std::optional<redis::Connection> candidate;
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                candidate.emplace(std::move(idle_.back()));
                idle_.pop_back();
            }
        }
        if (!candidate) {
            return {*this, redis::Connection::connect(options_, stop_)};
        }
        if (!candidate->peer_is_gone()) {
            return {*this, std::move(*candidate)};
        }
    }
}

void RedisPool::give_back(redis::Connection connection) {
    if (connection.is_dead() || connection.pending() > 0) {
        return;
    }
    const std::lock_guard lock(mutex_);
    if (idle_.size() < limit_) {
        idle_.push_back(std::move(connection));
    }
}

}  // namespace headrace::api
