#include "postgres/pool.hpp"

namespace headrace::postgres {

Pool::Pool(ConnectOptions options, std::size_t size) : options_(std::move(options)), size_(size) {}

Pool::Lease::~Lease() {
    if (pool_ == nullptr) {
        return;
    }
    // A stop may have come before the ROLLBACK: the next one to take it would join a transaction that nobody commits.
    if (!connection_.idle()) {
        pool_->forget_one();
    } else {
        connection_.set_stop({});
        pool_->give_back(std::move(connection_));
    }
}

Pool::Lease Pool::take(const StopToken& stop, std::chrono::milliseconds patience) {
    {
        std::unique_lock lock(mutex_);
        if (!free_.wait_for(lock, patience, [&] { return !idle_.empty() || made_ < size_; })) {
            throw Error(ErrorKind::transient, "postgres.timeout", "all database connections are busy");
        }
        if (!idle_.empty()) {
            auto connection = std::move(idle_.back());
            idle_.pop_back();
            connection.set_stop(stop);
            return {*this, std::move(connection)};
        }
        ++made_;
    }
    try {
        return {*this, Connection::connect(options_, stop)};
    } catch (...) {
        forget_one();
        throw;
    }
}

void Pool::give_back(Connection connection) {
    {
        std::lock_guard lock(mutex_);
        idle_.push_back(std::move(connection));
    }
    free_.notify_one();
}

void Pool::forget_one() {
    {
        std::lock_guard lock(mutex_);
        --made_;
    }
    free_.notify_one();
}

}  // namespace headrace::postgres
