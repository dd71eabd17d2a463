// Keeps what this worker runs alive in Postgres: renews leases, passes cancel requests and time-outs on to the
// attempts, and holds the worker's advisory lock. The lock ends with the connection, so when the process dies others
// know at once. One thread, one connection; nothing a pipeline does can block it.
#pragma once

#include "base/deadline.hpp"
#include "base/stop.hpp"
#include "postgres/connection.hpp"
#include "run/ledger.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace headrace::run {

// Reasons that end up in StopToken::reason() of an attempt.
inline constexpr std::string_view stop_cancelled = "cancelled";
inline constexpr std::string_view stop_timeout = "timeout";
inline constexpr std::string_view stop_lease_lost = "lease lost";
inline constexpr std::string_view stop_shutdown = "shutdown";

class LeaseKeeper {
public:
    struct Options {
        postgres::ConnectOptions db;
        std::string name;  // of the worker, shown in history
        unsigned concurrency = 1;
        std::chrono::milliseconds lease{60'000};
    };

    // Registers the worker and takes its lock; throws when Postgres is away.
    explicit LeaseKeeper(Options options);
    ~LeaseKeeper();
    LeaseKeeper(const LeaseKeeper&) = delete;
    LeaseKeeper& operator=(const LeaseKeeper&) = delete;

    const WorkerIdentity& identity() const;

    // While the guard lives the attempt's lease is renewed; `stop` is requested on cancel, at `deadline`, when the
    // lease is gone, and when `outer` (the queue's token) stops. Thread-safe.
    class Guard {
    public:
        Guard(LeaseKeeper& keeper, std::uint64_t number) : keeper_(keeper), number_(number) {}

        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;

        ~Guard() { keeper_.forget(number_); }

    private:
        LeaseKeeper& keeper_;
        std::uint64_t number_;
    };

    Guard keep(std::string attempt_id, StopSource stop, Deadline deadline, StopToken outer);

    void stop_all(std::string_view reason);

private:
    void forget(std::uint64_t number);
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace headrace::run
