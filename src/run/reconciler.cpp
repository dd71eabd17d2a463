#include "run/reconciler.hpp"

#include "base/killpoint.hpp"
#include "base/log.hpp"
#include "redis/connection.hpp"
#include "run/control.hpp"
#include "run/dispatcher.hpp"
#include "run/epoch.hpp"
#include "run/ledger.hpp"
#include "run/publisher.hpp"
#include "run/staging_sweep.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace headrace::run {
namespace {

using std::chrono::milliseconds;

// Ours to publish only when its own worker had time to: the live path takes milliseconds.
constexpr std::string_view overdue_outputs =
    "select output_id from etl_outputs where not published and not removed and decided_at < now() - interval '2 "
    "seconds' order by output_id";

constexpr std::string_view finished_commits =
    "select run_id, pipeline from etl_runs r where state = 'committed' and committed_at < now() - interval '2 seconds' "
    "and not exists"
    " (select 1 from etl_outputs o where o.run_id = r.run_id and not o.published)";

constexpr auto staging_interval = std::chrono::minutes(1);

// Work on many rows in Redis goes on at the next sweep: dead workers must not wait for it.
constexpr milliseconds patience{2'000};

// A worker that is frozen within a transaction holds the rows of its run: the others must not wait for it.
constexpr milliseconds lock_patience{100};

template <class Body>
void unless_locked(Body&& body) {
    try {
        body();
    } catch (const Error& e) {
        if (e.code() != "postgres.conflict") {
            throw;
        }
    }
}

}  // namespace

struct Reconciler::State {
    Options options;
    JournalWriter& journal;
    bullmq::Queue queue;
    std::mutex mutex;
    std::condition_variable wake;
    bool stopping = false;
    bool poked = false;
    std::optional<postgres::Connection> db;
    std::optional<redis::Connection> cache;
    Deadline staging_again = Deadline::in(milliseconds(0));
    std::thread thread;

    State(Options o, JournalWriter& j)
        : options(std::move(o)), journal(j), queue(options.queue, options.queue_name, options.queue_prefix) {}

    void run() {
        std::unique_lock lock(mutex);
        while (!stopping) {
            poked = false;
            lock.unlock();
            sweep();
            lock.lock();
            wake.wait_for(lock, options.sweep, [&] { return stopping || poked; });
        }
    }

    // Each part by itself: a Redis that is away must not keep Postgres' side from being mended, and the other way
    // round.
    void sweep() {
        if (!part("postgres", [&] { connect_db(); })) {
            return;
        }
        // A part that breaks the link to Postgres ends the sweep.
        const auto next = [&](std::string_view name, auto&& body) {
            if (db) {
                part(name, body);
            }
        };
        next("reap", [&] { reap_dead(); });
        next("outbox", [&] { dispatch(*db, queue); });
        next("queue", [&] { resend_lost(); });
        next("publish", [&] { publish_overdue(); });
        next("outputs", [&] { heal_outputs(); });
        next("finish", [&] { finish_committed(); });
        next("retire", [&] { retire_rows(*db, cache_connection(), Deadline::in(patience)); });
        if (staging_again.passed()) {
            next("staging", [&] { drop_orphans(); });
            staging_again = Deadline::in(staging_interval);
        }
    }

    template <class Body>
    bool part(std::string_view name, Body&& body) {
        try {
            body();
            return true;
        } catch (const std::exception& e) {
            log::warn("reconciler: tried again at the next sweep", {{"part", std::string(name)}, {"error", e.what()}});
            if (db && db->broken()) {
                db.reset();
            }
            cache.reset();
            return false;
        }
    }

    void connect_db() {
        if (db && !db->broken()) {
            db->exec("select 1");
            return;
        }
        auto impatient = options.db;
        impatient.lock_timeout = lock_patience;
        db.emplace(postgres::Connection::connect(impatient));
        if (check_epoch(*db)) {
            log::warn("this Postgres is another one than before (failover or restore): outputs are published again");
        }
    }

    redis::Connection& cache_connection() {
        if (!cache || cache->is_dead()) {
            cache.emplace(redis::Connection::connect(options.cache, StopToken()));
        }
        return *cache;
    }

    void reap_dead() {
        for (const auto& run : reap(*db)) {
            log::warn(
                "a worker died during a run", {{"run", run.run_id}, {"pipeline", run.pipeline}, {"state", run.state}}
            );
            journal.state_changed(run.run_id, run.pipeline);
        }
    }

    // Queued runs whose job Redis lost, or whose job BullMQ gave up: a new job with a new id.
    void resend_lost() {
        const auto rows = db->exec(
            "select run_id, job_id from etl_runs r where state = 'queued' and available_at < now() - $1 * interval '1 "
            "ms' and not exists"
            " (select 1 from etl_outbox o where o.run_id = r.run_id and o.sent_at is null)",
            {static_cast<std::int64_t>(2 * options.sweep.count())}
        );
        bool any = false;
        for (std::size_t i = 0; i < rows.rows(); ++i) {
            const auto state = queue.state(rows.text(i, "job_id"));
            if (state != "unknown" && state != "completed" && state != "failed") {
                continue;
            }
            unless_locked([&] { send_again(rows.text(i, "run_id"), rows.text(i, "job_id")); });
            log::warn(
                "a queued run had no job: sent again", {{"run", std::string(rows.text(i, "run_id"))}, {"job", state}}
            );
            any = true;
        }
        if (any) {
            dispatch(*db, queue);
        }
    }

    void send_again(std::string_view run_id, std::string_view job_id) {
        db->transaction([&](postgres::Connection& c) {
            const auto moved = c.exec(
                "update etl_runs set sends = sends + 1, job_timestamp = 0, job_id = 'run-' || run_id || '-' || "
                "(sends + 1)"
                " where run_id = $1 and state = 'queued' and job_id = $2",
                {run_id, job_id}
            );
            if (moved.affected() == 1) {
                c.exec("insert into etl_outbox (run_id) values ($1)", {run_id});
            }
        });
    }

    void publish_overdue() {
        const auto rows = db->exec(overdue_outputs);
        for (std::size_t i = 0; i < rows.rows(); ++i) {
            unless_locked([&] { publish(rows.integer(i, "output_id"), false); });
        }
    }

    void heal_outputs() {
        for (const auto& stale : find_stale(*db, cache_connection())) {
            if (stale.ahead && raise_epoch_over(*db, stale.output_id, stale.epoch, stale.seq, stale.run_id)) {
                log::warn(
                    "Redis has a generation that Postgres does not know (restored from a backup?): what Postgres knows "
                    "is published again",
                    {{"output", std::to_string(stale.output_id)}}
                );
            }
            unless_locked([&] { publish(stale.output_id, stale.lost); });
        }
    }

    void publish(std::int64_t output_id, bool force) {
        HEADRACE_POINT("K19");
        const auto result = publish_output(*db, cache_connection(), output_id, force, Deadline::in(patience));
        const auto row = db->exec("select pipeline, run_id from etl_outputs where output_id = $1", {output_id});
        const auto pipeline = std::string(row.text(0, "pipeline"));
        const auto run_id = std::string(row.text(0, "run_id"));
        if (result == PublishResult::applied) {
            log::info("output published again", {{"pipeline", pipeline}, {"output", std::to_string(output_id)}});
            journal.state_changed(run_id, pipeline);
        }
        if (result == PublishResult::no_stage) {
            if (abandon(*db, run_id)) {
                log::warn("a decided run lost its staged rows in Redis", {{"run", run_id}, {"pipeline", pipeline}});
                journal.state_changed(run_id, pipeline);
            }
            republish(pipeline);
        }
    }

    // Nothing is left to publish from: the source is read again, unless a run of the pipeline is on its way.
    void republish(const std::string& pipeline) {
        try {
            const auto run = trigger_run(
                *db,
                {.pipeline = pipeline,
                 .trigger = "republish",
                 .by = "headrace",
                 .reason = "Redis lost the output and no copy is kept in Postgres",
                 .idempotency_key = std::nullopt,
                 .retry_of = std::nullopt}
            );
            log::warn(
                "an output is lost in Redis: the pipeline runs again", {{"pipeline", pipeline}, {"run", run.run_id}}
            );
            journal.state_changed(run.run_id, pipeline, true);
            dispatch(*db, queue);
        } catch (const Error& e) {
            if (e.code() != "run.already_active" && e.code() != "pipeline.not_found") {
                throw;
            }
        }
    }

    void drop_orphans() {
        for (const auto& name : sweep_staging(*db)) {
            log::info("staging of a dead attempt dropped", {{"table", name}});
        }
    }

    void finish_committed() {
        const auto rows = db->exec(finished_commits);
        for (std::size_t i = 0; i < rows.rows(); ++i) {
            unless_locked([&] { acknowledge(*db, 0, 0, rows.text(i, "run_id")); });
            journal.state_changed(std::string(rows.text(i, "run_id")), std::string(rows.text(i, "pipeline")));
        }
    }
};

Reconciler::Reconciler(Options options, JournalWriter& journal)
    : state_(std::make_unique<State>(std::move(options), journal)) {
    state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Reconciler::~Reconciler() {
    {
        std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->wake.notify_one();
    state_->thread.join();
}

void Reconciler::poke() {
    {
        std::lock_guard lock(state_->mutex);
        state_->poked = true;
    }
    state_->wake.notify_one();
}

}  // namespace headrace::run
