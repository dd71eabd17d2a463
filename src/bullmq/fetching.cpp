// Speaker: when to fetch, and what a fetch brings.
#include "base/error.hpp"
#include "bullmq/options.hpp"
#include "bullmq/speaker.hpp"
#include "redis/resp.hpp"

#include <boost/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

namespace headrace::bullmq {
namespace {

// v5 stored repeatable jobs under "name:id:endDate:tz:pattern": such a chain cannot be continued by these scripts.
bool is_legacy_repeat_key(std::string_view key) {
    std::vector<std::string_view> parts;
    for (int i = 0; i < 4; ++i) {
        const auto colon = key.find(':');
        if (colon == std::string_view::npos) {
            return false;
        }
        parts.push_back(key.substr(0, colon));
        key.remove_prefix(colon + 1);
    }
    auto digits = [](std::string_view text) {
        return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    return !key.empty() && digits(parts[2]) && (key.find(' ') != std::string_view::npos || digits(key));
}

}  // namespace

std::chrono::system_clock::time_point Speaker::now() const {
    using namespace std::chrono;
    return redis_ahead_ ? system_clock::time_point(
                              duration_cast<system_clock::duration>(Clock::now().time_since_epoch() + *redis_ahead_)
                          )
                        : system_clock::now();
}

std::int64_t Speaker::now_ms() const {
    return std::chrono::floor<Millis>(now()).time_since_epoch().count();
}

// Two clocks drift apart by some milliseconds a minute at worst.
void Speaker::look_at_clock() {
    Pending pending;
    pending.what = What::clock;
    redis::append_command(pending.call.resp, std::array<std::string_view, 1>{"TIME"});
    outbox_.push_back(std::move(pending));
    next_look_ = Clock::now() + std::chrono::minutes(1);
}

void Speaker::clock_answered(const redis::ReplyPart& reply) {
    using namespace std::chrono;
    if (reply.is_error()) {  // an ACL may forbid it
        if (worker_.redis_clock) {
            events_(
                WorkerEvent::Kind::error,
                {},
                "going by this machine's clock, because Redis says: " + std::string(reply.error_text())
            );
        }
        return;
    }
    const auto theirs = seconds(reply.at(0).integer()) + microseconds(reply.at(1).integer());
    if (worker_.redis_clock) {
        redis_ahead_ = theirs - Clock::now().time_since_epoch();
        return;
    }
    const auto ahead = duration<double>(system_clock::now().time_since_epoch() - theirs).count();
    if (std::abs(ahead) > 1) {
        events_(
            WorkerEvent::Kind::error,
            {},
            fmt::format(
                "this machine's clock is {:.1f} s {} Redis': delayed jobs start {} by as much; set the clocks, or the "
                "worker's option redis_clock",
                std::abs(ahead),
                ahead > 0 ? "ahead of" : "behind",
                ahead > 0 ? "early" : "late"
            )
        );
    }
}

bool Speaker::may_fetch() const {
    return !paused_now_ && !closing_now_;
}

void Speaker::plan() {
    if (worker_.redis_clock && Clock::now() >= next_look_) {
        look_at_clock();
    }
    if (!may_fetch()) {
        return;
    }
    const auto now = Clock::now();
    if (limited_until_ > now) {
        return;
    }
    if (limited_until_ != Clock::time_point{}) {
        limited_until_ = {};
        drained_ = false;
    }
    if (fetching_ > 0 || !has_room()) {
        return;
    }
    if (drained_ && ((due_ms_ > 0 && now_ms() >= due_ms_) || now >= safety_)) {
        drained_ = false;
    }
    if (!drained_) {
        fetch();
    } else if (!waiting_) {
        waiting_ = true;
        safety_ = now + worker_.drain_delay + Millis(2'500);  // the waiter answers before that unless it is in trouble
        waiter_->arm();
    }
}

void Speaker::fetch() {
    Pending pending;
    pending.what = What::fetch;
    pending.token = id_ + ":" + std::to_string(next_token_++);
    pending.fetches = true;
    pending.call = calls_.move_to_active(settings_, pending.token, now_ms());
    outbox_.push_back(std::move(pending));
    ++fetching_;
    due_ms_ = 0;
    safety_ = Clock::now() + worker_.drain_delay + Millis(2'500);
}

void Speaker::marker_came(std::optional<std::int64_t> score) {
    waiting_ = false;
    if (!score || *score <= now_ms()) {
        drained_ = false;  // work, or the blocking time is over: look in any case, markers can be missed
        return;
    }
    due_ms_ = due_ms_ > 0 ? std::min(due_ms_, *score) : *score;
}

void Speaker::take(const redis::Reply& reply, std::string token) {
    const auto got = fetched(reply);
    if (got.rate_limited.count() > 0) {
        limited_until_ = Clock::now() + std::min(got.rate_limited, worker_.max_rate_limit_delay);
    }
    due_ms_ = got.next_delayed;
    if (got.job == nullptr) {
        if (!std::exchange(drained_, true) && got.rate_limited.count() == 0) {
            events_(WorkerEvent::Kind::drained, {}, {});
        }
        return;
    }
    drained_ = false;
    begin(std::make_shared<Running>(got.id, *got.job, std::move(token)));
}

void Speaker::begin(const RunningPtr& running) {
    {
        std::lock_guard guard(mutex_);
        held_.add(running);
    }
    keeper_.track(running);
    events_(WorkerEvent::Kind::active, running->id, {});
    if (closing_now_) {
        // Fetched by a call that was already on its way: back at once, so that another worker need not wait.
        finish(running, ProcessResult::waiting());
        return;
    }
    if (!running->job.scheduler_id.empty() && running->job.exists) {
        arm_scheduler(running);
    } else {
        launch(running);
    }
}

void Speaker::arm_scheduler(const RunningPtr& running) {
    const auto& job = running->job;
    if (is_legacy_repeat_key(job.scheduler_id)) {
        events_(WorkerEvent::Kind::error, job.id, "the next run of a repeatable job of BullMQ 5 is not scheduled");
        launch(running);
        return;
    }
    const auto repeat = parse_repeat(job.options_json);
    const auto now = now_ms();
    if ((repeat.limit && repeat.count + 1 > *repeat.limit) || (repeat.end_date && now > *repeat.end_date)) {
        launch(running);
        return;
    }
    std::optional<std::int64_t> next;
    boost::system::error_code parse_error;
    auto base = boost::json::parse(job.options_json, parse_error);
    try {
        if (parse_error || !base.is_object()) {
            throw Error(ErrorKind::permanent, "queue.bad_reply", "the options of the job are not JSON");
        }
        if (!repeat.pattern.empty()) {
            if (!worker_.next_time) {
                throw Error(ErrorKind::invalid, "config.missing", "this worker has no function for cron patterns");
            }
            std::int64_t previous = 0;
            if (const auto* value = base.as_object().if_contains("prevMillis");
                value != nullptr && value->is_number()) {
                previous = static_cast<std::int64_t>(value->to_number<double>());
            }
            next = worker_.next_time(repeat, std::max({now, previous, repeat.start_date.value_or(0)}));
            if (!next) {
                launch(running);
                return;
            }
        }
    } catch (const std::exception& error) {
        // As in Node: without its next run the job must not run, else the chain would end unnoticed. It stalls and is
        // taken again, by a worker that can do better.
        events_(WorkerEvent::Kind::error, job.id, std::string("the next run was not scheduled: ") + error.what());
        let_go(running);
        return;
    }
    auto options = run_options(std::move(base.as_object()), repeat, job.scheduler_id, next, now);
    if (!options.contains("attempts")) {
        options["attempts"] = 0;
    }
    Pending pending;
    pending.what = What::arm;
    pending.running = running;
    pending.call = calls_.update_scheduler(job.scheduler_id, next, job.data, pack_json(options), job.id, now);
    outbox_.push_back(std::move(pending));
}

void Speaker::launch(const RunningPtr& running) {
    const auto& job = running->job;
    if (!job.exists) {
        finish(running, ProcessResult::failed("the job was removed while it waited", true));
    } else if (!job.deferred_failure.empty()) {
        finish(running, ProcessResult::failed(job.deferred_failure, true));
    } else if (worker_.max_started_attempts > 0 && static_cast<int>(worker_.max_started_attempts) < job.attempts_started) {
        finish(running, ProcessResult::failed("job started more than allowable limit", true));
    } else {
        ready_.push_back(running);
    }
}

// An answer that was lost may have given us a job, which would lie in `active` under our lock with nobody working on it
// until it stalls. Tokens are unique, so the lock tells. Also drops the fetches that were lost.
void Speaker::adopt() {
    std::map<std::string, Pending*> tokens;
    for (auto& pending : outbox_) {
        if (pending.resent && pending.fetches) {
            tokens[pending.what == What::fetch ? pending.token : pending.running->token] = &pending;
        }
    }
    std::set<std::string> ours;
    for (const auto& running : this->running()) {
        ours.insert(running->id);
    }
    std::vector<std::pair<std::string, std::string>> found;  // id, token
    if (!tokens.empty()) {
        auto active = connection_->command({"LRANGE", calls_.keys().active, "0", "-1"});
        for (const auto& id : active.elements()) {
            connection_->append({"GET", calls_.keys().lock(id.str())});
        }
        for (const auto& id : active.elements()) {
            auto lock = redis::checked(connection_->read_reply());
            if (lock.is_text() && !ours.contains(id.text()) && tokens.contains(lock.text())) {
                found.emplace_back(id.str(), lock.str());
            }
        }
    }
    std::vector<RunningPtr> jobs;
    for (const auto& [id, token] : found) {
        const auto hash = connection_->command({"HGETALL", calls_.keys().job(id)});
        jobs.push_back(std::make_shared<Running>(id, hash, token));
    }
    // From here on nothing throws, so that no half of this is done twice.
    for (const auto& job : jobs) {
        if (auto* pending = tokens[job->token]; pending->what != What::fetch) {
            // The next job is ours, so the finish before it was executed.
            pending->what = What::done;
            events_(pending->event, pending->running->id, {});
            let_go(pending->running);
        }
    }
    std::erase_if(outbox_, [](const Pending& p) {
        return p.what == What::done || (p.what == What::fetch && p.resent);
    });
    fetching_ = static_cast<std::size_t>(std::count_if(outbox_.begin(), outbox_.end(), [](const Pending& p) {
        return p.what == What::fetch;
    }));
    for (const auto& job : jobs) {
        begin(job);
    }
}

}  // namespace headrace::bullmq
