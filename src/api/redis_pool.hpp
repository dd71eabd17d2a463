// A few Redis connections for handlers, made when needed. Thread-safe. Only for short commands; the event tail has its
// own.
#pragma once

#include "base/stop.hpp"
#include "redis/connection.hpp"

#include <mutex>
#include <vector>

namespace headrace::api {

class RedisPool {
public:
    // At most `idle` connections wait for their next use. `stop` ends every wait.
    RedisPool(redis::Options options, StopToken stop, std::size_t idle = 4)
        : options_(std::move(options)), stop_(std::move(stop)), limit_(idle) {}

    class Lease {
    public:
        Lease(RedisPool& pool, redis::Connection connection) : pool_(pool), connection_(std::move(connection)) {}

        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;

        ~Lease() { pool_.give_back(std::move(connection_)); }

        redis::Connection& operator*() { return connection_; }

        redis::Connection* operator->() { return &connection_; }

    private:
        RedisPool& pool_;
        redis::Connection connection_;
    };

    // A live connection: one whose peer has gone is replaced. Throws redis.connect, redis.auth …
    Lease take();

private:
    void give_back(redis::Connection connection);

    const redis::Options options_;
    const StopToken stop_;
    const std::size_t limit_;
    std::mutex mutex_;
    std::vector<redis::Connection> idle_;
};

}  // namespace headrace::api
