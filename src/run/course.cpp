#include "run/course.hpp"

#include "base/ids.hpp"
#include "base/killpoint.hpp"
#include "base/log.hpp"
#include "run/lease_keeper.hpp"
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
Error translate(const Error& error, const StopToken& stop, milliseconds timeout) {
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

class Course {
public:
    Course(const Hands& hands, const RunHead& head, Work& work)
        : ledger_(hands.ledger), hands_(hands), head_(head), work_(work) {}

    Done run() {
        std::vector<OutputSpec> outputs;
        try {
            outputs = work_.outputs();
        } catch (const Error& error) {
            return refuse(error);
        }
        if (!take(outputs)) {
            return again(milliseconds(0));
        }
        switch (claim_.outcome) {
            case ClaimOutcome::busy:
                return again(claim_.wait);
            case ClaimOutcome::finished:
                return finished(head_.run_id, claim_.state);
            case ClaimOutcome::redo:
                return publish(nullptr);
            case ClaimOutcome::claimed:
                break;
        }
        work_.state_changed();
        return attempt();
    }

private:
    // False: it is not known whether the run is ours. If it is, it is given back at once: nobody renews its lease, and
    // after that it would look like the death of a worker.
    bool take(const std::vector<OutputSpec>& outputs) {
        const auto attempt_id = make_uuid_v4();
        try {
            claim_ = ledger_.claim(head_.run_id, hands_.worker, outputs, hands_.lease, attempt_id);
            return true;
        } catch (const postgres::CommitUnknown&) {
            write_end({head_.run_id, attempt_id, std::nullopt});
            return false;
        }
    }

    // Nullopt: it is not known to be written, and owed.
    std::optional<Ending> write_end(OwedEnd one) {
        try {
            if (one.end) {
                return ledger_.end_attempt(one.run_id, one.attempt_id, *one.end);
            }
            ledger_.release(one.run_id, one.attempt_id);
            return Ending{};
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::transient) {
                throw;
            }
            log::warn("the end of an attempt is not written yet", {{"run", one.run_id}, {"error", error.what()}});
            hands_.owed.add(std::move(one));
            return std::nullopt;
        }
    }

    Done refuse(const Error& error) {
        ledger_.fail_unclaimed(head_.run_id, error);
        work_.state_changed();
        return {.kind = Done::Kind::failed, .text = error.what()};
    }

    Done attempt() {
        auto& journal = work_.begin(claim_);
        auto decision = Decision::fenced;
        std::optional<Error> error;
        try {
            decision = decide(work_.stage(), journal);
        } catch (...) {
            error = translate(as_error(std::current_exception()), work_.stop(), work_.definition().timeout);
        }
        work_.settle(keep_);
        if (!error && decision == Decision::committed) {
            auto done = publish(&journal);
            work_.close_journal();
            return done;
        }
        if (!error && decision == Decision::fenced) {
            error.emplace(ErrorKind::cancelled, "run.fenced", "another attempt has taken over");
        }
        if (error && error->code() == "run.fenced") {
            // Not an end: after a failover Postgres may say again that the run is ours.
            return hand_back(journal, *error, journal.running_step(), false);
        }
        return end(journal, error.value_or(Error(ErrorKind::cancelled, "run.cancelled", "cancelled")));
    }

    Decision decide(const Sealed& sealed, Journal& journal) {
        for (;;) {
            try {
                const auto decision = ledger_.decide(
                    head_.run_id, claim_.attempt_id, sealed, journal.counters(), work_.deadline(), work_.stop()
                );
                return decided(decision, sealed, journal);
            } catch (const postgres::CommitUnknown& e) {
                journal.log(
                    "warn",
                    "commit",
                    fmt::format("the answer to COMMIT was lost ({}); asking Postgres what it decided", e.message())
                );
                // Until we know, the staging may be what the ledger points at: it must not be thrown away.
                keep_ = true;
                const auto found = ledger_.verdict(head_.run_id, claim_.attempt_id);
                keep_ = false;
                if (found != Verdict::undecided) {
                    return decided(
                        found == Verdict::committed ? Decision::committed : Decision::fenced, sealed, journal
                    );
                }
            }
        }
    }

    Decision decided(Decision decision, const Sealed& sealed, Journal& journal) {
        keep_ = decision == Decision::committed;
        if (keep_) {
            const auto count = sealed.outputs.size();
            journal.done("commit", journal.rows_written, journal.bytes_written);
            journal.log(
                "info",
                "commit",
                fmt::format(
                    "committed {} rows into {} output{}", journal.rows_written.load(), count, count == 1 ? "" : "s"
                )
            );
        }
        return decision;
    }

    Done end(Journal& journal, const Error& error) {
        const auto step = journal.running_step();
        const auto reason = work_.stop().reason();
        if (reason == stop_shutdown || reason == stop_lease_lost) {
            return hand_back(journal, error, step, reason == stop_shutdown);
        }
        const bool quiet = error.kind() == ErrorKind::cancelled;
        const auto line = journal.log(quiet ? "warn" : "error", step, error.what());
        if (!step.empty()) {
            journal.fail(step, error.code());
        }
        work_.close_journal();
        const auto& retry = work_.definition().retry;
        const auto ending = write_end(
            {head_.run_id,
             claim_.attempt_id,
             AttemptEnd{
                 .error = error,
                 .step = step,
                 .log_seq = line,
                 .backoff = retry.backoff,
                 .backoff_max = retry.max,
                 .counters = journal.counters()},
             work_.lease()}
        );
        work_.state_changed();
        tell_end(ending ? ending->state : "owed", error);
        if (!ending || ending->state == "queued") {
            return again(ending ? ending->wait : milliseconds(1000));
        }
        if (ending->state == "failed") {
            return {.kind = Done::Kind::failed, .text = error.what()};
        }
        return finished(head_.run_id, ending->state);
    }

    // No failure of the pipeline. A lease that is lost may still be ours in Postgres: the queue took the job from us,
    // or the ledger did and nobody has claimed the run since.
    Done hand_back(Journal& journal, const Error& error, std::string_view step, bool shutdown) {
        journal.log(
            "warn",
            step,
            shutdown ? "the worker stops: the run is handed back"
                     : std::string(error.what()) + ": the run is handed back"
        );
        work_.close_journal();
        write_end({head_.run_id, claim_.attempt_id, std::nullopt, work_.lease()});
        work_.state_changed();
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
    Done publish(Journal* journal) {
        if (journal != nullptr) {
            journal->begin("publish");
        }
        try {
            if (!publish_run(ledger_, hands_.outputs, head_.run_id)) {
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
        work_.state_changed();
        HEADRACE_POINT("K16");
        return finished(head_.run_id, "succeeded");
    }

    LedgerStore& ledger_;
    const Hands& hands_;
    const RunHead& head_;
    Work& work_;
    Claim claim_;
    bool keep_ = false;  // what was staged: the ledger points at it, or may do so
};

}  // namespace

Done run_course(const Hands& hands, const Delivery& delivery, const WorkFor& work_for) {
    try {
        hands.owed.settle(hands.ledger);
        const auto head = hands.ledger.read_head(delivery);
        if (!head) {
            return {
                .kind = Done::Kind::failed,
                .text = fmt::format("pipeline.not_found: there is no pipeline {}", delivery.pipeline)};
        }
        const auto work = work_for(*head);
        return Course(hands, *head, *work).run();
    } catch (const std::exception& e) {
        // Postgres is away or the like: the ledger knows where the run stands, the job comes back and asks it.
        log::warn("delivery could not be handled; it comes again", {{"job", delivery.job_id}, {"error", e.what()}});
        return again(milliseconds(1000));
    }
}

}  // namespace headrace::run
