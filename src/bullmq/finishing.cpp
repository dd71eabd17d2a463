// Speaker: how jobs end, and what the answers mean.
#include "base/error.hpp"
#include "bullmq/speaker.hpp"

#include <boost/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <random>

namespace headrace::bullmq {
namespace {

double random_share() {
    static thread_local std::minstd_rand engine{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(engine);
}

// A parent that must not be finished fails with Node's words: they are stored with the job.
std::string about_children(Code code, const std::string& id, std::string_view command) {
    return code == Code::failed_children
               ? fmt::format("Cannot complete job {} because it has at least one failed child. {}", id, command)
               : fmt::format("Job {} has pending dependencies. {}", id, command);
}

std::string stacktrace_json(const Job& job, const ProcessResult& result) {
    auto traces = job.stacktrace;
    traces.push_back(result.stack.empty() ? result.text : result.stack);
    if (auto limit = job.options.stack_trace_limit; limit && *limit >= 0) {
        const auto keep = static_cast<std::size_t>(*limit);
        if (traces.size() > keep) {
            traces.erase(traces.begin(), traces.end() - *limit);
        }
    }
    boost::json::array out;
    for (const auto& trace : traces) {
        out.emplace_back(trace);
    }
    return boost::json::serialize(out);
}

}  // namespace

KeepJobs Speaker::keep_of(const Job& job, bool failed) const {
    const auto& own = failed ? job.options.remove_on_fail : job.options.remove_on_complete;
    const auto& general = failed ? worker_.remove_on_fail : worker_.remove_on_complete;
    if (own) {
        return keep_jobs(*own);
    }
    return general ? keep_jobs(*general) : KeepJobs{-1, std::nullopt, std::nullopt};
}

// nullopt: fails for good.
std::optional<Millis> Speaker::retry_delay(const Job& job, const ProcessResult& result) const {
    const bool started_too_often =
        worker_.max_started_attempts > 0 && static_cast<int>(worker_.max_started_attempts) <= job.attempts_started;
    if (result.unrecoverable || started_too_often || job.attempts_made + 1 >= job.options.attempts) {
        return std::nullopt;
    }
    if (!job.options.backoff) {
        return Millis(0);
    }
    if (auto delay = backoff_delay(*job.options.backoff, job.attempts_made + 1, random_share())) {
        return delay;
    }
    if (worker_.backoff) {
        return worker_.backoff(job, result.text);
    }
    events_(
        WorkerEvent::Kind::error, job.id, "unknown backoff type " + job.options.backoff->type + ": retried at once"
    );
    return Millis(0);
}

void Speaker::finish(const RunningPtr& running, ProcessResult result) {
    if (running->lock_lost) {
        let_go(running);  // another worker has it, or will: whatever we wrote would be refused
        return;
    }
    running->finishing = true;
    const auto& job = running->job;
    auto one = blank();
    auto& out = one.front();
    out.what = What::finish;
    out.running = running;
    out.fetches = may_fetch();
    out.result = std::move(result);
    const auto now = now_ms();
    switch (out.result.kind) {
        case ProcessResult::Kind::completed: {
            Calls::Finish end{false, out.result.text, keep_of(job, false), nullptr, out.fetches};
            out.call = calls_.move_to_finished(settings_, job, running->token, end, now);
            out.event = WorkerEvent::Kind::completed;
            break;
        }
        case ProcessResult::Kind::failed:
            fail(out, running);
            break;
        case ProcessResult::Kind::delayed:
            out.call = calls_.move_to_delayed(
                settings_,
                job,
                running->token,
                std::max(out.result.delay, Millis(0)),
                !out.result.count_attempt,
                {},
                out.fetches,
                now
            );
            out.event = WorkerEvent::Kind::delayed;
            break;
        case ProcessResult::Kind::waiting_children:
            out.what = What::park;
            out.fetches = false;
            out.call = calls_.move_to_waiting_children(job.id, running->token, now);
            out.event = WorkerEvent::Kind::waiting_children;
            break;
        case ProcessResult::Kind::waiting:
            if (out.result.delay.count() > 0) {
                Pending limit;  // before the release, so that its answer already tells of it
                limit.running = running;
                limit.call = calls_.limit(out.result.delay);
                outbox_.push_back(std::move(limit));
            }
            out.what = What::release;
            out.fetches = false;
            out.call = calls_.move_to_wait(job.id, running->token);
            out.event = WorkerEvent::Kind::returned;
            break;
    }
    outbox_.splice(outbox_.end(), one);
}

// A list of one.
std::list<Speaker::Pending> Speaker::blank() {
    std::list<Pending> one;
    if (spare_.empty()) {
        one.emplace_back();
    } else {
        one.splice(one.end(), spare_, spare_.begin());
    }
    return one;
}

void Speaker::fail(Pending& out, const RunningPtr& running) {
    const auto& job = running->job;
    const auto now = now_ms();
    const auto delay = retry_delay(job, out.result);
    Fields fields{{"failedReason", out.result.text}, {"stacktrace", stacktrace_json(job, out.result)}};
    out.event = delay ? WorkerEvent::Kind::retrying : WorkerEvent::Kind::failed;
    if (!delay) {
        Calls::Finish end{true, out.result.text, keep_of(job, true), &fields, out.fetches};
        out.call = calls_.move_to_finished(settings_, job, running->token, end, now);
    } else if (delay->count() > 0) {
        out.call = calls_.move_to_delayed(settings_, job, running->token, *delay, false, fields, out.fetches, now);
    } else {
        out.fetches = false;
        out.call = calls_.retry_job(job, running->token, fields, now);
    }
}

void Speaker::let_go(const RunningPtr& running) {
    keeper_.untrack(running);
    std::lock_guard guard(mutex_);
    held_.remove(running);
}

void Speaker::receive() {
    while (!in_flight_.empty()) {
        auto reply = connection_->try_read_reply();
        if (!reply) {
            break;
        }
        std::list<Pending> one;
        one.splice(one.end(), in_flight_, in_flight_.begin());
        rest_at_ = {};
        answered(std::move(one.front()), *reply);
        if (spare_.size() < worker_.concurrency) {
            one.front() = {};
            spare_.splice(spare_.end(), one);
        }
    }
    send_again();
    dispatch();
}

void Speaker::answered(Pending&& pending, const redis::Reply& reply) {
    if (redis::is_no_script(reply)) {
        pending.call.resp = redis::as_eval(pending.call.resp, *pending.call.script);  // nothing ran
        again_.push_back(std::move(pending));
        return;
    }
    if (reply.is_error()) {
        const auto error = redis::error_of(reply);
        // The server says "not now" (loading, read-only after a fail-over, out of memory): as if the connection had
        // gone, so that the call waits and comes again. Out of memory is refused before the script starts.
        if (error.kind() != ErrorKind::permanent) {
            if (pending.what != What::note) {
                in_flight_.push_front(std::move(pending));
            }
            throw error;
        }
        events_(WorkerEvent::Kind::error, pending.running ? pending.running->id : std::string(), error.what());
    }
    switch (pending.what) {
        case What::fetch:
            --fetching_;
            if (reply.is_error()) {
                limited_until_ = Clock::now() + Millis(1'000);  // no busy loop against a broken script
            } else {
                take(reply, std::move(pending.token));
            }
            break;
        case What::arm:
            if (reply.is_error() || code_of(reply)) {
                events_(WorkerEvent::Kind::error, pending.running->id, "the next run was not scheduled");
                let_go(pending.running);
            } else {
                launch(pending.running);
            }
            break;
        case What::finish:
        case What::release:
            finish_answered(std::move(pending), reply);
            break;
        case What::park:
            parked(std::move(pending), reply);
            break;
        case What::state: {
            const bool lost = reply.is_error() || reply.str() == "active";
            events_(
                lost ? WorkerEvent::Kind::lock_lost : pending.event,
                pending.running->id,
                lost ? "the finish was not accepted" : "acknowledged after a lost answer"
            );
            let_go(pending.running);
            break;
        }
        case What::clock:
            clock_answered(reply);
            break;
        case What::note:
        case What::done:
            break;
    }
}

// In the order in which they were sent, before everything newer: of two reports of progress the latter must stay.
void Speaker::send_again() {
    outbox_.splice(outbox_.begin(), again_);
}

void Speaker::finish_answered(Pending&& pending, const redis::Reply& reply) {
    if (reply.is_error()) {
        let_go(pending.running);  // told already; the job stalls and comes again
        return;
    }
    if (auto code = code_of(reply)) {
        refused(std::move(pending), *code);
        return;
    }
    calls_.over(std::move(pending.call));
    events_(pending.event, pending.running->id, pending.result.text);
    let_go(pending.running);
    if (pending.what == What::release) {
        const auto limit = reply.integer();
        if (limit > 0) {
            limited_until_ = Clock::now() + std::min(Millis(limit), worker_.max_rate_limit_delay);
        }
    } else if (pending.fetches) {
        take(reply, pending.running->token);
    } else {
        drained_ = false;  // room for another one, and nobody has looked
    }
}

void Speaker::parked(Pending&& pending, const redis::Reply& reply) {
    if (!reply.is_error() && reply.is_integer() && reply.integer() == 1) {
        // No child is open: there is nothing to wait for. The lock is still ours.
        pending.running->finishing = false;
        launch(pending.running);
        return;
    }
    if (code_of(reply) == Code::failed_children) {
        finish(
            pending.running,
            ProcessResult::failed(
                about_children(Code::failed_children, pending.running->id, "moveToWaitingChildren"), true
            )
        );
        return;
    }
    finish_answered(std::move(pending), reply);
}

void Speaker::refused(Pending&& pending, Code code) {
    const auto running = pending.running;
    const bool unclear = code == Code::job_missing || code == Code::lock_missing || code == Code::not_in_state ||
                         code == Code::lock_of_another;
    if (unclear && pending.resent) {
        // Probably the first try was executed and only its answer was lost: the job's state tells.
        pending.what = What::state;
        pending.fetches = false;
        pending.call = calls_.get_state(running->id);
        outbox_.push_back(std::move(pending));
        return;
    }
    if (pending.result.kind == ProcessResult::Kind::completed &&
        (code == Code::pending_children || code == Code::failed_children)) {
        finish(
            running,
            ProcessResult::failed(about_children(code, running->id, "moveToFinished"), code == Code::failed_children)
        );
        return;
    }
    events_(WorkerEvent::Kind::lock_lost, running->id, sentence(code));
    let_go(running);
    drained_ = false;
}

}  // namespace headrace::bullmq
