// Queue: what concerns the whole queue.
#include "base/error.hpp"
#include "bullmq/queue_state.hpp"

#include <algorithm>
#include <set>

namespace headrace::bullmq {
namespace {

using Guard = std::lock_guard<std::mutex>;

std::string_view stored_state(std::string_view state) {
    return state == "waiting" ? "wait" : state;
}

std::int64_t number_or_zero(const redis::ReplyPart& reply) {
    return reply.is_nil() ? 0 : reply.integer();
}

}  // namespace

std::map<std::string, std::int64_t> Queue::counts(std::span<const std::string_view> states) {
    constexpr std::string_view all[] = {
        "active", "completed", "delayed", "failed", "paused", "prioritized", "waiting", "waiting-children"};
    if (states.empty()) {
        states = all;
    }
    std::vector<std::string_view> stored;
    std::transform(states.begin(), states.end(), std::back_inserter(stored), stored_state);
    Guard guard(state_->mutex);
    auto reply = state_->run(state_->calls.get_counts(stored));
    std::map<std::string, std::int64_t> out;
    for (std::size_t i = 0; i < states.size(); ++i) {
        out[std::string(states[i])] = reply.at(i).integer();
    }
    return out;
}

std::vector<Job> Queue::jobs(std::string_view state, std::int64_t start, std::int64_t end, bool ascending) {
    Guard guard(state_->mutex);
    auto reply = state_->run(state_->calls.get_jobs(stored_state(state), start, end, ascending));
    std::vector<Job> out;
    for (const auto& entry : reply.at(0).elements()) {
        out.push_back(read_job(entry.at(0).str(), entry.at(1)));
    }
    return out;
}

QueueMetrics Queue::metrics(std::string_view type, std::int64_t start, std::int64_t end) {
    Guard guard(state_->mutex);
    auto reply = state_->run(state_->calls.get_metrics(type, start, end));
    const auto& head = reply.at(0);
    QueueMetrics out{number_or_zero(head.at(0)), number_or_zero(head.at(1)), number_or_zero(head.at(2)), {}};
    for (const auto& point : reply.at(1).elements()) {
        out.points.push_back(point.integer());
    }
    return out;
}

std::vector<std::string> Queue::State::client_names(const std::function<bool(std::string_view)>& wanted) {
    const auto list = command({"CLIENT", "LIST"}).text();
    std::vector<std::string> out;
    for (std::size_t at = list.find(" name="); at != std::string::npos; at = list.find(" name=", at + 1)) {
        auto name = list.substr(at + 6, list.find(' ', at + 6) - at - 6);
        if (wanted(name)) {
            out.push_back(std::move(name));
        }
    }
    return out;
}

std::vector<std::string> Queue::workers() {
    Guard guard(state_->mutex);
    const auto plain = keys().client_name();
    return state_->client_names([&](std::string_view name) { return name == plain || name.starts_with(plain + ":w:"); }
    );
}

void Queue::pause() {
    Guard guard(state_->mutex);
    state_->run(state_->calls.pause(true, true));
}

void Queue::resume() {
    Guard guard(state_->mutex);
    // Queues that version 5 paused keep jobs in another list; the script moves 7000 of them at a time.
    bool emit_event = true;
    while (number_or_zero(state_->run(state_->calls.pause(false, emit_event))) > 0) {
        emit_event = false;
    }
}

bool Queue::is_paused() {
    Guard guard(state_->mutex);
    return state_->command({"HEXISTS", keys().meta, "paused"}).integer() == 1;
}

void Queue::drain(bool delayed_too) {
    Guard guard(state_->mutex);
    state_->run(state_->calls.drain(delayed_too));
}

std::vector<std::string> Queue::clean(Millis grace, std::int64_t limit, std::string_view state) {
    constexpr std::int64_t batch = 10'000;  // bounds how long Redis is busy with one call
    Guard guard(state_->mutex);
    const auto before = now_ms() - grace.count();
    std::vector<std::string> out;
    for (;;) {
        const auto left = limit > 0 ? limit - static_cast<std::int64_t>(out.size()) : batch;
        if (left <= 0) {
            return out;
        }
        const auto count = std::min(batch, left);
        auto reply = state_->run(state_->calls.clean(stored_state(state), before, count));
        const auto ids = reply.elements();
        for (const auto& id : ids) {
            out.push_back(id.text());
        }
        if (static_cast<std::int64_t>(ids.size()) < count) {
            return out;
        }
    }
}

void Queue::obliterate(bool force, std::int64_t batch) {
    pause();
    Guard guard(state_->mutex);
    for (;;) {
        const auto answer = state_->run(state_->calls.obliterate(batch, force)).integer();
        if (answer < 0) {  // this script has codes of its own
            throw Error(
                ErrorKind::permanent,
                "queue.refused",
                answer == -1 ? "obliterate: the queue is not paused" : "obliterate: the queue has active jobs"
            );
        }
        if (answer == 0) {
            return;
        }
    }
}

void Queue::retry_jobs(std::string_view from_state, std::int64_t batch) {
    Guard guard(state_->mutex);
    const auto until = std::to_string(now_ms());
    while (state_->run(state_->calls.move_jobs_to_wait(from_state, batch, until)).integer() > 0) {
    }
}

void Queue::promote_jobs(std::int64_t batch) {
    Guard guard(state_->mutex);
    while (state_->run(state_->calls.move_jobs_to_wait("delayed", batch, "1.7976931348623157e+308")).integer() > 0) {
    }
}

std::int64_t Queue::trim_events(std::int64_t max_length) {
    Guard guard(state_->mutex);
    return state_->command({"XTRIM", keys().events, "MAXLEN", "~", std::to_string(max_length)}).integer();
}

std::string Queue::publish_event(
    std::string_view name,
    std::span<const std::pair<std::string, std::string>> fields,
    std::int64_t max_length
) {
    const auto length = std::to_string(max_length);
    std::vector<std::string_view> args = {"XADD", keys().events, "MAXLEN", "~", length, "*", "event", name};
    for (const auto& [key, value] : fields) {
        args.push_back(key);
        args.push_back(value);
    }
    Guard guard(state_->mutex);
    return state_->connected().command(redis::Connection::Args(args)).text();
}

std::int64_t Queue::remove_orphans(std::int64_t scan_count, std::int64_t limit) {
    // The names that are not jobs, and what may hang at one; the script takes both lists.
    constexpr std::string_view states[] = {
        "active",
        "wait",
        "waiting-children",
        "paused",
        "id",
        "delayed",
        "prioritized",
        "stalled-check",
        "completed",
        "failed",
        "stalled",
        "repeat",
        "limiter",
        "meta",
        "events",
        "pc",
        "marker",
        "de"};
    constexpr std::string_view parts[] = {"logs", "dependencies", "processed", "failed", "unsuccessful", "lock"};
    const auto known = [](std::span<const std::string_view> list, std::string_view name) {
        return std::find(list.begin(), list.end(), name) != list.end();
    };
    const auto state_count = std::to_string(std::size(states));
    const auto part_count = std::to_string(std::size(parts));
    Guard guard(state_->mutex);
    std::int64_t removed = 0;
    std::string cursor = "0";
    do {
        const auto count = std::to_string(scan_count);
        auto page = state_->command({"SCAN", cursor, "MATCH", keys().base + "*", "COUNT", count});
        cursor = page.at(0).str();
        std::set<std::string> ids;
        for (const auto& key : page.at(1).elements()) {
            const auto suffix = std::string_view(key.str()).substr(keys().base.size());
            const auto id = suffix.substr(0, suffix.find(':'));
            if (!id.empty() && !known(states, id) &&
                (id.size() == suffix.size() || known(parts, suffix.substr(id.size() + 1)))) {
                ids.emplace(id);
            }
        }
        if (!ids.empty()) {
            std::vector<std::string_view> args = {state_count};
            args.insert(args.end(), std::begin(states), std::end(states));
            args.push_back(part_count);
            args.insert(args.end(), std::begin(parts), std::end(parts));
            args.insert(args.end(), ids.begin(), ids.end());
            removed += number_or_zero(state_->run(state_->calls.plain("removeOrphanedJobs", {keys().base}, args)));
        }
    } while (cursor != "0" && (limit == 0 || removed < limit));
    return removed;
}

void Queue::set_global_concurrency(std::int64_t count) {
    Guard guard(state_->mutex);
    state_->command({"HSET", keys().meta, "concurrency", std::to_string(count)});
}

void Queue::remove_global_concurrency() {
    Guard guard(state_->mutex);
    state_->command({"HDEL", keys().meta, "concurrency"});
}

void Queue::set_global_rate_limit(std::int64_t max, Millis duration) {
    Guard guard(state_->mutex);
    state_->command({"HSET", keys().meta, "max", std::to_string(max), "duration", std::to_string(duration.count())});
}

void Queue::remove_global_rate_limit() {
    Guard guard(state_->mutex);
    state_->command({"HDEL", keys().meta, "max", "duration"});
}

void Queue::rate_limit(Millis duration) {
    Guard guard(state_->mutex);
    state_->command({"SET", keys().limiter, "9007199254740991", "PX", std::to_string(duration.count())});
}

void Queue::remove_rate_limit() {
    Guard guard(state_->mutex);
    state_->command({"DEL", keys().limiter});
}

std::optional<std::string> Queue::deduplication_job(std::string_view deduplication_id) {
    Guard guard(state_->mutex);
    auto reply = state_->command({"GET", keys().deduplication(deduplication_id)});
    return reply.is_nil() ? std::nullopt : std::optional(reply.text());
}

bool Queue::remove_deduplication(std::string_view deduplication_id) {
    Guard guard(state_->mutex);
    return state_->command({"DEL", keys().deduplication(deduplication_id)}).integer() > 0;
}

}  // namespace headrace::bullmq
