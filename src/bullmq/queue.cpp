#include "bullmq/queue.hpp"

#include "base/error.hpp"
#include "bullmq/queue_state.hpp"

#include <algorithm>

namespace headrace::bullmq {
namespace {

using Guard = std::lock_guard<std::mutex>;

std::string id_of(redis::Reply reply, std::string_view what) {
    reply = accepted(std::move(reply), what);
    return reply.is_integer() ? std::to_string(reply.integer()) : reply.text();
}

}  // namespace

redis::Connection& Queue::State::connected() {
    if (connection && (connection->pending() != 0 || connection->peer_is_gone())) {
        connection.reset();  // an earlier call broke off in the middle, or the server went away meanwhile
    }
    if (!connection) {
        auto fresh = redis::Connection::connect(options, stop);
        const auto& meta = calls.keys().meta;
        fresh.append({"HSETNX", meta, "opts.maxLenEvents", "10000"});
        fresh.append({"HSET", meta, "version", "bullmq:" + std::string(bullmq_version)});
        redis::checked(fresh.read_reply());
        redis::checked(fresh.read_reply());
        connection.emplace(std::move(fresh));
    }
    return *connection;
}

redis::Reply Queue::State::run(const Call& call) {
    auto& redis = connected();
    redis.append_encoded(call.resp);
    auto reply = redis.read_reply();
    if (redis::is_no_script(reply)) {
        redis.append_encoded(redis::as_eval(call.resp, *call.script));
        reply = redis.read_reply();
    }
    return checked(std::move(reply));
}

redis::Reply Queue::State::command(redis::Connection::List args) {
    return checked(connected().command_raw(args));
}

redis::Reply Queue::State::checked(redis::Reply reply) {
    if (reply.is_error() && redis::error_of(reply).kind() == ErrorKind::transient) {
        connection.reset();
    }
    return redis::checked(std::move(reply));
}

bool Queue::State::did(const Call& call, std::string_view what) {
    auto reply = run(call);
    auto code = code_of(reply);
    if (code == Code::job_missing || code == Code::not_in_state) {
        return false;
    }
    accepted(std::move(reply), what);
    return true;
}

Queue::Queue(redis::Options options, std::string_view name, std::string_view prefix, StopToken stop)
    : state_(std::make_unique<State>(std::move(options), name, prefix, std::move(stop))) {}

Queue::~Queue() = default;

const Keys& Queue::keys() const {
    return state_->calls.keys();
}

std::string Queue::add(std::string_view name, std::string_view data_json, const JobOptions& options) {
    check_options(options, data_json);
    Guard guard(state_->mutex);
    return id_of(state_->run(state_->calls.add_job(name, data_json, options, now_ms())), "add");
}

std::vector<std::string> Queue::add_bulk(std::span<const NewJob> jobs) {
    constexpr std::size_t window = 500;
    for (const auto& job : jobs) {
        check_options(job.options, job.data);
    }
    Guard guard(state_->mutex);
    std::vector<std::string> ids;
    ids.reserve(jobs.size());
    auto& redis = state_->connected();
    for (std::size_t from = 0; from < jobs.size(); from += window) {
        auto part = jobs.subspan(from, std::min(window, jobs.size() - from));
        std::vector<const redis::Script*> used;
        std::vector<Call> calls;
        for (const auto& job : part) {
            calls.push_back(state_->calls.add_job(job.name, job.data, job.options, now_ms()));
            if (std::find(used.begin(), used.end(), calls.back().script) == used.end()) {
                used.push_back(calls.back().script);
            }
        }
        if (from == 0) {
            redis::load(redis, used);  // EVALSHA inside a pipeline has no second chance in order
        }
        for (const auto& call : calls) {
            redis.append_encoded(call.resp);
        }
        std::vector<redis::Reply> replies;
        for (std::size_t i = 0; i < calls.size(); ++i) {
            replies.push_back(redis.read_reply());
        }
        for (std::size_t i = 0; i < calls.size(); ++i) {
            auto reply = redis::is_no_script(replies[i]) ? state_->run(calls[i]) : std::move(replies[i]);
            ids.push_back(id_of(std::move(reply), "add " + part[i].name));
        }
    }
    return ids;
}

std::optional<Job> Queue::job(std::string_view id) {
    Guard guard(state_->mutex);
    auto reply = state_->command({"HGETALL", keys().job(id)});
    if (reply.elements().empty()) {
        return std::nullopt;
    }
    return read_job(id, reply);
}

std::string Queue::state(std::string_view id) {
    Guard guard(state_->mutex);
    return state_->run(state_->calls.get_state(id)).text();
}

Queue::Removed Queue::remove(std::string_view id, bool with_children) {
    Guard guard(state_->mutex);
    const bool existed = state_->command({"EXISTS", keys().job(id)}).integer() == 1;
    auto reply = state_->run(state_->calls.remove(id, with_children));
    if (code_of(reply) == Code::owned_by_scheduler) {
        return Removed::owned_by_scheduler;
    }
    if (accepted(std::move(reply), "remove").integer() == 0) {
        return Removed::locked;
    }
    return existed ? Removed::removed : Removed::not_found;
}

bool Queue::retry(std::string_view id, std::string_view from_state, RetryOptions options) {
    if (from_state != "failed" && from_state != "completed") {
        throw Error(ErrorKind::invalid, "config.invalid", "a job is retried from failed or completed");
    }
    Guard guard(state_->mutex);
    auto hash = state_->command({"HMGET", keys().job(id), "opts"});
    const auto& opts = hash.at(0);
    const bool lifo = opts.is_text() && parse_options(opts.str()).lifo;
    return state_->did(
        state_->calls.reprocess(id, lifo, from_state, options.reset_attempts_made, options.reset_attempts_started),
        "retry"
    );
}

bool Queue::promote(std::string_view id) {
    Guard guard(state_->mutex);
    return state_->did(state_->calls.promote(id), "promote");
}

bool Queue::change_delay(std::string_view id, Millis delay) {
    Guard guard(state_->mutex);
    return state_->did(state_->calls.change_delay(id, delay, now_ms()), "change delay");
}

bool Queue::change_priority(std::string_view id, std::int64_t priority, bool lifo) {
    JobOptions options;
    options.priority = priority;
    check_options(options, {});
    Guard guard(state_->mutex);
    return state_->did(state_->calls.change_priority(id, priority, lifo), "change priority");
}

bool Queue::update_data(std::string_view id, std::string_view data_json) {
    Guard guard(state_->mutex);
    return state_->did(state_->calls.update_data(id, data_json), "update data");
}

bool Queue::update_progress(std::string_view id, std::string_view json) {
    Guard guard(state_->mutex);
    return state_->did(state_->calls.update_progress(id, json), "update progress");
}

std::int64_t Queue::add_log(std::string_view id, std::string_view row, std::int64_t keep) {
    Guard guard(state_->mutex);
    return state_->run(state_->calls.add_log(id, row, keep)).integer();
}

JobLogs Queue::logs(std::string_view id, std::int64_t start, std::int64_t end, bool ascending) {
    Guard guard(state_->mutex);
    const auto key = keys().logs(id);
    JobLogs out;
    out.count = state_->command({"LLEN", key}).integer();
    // Newest first: counted from the end.
    const auto from = std::to_string(ascending ? start : -(end + 1));
    const auto to = std::to_string(ascending ? end : -(start + 1));
    auto rows = state_->command({"LRANGE", key, from, to});
    for (auto& row : rows.elements()) {
        out.rows.push_back(row.text());
    }
    if (!ascending) {
        std::reverse(out.rows.begin(), out.rows.end());
    }
    return out;
}

void Queue::clear_logs(std::string_view id, std::int64_t keep) {
    Guard guard(state_->mutex);
    const auto key = keys().logs(id);
    if (keep > 0) {
        state_->command({"LTRIM", key, std::to_string(-keep), "-1"});
    } else {
        state_->command({"DEL", key});
    }
}

bool Queue::release_deduplication(std::string_view deduplication_id, std::string_view job_id) {
    Guard guard(state_->mutex);
    const std::string_view args[] = {job_id};
    const auto key = keys().deduplication(deduplication_id);
    return state_->run(state_->calls.plain("removeDeduplicationKey", {key}, args)).integer() > 0;
}

bool Queue::remove_child_dependency(std::string_view child_id, std::string_view parent_key) {
    Guard guard(state_->mutex);
    const auto child = keys().job(child_id);
    const std::string_view args[] = {child, parent_key};
    auto reply = state_->run(state_->calls.plain("removeChildDependency", {keys().base}, args));
    return accepted(std::move(reply), "remove child dependency").integer() == 0;
}

void Queue::remove_unprocessed_children(std::string_view id) {
    Guard guard(state_->mutex);
    const std::string_view args[] = {keys().base, id};
    state_->run(state_->calls.plain("removeUnprocessedChildren", {keys().job(id), keys().meta}, args));
}

}  // namespace headrace::bullmq
