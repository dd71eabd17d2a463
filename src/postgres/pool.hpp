// A bounded pool of connections for threads that need one now and then (api handlers, run threads). Thread-safe.
#pragma once

#include "postgres/connection.hpp"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace headrace::postgres {

class Pool {
public:
    // At most `size` connections, made when first needed.
    Pool(ConnectOptions options, std::size_t size);

    class Lease {
    public:
        Lease(Pool& pool, Connection connection) : pool_(&pool), connection_(std::move(connection)) {}

        Lease(Lease&& other) noexcept
            : pool_(std::exchange(other.pool_, nullptr)), connection_(std::move(other.connection_)) {}

        Lease& operator=(Lease&&) = delete;
        ~Lease();

        Connection& operator*() { return connection_; }

        Connection* operator->() { return &connection_; }

    private:
        Pool* pool_;
        Connection connection_;
    };

    // Waits at most `patience` for a free one: then postgres.timeout (transient). A broken connection is not given
    // back.
    Lease take(const StopToken& stop = {}, std::chrono::milliseconds patience = std::chrono::seconds(5));

private:
    friend class Lease;
    void give_back(Connection connection);
    void forget_one();

    ConnectOptions options_;
    std::size_t size_;
    std::size_t made_ = 0;
    std::mutex mutex_;
    std::condition_variable free_;
    std::vector<Connection> idle_;
};

}  // namespace headrace::postgres
