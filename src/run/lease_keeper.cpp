#include "run/lease_keeper.hpp"

#include "base/log.hpp"

#include <unistd.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace headrace::run {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds tick{200};

std::string host_name() {
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    return name;
}

struct Kept {
    std::string attempt_id;
    StopSource stop;
    Deadline deadline = Deadline::never();
    StopToken outer;
};

}  // namespace

struct LeaseKeeper::State {
    Options options;
    WorkerIdentity identity;
    std::mutex mutex;
    std::condition_variable wake;
    std::map<std::uint64_t, Kept> kept;
    std::uint64_t next_number = 1;
    bool stopping = false;
    std::optional<postgres::Connection> db;  // the keeper thread's
    std::thread thread;

    explicit State(Options o) : options(std::move(o)) {}

    void connect() {
        auto connection = postgres::Connection::connect(options.db);
        if (identity.id == 0) {
            const auto row = connection.exec(
                "insert into etl_workers (name, host, pid, concurrency) values ($1, $2, $3, $4) returning worker_id",
                {options.name, host_name(), static_cast<int>(::getpid()), static_cast<int>(options.concurrency)}
            );
            identity = {row.integer(0, "worker_id"), options.name};
        }
        connection.exec("select pg_advisory_lock($1, $2)", {worker_lock_class, static_cast<int>(identity.id)});
        db.emplace(std::move(connection));
    }

    void run() {
        auto renew_at = Deadline::in(milliseconds(0));
        std::unique_lock lock(mutex);
        while (!stopping) {
            watch_clocks();
            if (renew_at.passed()) {
                auto attempts = attempt_ids();
                lock.unlock();
                const bool good = renew(attempts);
                lock.lock();
                renew_at = Deadline::in(good ? std::min(milliseconds(1000), options.lease / 4) : milliseconds(100));
            }
            wake.wait_for(lock, std::min(tick, options.lease / 8), [&] { return stopping; });
        }
        say_goodbye();
    }

    // Under the lock.
    void watch_clocks() {
        for (auto& [number, one] : kept) {
            if (one.deadline.passed()) {
                one.stop.request_stop(std::string(stop_timeout));
            }
            if (one.outer.stop_requested()) {
                one.stop.request_stop(
                    one.outer.reason() == stop_shutdown ? std::string(stop_shutdown) : std::string(stop_lease_lost)
                );
            }
        }
    }

    std::vector<std::string> attempt_ids() const {
        std::vector<std::string> ids;
        for (const auto& [number, one] : kept) {
            ids.push_back(one.attempt_id);
        }
        return ids;
    }

    bool renew(const std::vector<std::string>& attempts) {
        try {
            if (!db || db->broken()) {
                connect();
            }
            db->exec("update etl_workers set seen_at = now() where worker_id = $1", {identity.id});
            if (attempts.empty()) {
                return true;
            }
            // A decided run keeps its attempt id until it is published: that is no loss.
            // A decision may hold its run's row for long: it needs no lease meanwhile, and must not keep the others
            // from theirs.
            const auto rows = db->exec(
                "with mine as (select run_id, attempt_id, cancel_requested and state = 'running' as cancel from"
                "  etl_runs where attempt_id = any($1::uuid[]) and state in ('running', 'committed', 'succeeded')),"
                " free as (select r.run_id from etl_runs r join mine using (run_id) for no key update of r skip"
                "  locked),"
                " renewed as (update etl_runs r set lease_until = now() + $2 * interval '1 ms' from free where"
                "  r.run_id = free.run_id)"
                " select attempt_id, cancel from mine",
                {postgres::Param::array(attempts), static_cast<std::int64_t>(options.lease.count())}
            );
            pass_on(attempts, rows);
            return true;
        } catch (const std::exception& e) {
            log::warn("leases are not renewed; tried again at once", {{"error", e.what()}});
            db.reset();
            return false;
        }
    }

    void pass_on(const std::vector<std::string>& attempts, const postgres::Result& rows) {
        std::set<std::string, std::less<>> alive;
        std::set<std::string, std::less<>> cancelled;
        for (std::size_t i = 0; i < rows.rows(); ++i) {
            alive.emplace(rows.text(i, "attempt_id"));
            if (rows.boolean(i, "cancel")) {
                cancelled.emplace(rows.text(i, "attempt_id"));
            }
        }
        const std::set<std::string, std::less<>> asked(attempts.begin(), attempts.end());
        std::lock_guard lock(mutex);
        for (auto& [number, one] : kept) {
            if (cancelled.contains(one.attempt_id)) {
                one.stop.request_stop(std::string(stop_cancelled));
            } else if (asked.contains(one.attempt_id) && !alive.contains(one.attempt_id)) {
                one.stop.request_stop(std::string(stop_lease_lost));
            }
        }
    }

    void say_goodbye() noexcept {
        try {
            if (db) {
                db->exec("update etl_workers set stopped_at = now() where worker_id = $1", {identity.id});
            }
        } catch (const std::exception&) {
            return;  // the lock goes with the connection
        }
    }
};

LeaseKeeper::LeaseKeeper(Options options) : state_(std::make_unique<State>(std::move(options))) {
    state_->connect();
    state_->thread = std::thread([state = state_.get()] { state->run(); });
}

LeaseKeeper::~LeaseKeeper() {
    {
        std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->wake.notify_one();
    state_->thread.join();
}

const WorkerIdentity& LeaseKeeper::identity() const {
    return state_->identity;
}

LeaseKeeper::Guard LeaseKeeper::keep(std::string attempt_id, StopSource stop, Deadline deadline, StopToken outer) {
    std::lock_guard lock(state_->mutex);
    const auto number = state_->next_number++;
    state_->kept.emplace(number, Kept{std::move(attempt_id), std::move(stop), deadline, std::move(outer)});
    return {*this, number};
}

void LeaseKeeper::stop_all(std::string_view reason) {
    std::lock_guard lock(state_->mutex);
    for (auto& [number, one] : state_->kept) {
        one.stop.request_stop(std::string(reason));
    }
}

void LeaseKeeper::forget(std::uint64_t number) {
    std::lock_guard lock(state_->mutex);
    state_->kept.erase(number);
}

}  // namespace headrace::run
