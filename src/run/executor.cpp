#include "run/executor.hpp"

#include "base/ids.hpp"
#include "base/killpoint.hpp"
#include "base/log.hpp"
#include "pipeline/parse.hpp"
#include "run/attempt.hpp"
#include "run/publisher.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/core.h>

#include <algorithm>

namespace headrace::run {
namespace {

Done again(milliseconds wait) {
    return {.kind = Done::Kind::again, .text = {}, .wait = std::max(wait, milliseconds(50))};
}

// The job's answer says how the run ended; details are in the history.
Done finished(std::string_view run_id, std::string_view state) {
    const boost::json::object text{{"runId", std::string(run_id)}, {"state", std::string(state)}};
    return {.kind = Done::Kind::completed, .text = boost::json::serialize(text)};
}

// What a stop means for the run.
Error translate(const Error& error, const StopToken& stop, std::chrono::milliseconds timeout) {
    if (!stop.stop_requested()) {
        return error;
    }
    const auto reason = stop.reason();
    if (reason == stop_timeout) {
        return {
            ErrorKind::transient, "run.timeout", fmt::format("the run took longer than {} s", timeout.count() / 1000)};
    }
    if (reason == stop_cancelled) {
        return {ErrorKind::cancelled, "run.cancelled", "cancelled"};
    }
    if (reason == stop_lease_lost) {
        return {ErrorKind::cancelled, "run.lease_lost", "the lease of this attempt is gone"};
    }
    return error;
}

class Execution {
public:
    Execution(Services& services, const RunHead& head, StopToken job_stop)
        : services_(services), head_(head), job_stop_(std::move(job_stop)) {}

    Done run() {
        auto parsed = pipeline::parse_definition(head_.definition, head_.pipeline + ".yaml", services_.registry);
        if (!parsed.ok()) {
            return refuse(Error(ErrorKind::invalid, "pipeline.invalid", parsed.problems.front().text()));
        }
        definition_ = std::move(parsed.definition);
        if (head_.trigger == "republish") {
            leave_out_ledger_sinks();
        }
        if (!take_run()) {
            return again(milliseconds(0));
        }
        switch (claim_.outcome) {
            case ClaimOutcome::busy:
                return again(claim_.wait);
            case ClaimOutcome::finished:
                return finished(head_.run_id, claim_.state);
            case ClaimOutcome::redo:
                return publish();
            case ClaimOutcome::claimed:
                break;
        }
        services_.journal.state_changed(head_.run_id, head_.pipeline);
        return attempt();
    }

private:
    // False: it is not known whether the run is ours. If it is, it is given back at once: nobody renews its lease, and
    // after that it would look like the death of a worker.
    bool take_run() {
        const auto attempt_id = make_uuid_v4();
        try {
            auto db = services_.db.take();
            claim_ = claim(
                *db,
                head_.run_id,
                services_.keeper.identity(),
                output_specs(services_.registry, definition_),
                services_.lease,
                attempt_id
            );
            return true;
        } catch (const postgres::CommitUnknown&) {
            release(*services_.db.take(), head_.run_id, attempt_id);
            return false;
        }
    }

    // Redis lost an output; what the ledger's database holds it has, and appending it again would double it.
    void leave_out_ledger_sinks() {
        std::erase_if(definition_.sinks, [&](const pipeline::Part& part) {
            const auto& types = services_.registry.sinks();
            return std::any_of(types.begin(), types.end(), [&](const pipeline::SinkType& type) {
                return type.name == part.type && type.in_ledger;
            });
        });
    }

    Done refuse(const Error& error) {
        auto db = services_.db.take();
        fail_unclaimed(*db, head_.run_id, error);
        services_.journal.state_changed(head_.run_id, head_.pipeline);
        return {.kind = Done::Kind::failed, .text = error.what()};
    }

    Done attempt() {
        const auto journal = std::make_shared<Journal>(
            head_.run_id, head_.pipeline, claim_.attempt_id, claim_.attempt, claim_.last_log_seq, services_.redactor
        );
        services_.journal.open(journal);
        StopSource stop;
        auto decision = Decision::fenced;
        std::optional<Error> error;
        {
            const auto deadline = Deadline::in(definition_.timeout);
            const auto guard = services_.keeper.keep(claim_.attempt_id, stop, deadline, job_stop_);
            Attempt attempt(services_, head_, definition_, claim_, *journal, stop, deadline);
            try {
                decision = attempt.run();
            } catch (...) {
                error = translate(as_error(std::current_exception()), stop.token(), definition_.timeout);
            }
        }
        if (!error && decision == Decision::committed) {
            auto done = publish(journal.get());
            close(journal);
            return done;
        }
        if (!error) {
            error = decision == Decision::cancelled
                        ? Error(ErrorKind::cancelled, "run.cancelled", "cancelled")
                        : Error(ErrorKind::cancelled, "run.fenced", "another attempt has taken over");
        }
        return end(journal, *error, stop.token());
    }

    Done end(const std::shared_ptr<Journal>& journal, const Error& error, const StopToken& stop) {
        const auto step = journal->running_step();
        if (stop.reason() == stop_shutdown || stop.reason() == stop_lease_lost) {
            return hand_back(journal, error, step, stop.reason() == stop_shutdown);
        }
        const bool quiet = error.kind() == ErrorKind::cancelled;
        const auto line = journal->log(quiet ? "warn" : "error", step, error.what());
        if (!step.empty()) {
            journal->fail(step, error.code());
        }
        const auto& retry = definition_.retry;
        close(journal);
        const auto ending = end_attempt(
            *services_.db.take(),
            head_.run_id,
            claim_.attempt_id,
            error,
            step,
            line,
            retry.backoff,
            retry.max,
            journal->counters()
        );
        services_.journal.state_changed(head_.run_id, head_.pipeline);
        tell_end(ending.state, error);
        if (ending.state == "queued") {
            return again(ending.wait);
        }
        if (ending.state == "failed") {
            return {.kind = Done::Kind::failed, .text = error.what()};
        }
        return finished(head_.run_id, ending.state);
    }

    // No failure of the pipeline. A lease that is lost may still be ours in Postgres: the queue took the job from us,
    // or the ledger did and nobody has claimed the run since.
    Done hand_back(const std::shared_ptr<Journal>& journal, const Error& error, std::string_view step, bool shutdown) {
        journal->log(
            "warn",
            step,
            shutdown ? "the worker stops: the run is handed back"
                     : std::string(error.what()) + ": the run is handed back"
        );
        close(journal);
        release(*services_.db.take(), head_.run_id, claim_.attempt_id);
        services_.journal.state_changed(head_.run_id, head_.pipeline);
        tell_end("handed back", error);
        return again(milliseconds(0));
    }

    void tell_end(std::string_view state, const Error& error) {
        log::info(
            "attempt ended",
            {{"run", head_.run_id},
             {"pipeline", head_.pipeline},
             {"attempt", std::to_string(claim_.attempt)},
             {"state", std::string(state)},
             {"code", error.code()}}
        );
    }

    // Steps 7 and 8 of the protocol. When Redis is away the run stays committed: the job comes back, and the reconciler
    // of every worker tries as well.
    Done publish(Journal* journal = nullptr) {
        if (journal != nullptr) {
            journal->begin("publish");
        }
        try {
            auto db = services_.db.take();
            std::optional<redis::Connection> cache;
            const auto connect = [&]() -> redis::Connection& {
                return cache.emplace(redis::Connection::connect(services_.cache, job_stop_));
            };
            if (!publish_run(*db, connect, head_.run_id)) {
                throw Error(
                    ErrorKind::transient,
                    "redis.command",
                    "the staged rows are gone and no copy is kept: the source is read again"
                );
            }
        } catch (...) {
            const auto error = as_error(std::current_exception());
            if (journal != nullptr) {
                journal->log("warn", "publish", std::string("not visible yet, tried again: ") + error.what());
                journal->fail("publish", error.code());
            }
            return again(milliseconds(1000));
        }
        if (journal != nullptr) {
            journal->done("publish", journal->rows_written, journal->bytes_written);
            journal->log("info", "publish", "published");
        }
        services_.journal.state_changed(head_.run_id, head_.pipeline);
        HEADRACE_POINT("K16");
        return finished(head_.run_id, "succeeded");
    }

    void close(const std::shared_ptr<Journal>& journal) {
        if (!services_.journal.close(journal)) {
            log::warn("the journal of a run is late", {{"run", head_.run_id}});
        }
    }

    Services& services_;
    const RunHead& head_;
    StopToken job_stop_;
    pipeline::Definition definition_;
    Claim claim_;
};

}  // namespace

Done Executor::execute(const Delivery& delivery, const StopToken& job_stop) {
    std::optional<RunHead> head;
    {
        auto db = services_.db.take();
        head = read_head(*db, delivery);
    }
    if (!head) {
        return {
            .kind = Done::Kind::failed,
            .text = fmt::format("pipeline.not_found: there is no pipeline {}", delivery.pipeline)};
    }
    return Execution(services_, *head, job_stop).run();
}

}  // namespace headrace::run
