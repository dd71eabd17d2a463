#include "run/sweep.hpp"

#include "base/killpoint.hpp"
#include "base/log.hpp"

namespace headrace::run {
namespace {

constexpr auto staging_interval = std::chrono::minutes(1);

// Work on many rows in Redis goes on at the next round: dead workers must not wait for it.
constexpr milliseconds patience{2'000};

// A worker that is frozen within a transaction holds the rows of its run: the others must not wait for it.
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

Sweep::Sweep(
    LedgerStore& ledger,
    OutputStore& outputs,
    RunQueue& queue,
    OwedEnds& owed,
    milliseconds interval,
    Changed changed
)
    : ledger_(ledger),
      outputs_(outputs),
      queue_(queue),
      owed_(owed),
      interval_(interval),
      changed_(std::move(changed)) {}

// Each part by itself: a Redis that is away must not keep Postgres' side from being mended, and the other way round.
void Sweep::run() {
    ledger_lost_ = false;
    const bool good = part("postgres", [&] {
        if (ledger_.check_epoch()) {
            log::warn("this Postgres is another one than before (failover or restore): outputs are published again");
        }
    });
    if (!good) {
        return;
    }
    // Without Postgres there is nothing to do.
    const auto next = [&](std::string_view name, const std::function<void()>& body) {
        if (!ledger_lost_) {
            part(name, body);
        }
    };
    next("owed", [&] { owed_.settle(ledger_); });
    next("reap", [&] { reap_dead(); });
    next("outbox", [&] { ledger_.send_outbox(queue_); });
    next("queue", [&] { resend_lost(); });
    next("publish", [&] { publish_overdue(); });
    next("outputs", [&] { heal_outputs(); });
    next("finish", [&] { finish_committed(); });
    next("retire", [&] { outputs_.retire(ledger_.retirable(), Deadline::in(patience)); });
    if (staging_again_.passed()) {
        next("staging", [&] { drop_orphans(); });
        staging_again_ = Deadline::in(staging_interval);
    }
}

bool Sweep::part(std::string_view name, const std::function<void()>& body) {
    try {
        body();
        return true;
    } catch (const std::exception& e) {
        log::warn("reconciler: tried again at the next sweep", {{"part", std::string(name)}, {"error", e.what()}});
        const auto* error = dynamic_cast<const Error*>(&e);
        ledger_lost_ = error != nullptr && error->code() == "postgres.connect";
        return false;
    }
}

void Sweep::reap_dead() {
    for (const auto& run : ledger_.reap()) {
        log::warn(
            "a worker died during a run", {{"run", run.run_id}, {"pipeline", run.pipeline}, {"state", run.state}}
        );
        changed_(run.run_id, run.pipeline, false);
    }
}

// Queued runs whose job Redis lost, or whose job BullMQ gave up: a new job with a new id. A job that still waits for
// its time was delayed by a clock that is ahead of Postgres': it comes now.
void Sweep::resend_lost() {
    bool any = false;
    for (const auto& run : ledger_.queued_for(2 * interval_)) {
        const auto state = queue_.state(run.job_id);
        if (state == "delayed") {
            queue_.promote(run.job_id);
            continue;
        }
        if (state != "unknown" && state != "completed" && state != "failed") {
            continue;
        }
        unless_locked([&] { ledger_.send_again(run); });
        log::warn("a queued run had no job: sent again", {{"run", run.run_id}, {"job", state}});
        any = true;
    }
    if (any) {
        ledger_.send_outbox(queue_);
    }
}

void Sweep::publish_overdue() {
    for (const auto id : ledger_.overdue_outputs()) {
        unless_locked([&] {
            if (const auto generation = ledger_.generation(id)) {
                publish(*generation, false);
            }
        });
    }
}

void Sweep::heal_outputs() {
    for (const auto& stale : find_stale(ledger_, outputs_)) {
        unless_locked([&] {
            if (stale.ahead && ledger_.raise_epoch_over(stale.generation.output_id, stale.live)) {
                log::warn(
                    "Redis has a generation that Postgres does not know (restored from a backup?): what Postgres knows "
                    "is published again",
                    {{"output", std::to_string(stale.generation.output_id)}}
                );
                return;  // the next sweep sees the new epoch
            }
            publish(stale.generation, stale.lost);
        });
    }
}

void Sweep::publish(const Generation& generation, bool force) {
    HEADRACE_POINT("K19");
    const auto& pipeline = generation.pipeline;
    const auto& run_id = generation.run_id;
    const auto result = run::publish(ledger_, outputs_, generation, force, Deadline::in(patience));
    if (result == PublishResult::applied) {
        log::info("output published again", {{"pipeline", pipeline}, {"output", std::to_string(generation.output_id)}});
        changed_(run_id, pipeline, false);
    }
    if (result == PublishResult::no_stage) {
        if (ledger_.abandon(run_id)) {
            log::warn("a decided run lost its staged rows in Redis", {{"run", run_id}, {"pipeline", pipeline}});
            changed_(run_id, pipeline, false);
        }
        republish(pipeline);
    }
}

// Nothing is left to publish from: the source is read again, unless a run of the pipeline is on its way.
void Sweep::republish(const std::string& pipeline) {
    try {
        const auto run = ledger_.trigger(
            {.pipeline = pipeline,
             .trigger = "republish",
             .by = "headrace",
             .reason = "Redis lost the output and no copy is kept in Postgres",
             .idempotency_key = std::nullopt,
             .retry_of = std::nullopt}
        );
        log::warn("an output is lost in Redis: the pipeline runs again", {{"pipeline", pipeline}, {"run", run.run_id}});
        changed_(run.run_id, pipeline, true);
        ledger_.send_outbox(queue_);
    } catch (const Error& e) {
        if (e.code() != "run.already_active" && e.code() != "pipeline.not_found") {
            throw;
        }
    }
}

void Sweep::finish_committed() {
    for (const auto& run : ledger_.overdue_runs()) {
        unless_locked([&] { ledger_.acknowledge(0, 0, run.run_id); });
        changed_(run.run_id, run.pipeline, false);
    }
}

void Sweep::drop_orphans() {
    for (const auto& name : ledger_.sweep_staging()) {
        log::info("staging of a dead attempt dropped", {{"table", name}});
    }
}

}  // namespace headrace::run
