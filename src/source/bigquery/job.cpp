#include "source/bigquery/job.hpp"

#include "base/ids.hpp"
#include "base/log.hpp"
#include "base/units.hpp"

#include <fmt/core.h>

namespace headrace::source::bigquery {
namespace {

constexpr int most_jobs = 3;
constexpr auto cancel_patience = std::chrono::seconds(5);
constexpr auto early_answer = std::chrono::milliseconds(200);  // of a call that should have waited at the server

}  // namespace

void QueryJob::say(std::string_view level, std::string message) const {
    if (api_.context().log) {
        api_.context().log(level, std::move(message));
    }
}

void QueryJob::estimate() {
    const auto answer = api_.ask(dry_run_call(config_));
    if (answer.refusal) {
        throw to_error(*answer.refusal, "check the query");
    }
    const auto envelope = parse_envelope(answer.body);
    if (envelope.error) {
        throw to_error(*envelope.error, "check the query");
    }
    if (!envelope.bytes_processed) {
        say("warn", "the dry run did not say how much the query reads");
        return;
    }
    const auto bytes = *envelope.bytes_processed;
    say("info", fmt::format("dry run: the query reads {} ({} bytes)", format_bytes(bytes), bytes));
    if (config_.maximum_bytes_billed && bytes > *config_.maximum_bytes_billed) {
        throw Error(
            ErrorKind::permanent,
            "source.cost",
            fmt::format(
                "the query would read {} bytes ({}), above `maximum_bytes_billed` = {} bytes ({})",
                bytes,
                format_bytes(bytes),
                *config_.maximum_bytes_billed,
                format_bytes(*config_.maximum_bytes_billed)
            )
        );
    }
}

Result QueryJob::run() {
    for (;;) {
        start();
        if (auto result = wait()) {
            return std::move(*result);
        }
        running_ = false;
        if (number_ >= most_jobs) {
            throw to_error(*lost_, "run the query");
        }
        say("warn", fmt::format("BigQuery lost the job ({}): starting a new one", lost_->reason));
    }
}

// The id is ours and fresh: whatever becomes of the answer, there is one job of this id at most.
void QueryJob::start() {
    const auto& context = api_.context();
    const auto attempt = context.attempt_id.empty() ? make_uuid_v4() : context.attempt_id;
    job_ = {job_id(context.run_id, attempt, mark_, ++number_), config_.location};
    running_ = true;
    const auto answer = api_.ask(insert_call(config_, job_, context.run_id));
    if (answer.refusal && answer.refusal->status == 409) {
        adopt();
    } else if (answer.refusal) {
        running_ = worth_repeating(*answer.refusal);
        throw to_error(*answer.refusal, "start the query");
    } else {
        const auto job = parse_job(answer.body);
        if (job.id != job_.id) {
            throw Error(
                ErrorKind::permanent, "source.bad_data", "BigQuery answered with another job than the one it was sent"
            );
        }
        job_.location = job.location.empty() ? job_.location : job.location;
    }
    say("info",
        fmt::format("BigQuery job {} in {}", job_.id, job_.location.empty() ? "its default place" : job_.location));
}

// The answer to an earlier try was lost, but the job is there.
void QueryJob::adopt() {
    const auto job = ask_job("find the query that was started");
    if (job.id != job_.id || job.query != config_.query) {
        running_ = false;
        throw Error(
            ErrorKind::permanent, "source.query", fmt::format("job {} exists and is not the query of this run", job_.id)
        );
    }
    job_.location = job.location;
    say("info", "the answer to the start was lost; the job is there and is taken over");
}

// Right after a 409 BigQuery may not know the job for a moment.
Job QueryJob::ask_job(std::string_view doing) {
    Patience patience(config_, api_.context());
    for (;;) {
        const auto answer = api_.ask(get_job_call(config_, job_));
        if (!answer.refusal) {
            return parse_job(answer.body);
        }
        if (answer.refusal->status != 404 || !patience.wait()) {
            throw to_error(*answer.refusal, doing);
        }
    }
}

// nullopt: the job failed and is worth another (lost_).
std::optional<Result> QueryJob::wait() {
    for (auto asked = Deadline::Clock::now();; asked = Deadline::Clock::now()) {
        const auto answer = api_.ask(wait_call(config_, job_));
        auto envelope = answer.refusal ? Envelope() : parse_envelope(answer.body);
        const auto refusal = answer.refusal ? answer.refusal : envelope.error;
        if (refusal) {
            // A failed job shows as an HTTP error here, too: the job itself says which it is.
            const auto job = ask_job("wait for the query");
            if (!job.error) {
                throw to_error(*refusal, "wait for the query");
            }
            running_ = false;
            lost_ = job.error;
            if (!worth_a_new_job(job.error->reason)) {
                throw to_error(*job.error, "run the query");
            }
            return std::nullopt;
        }
        if (envelope.complete) {
            running_ = false;
            if (envelope.job_id != job_.id) {
                throw Error(
                    ErrorKind::permanent, "source.bad_data", "BigQuery answered with the result of another job"
                );
            }
            if (!envelope.warning.empty()) {
                say("warn", "BigQuery: " + envelope.warning);
            }
            if (!envelope.columns || !envelope.total_rows) {
                throw Error(ErrorKind::permanent, "source.query", "the query has no result: is it a SELECT?");
            }
            return Result{std::move(*envelope.columns), *envelope.total_rows};
        }
        if (Deadline::Clock::now() - asked < early_answer) {
            Patience(config_, api_.context()).wait();
        }
    }
}

TableName QueryJob::destination() {
    return ask_job("say where the result is").destination;
}

void QueryJob::settle() {
    const auto answer = api_.ask(get_job_call(config_, job_));
    if (answer.refusal) {
        say("warn", fmt::format("what the query cost is not known: {}", answer.refusal->message));
        return;
    }
    const auto job = parse_job(answer.body);
    if (job.error || job.state != "DONE" || job.id != job_.id) {
        throw Error(
            ErrorKind::transient,
            "source.incomplete",
            fmt::format("the job behind the rows is not done ({})", job.error ? job.error->message : job.state)
        );
    }
    if (job.cache_hit) {
        say("info", "answered from BigQuery's cache: nothing is billed");
    } else if (job.bytes_billed) {
        say("info",
            fmt::format(
                "BigQuery bills {} ({} bytes), processed {} bytes",
                format_bytes(*job.bytes_billed),
                *job.bytes_billed,
                job.bytes_processed.value_or(0)
            ));
    }
}

void QueryJob::cancel() noexcept {
    if (!running_) {
        return;
    }
    try {
        const auto deadline = Deadline::in(cancel_patience);
        // The answer to the start, which says where the job runs, was not waited for. No place, no cancel.
        if (job_.location.empty()) {
            if (const auto answer = api_.tell(get_job_call(config_, job_), deadline)) {
                job_.location = parse_job(*answer).location;
            }
        }
        if (api_.tell(cancel_call(config_, job_), deadline)) {
            say("info", fmt::format("asked BigQuery to cancel job {}", job_.id));
        } else {
            say("warn", fmt::format("BigQuery did not take the cancel of job {}", job_.id));
        }
    } catch (const std::exception& error) {
        log::warn("a job may still run at BigQuery", {{"job", job_.id}, {"error", error.what()}});
    } catch (...) {
        log::warn("a job may still run at BigQuery", {{"job", job_.id}});
    }
}

}  // namespace headrace::source::bigquery
