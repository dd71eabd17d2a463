#include "bullmq/getters.hpp"

#include "base/error.hpp"
#include "bullmq/events.hpp"
#include "bullmq/queue_state.hpp"

#include <algorithm>

namespace headrace::bullmq {
namespace {

using Guard = std::lock_guard<std::mutex>;

std::map<std::string, std::string> pairs_of(const redis::ReplyPart& reply) {
    std::map<std::string, std::string> out;
    const auto flat = reply.elements();
    for (std::size_t i = 0; i + 1 < flat.size(); i += 2) {
        out[flat[i].text()] = flat[i + 1].text();
    }
    return out;
}

std::vector<std::string> texts_of(const redis::ReplyPart& reply) {
    std::vector<std::string> out;
    for (const auto& text : reply.elements()) {
        out.push_back(text.text());
    }
    return out;
}

bool is_list(std::string_view state) {
    return state == "wait" || state == "waiting" || state == "active" || state == "paused";
}

}  // namespace

redis::Reply Getters::plain(
    std::string_view script,
    std::initializer_list<std::string_view> keys,
    std::span<const std::string_view> args
) {
    return queue_.state_->run(queue_.state_->calls.plain(script, keys, args));
}

Children Getters::children(std::string_view id) {
    Guard guard(queue_.state_->mutex);
    auto& state = *queue_.state_;
    const auto job = queue_.keys().job(id);
    Children out;
    out.processed = pairs_of(state.command({"HGETALL", job + ":processed"}));
    out.unprocessed = texts_of(state.command({"SMEMBERS", job + ":dependencies"}));
    out.ignored = pairs_of(state.command({"HGETALL", job + ":failed"}));
    out.failed = texts_of(state.command({"ZRANGE", job + ":unsuccessful", "0", "-1"}));
    return out;
}

ChildCounts Getters::child_counts(std::string_view id) {
    constexpr std::string_view kinds[] = {"processed", "unprocessed", "ignored", "failed"};
    Guard guard(queue_.state_->mutex);
    const auto job = queue_.keys().job(id);
    const auto reply = plain(
        "getDependencyCounts",
        {job + ":processed", job + ":dependencies", job + ":failed", job + ":unsuccessful"},
        kinds
    );
    return {reply.at(0).integer(), reply.at(1).integer(), reply.at(2).integer(), reply.at(3).integer()};
}

std::optional<Finished> Getters::finished(std::string_view id) {
    Guard guard(queue_.state_->mutex);
    const auto& keys = queue_.keys();
    const std::string_view args[] = {id, "1"};
    const auto reply = plain("isFinished", {keys.completed, keys.failed, keys.job(id)}, args);
    if (reply.is_integer() || reply.at(0).integer() == 0) {
        return std::nullopt;
    }
    if (reply.at(0).integer() < 0) {
        throw Error(ErrorKind::permanent, "queue.refused", "job " + std::string(id) + " does not exist");
    }
    return Finished{reply.at(0).integer() == 1, reply.at(1).is_nil() ? std::string() : reply.at(1).text()};
}

std::optional<Finished> Getters::wait_until_finished(std::string_view id, Millis timeout, const StopToken& stop) {
    const auto deadline = Deadline::in(timeout);
    redis::Options options;
    {
        Guard guard(queue_.state_->mutex);
        options = queue_.state_->options;
    }
    options.client_name = queue_.keys().client_name() + ":qe";
    const auto& events = queue_.keys().events;
    auto connection = redis::Connection::connect(options, stop);
    auto newest = connection.command({"XREVRANGE", events, "+", "-", "COUNT", "1"});
    std::string last = newest.elements().empty() ? "0-0" : newest.at(0).at(0).text();
    // Looked at after the place in the stream is known, so that nothing is missed between the two.
    for (auto out = finished(id);; out = finished(id)) {
        if (out || deadline.passed()) {
            return out;
        }
        for (bool told = false; !told && !deadline.passed();) {
            const auto left = std::max(1, deadline.poll_timeout());
            connection.append({"XREAD", "BLOCK", std::to_string(left), "STREAMS", events, last});
            const auto reply = redis::checked(connection.read_reply(Deadline::in(Millis(left) + Millis(2'000))));
            for (std::size_t i = 0; !reply.is_nil() && i < reply.at(0).at(1).elements().size(); ++i) {
                const auto event = read_event(reply.at(0).at(1).at(i));
                last = event.stream_id;
                told = told || (event.job_id() == id && (event.name == "completed" || event.name == "failed"));
            }
        }
    }
}

std::vector<std::string>
Getters::ids(std::span<const std::string_view> states, std::int64_t start, std::int64_t end, bool ascending) {
    const auto from = std::to_string(start);
    const auto to = std::to_string(end);
    std::vector<std::string_view> args = {from, to, ascending ? "1" : "0"};
    for (auto state : states) {
        args.push_back(state == "waiting" ? "wait" : state);
    }
    Guard guard(queue_.state_->mutex);
    auto reply = plain("getRanges", {queue_.keys().base}, args);
    std::vector<std::string> out;
    for (std::size_t i = 0; i < states.size(); ++i) {
        auto part = texts_of(reply.at(i));
        if (ascending && is_list(states[i])) {
            std::reverse(part.begin(), part.end());
        }
        for (auto& id : part) {
            if (std::find(out.begin(), out.end(), id) == out.end()) {
                out.push_back(std::move(id));
            }
        }
    }
    return out;
}

std::int64_t Getters::waiting_in_all() {
    constexpr std::string_view states[] = {"waiting", "paused", "delayed", "prioritized", "waiting-children"};
    std::int64_t sum = 0;
    for (const auto& [state, count] : queue_.counts(states)) {
        sum += count;
    }
    return sum;
}

std::int64_t Getters::delayed_until(std::int64_t ms) {
    const auto until = std::to_string(ms);
    const std::string_view args[] = {until, "delayed"};
    Guard guard(queue_.state_->mutex);
    return plain("getCounts", {queue_.keys().base}, args).at(0).integer();
}

std::vector<std::int64_t> Getters::counts_per_priority(std::span<const std::int64_t> priorities) {
    std::vector<std::string> texts;
    for (auto priority : priorities) {
        texts.push_back(std::to_string(priority));
    }
    const std::vector<std::string_view> args(texts.begin(), texts.end());
    Guard guard(queue_.state_->mutex);
    const auto reply = plain("getCountsPerPriority", {queue_.keys().wait, queue_.keys().prioritized}, args);
    std::vector<std::int64_t> out;
    for (const auto& count : reply.elements()) {
        out.push_back(count.integer());
    }
    return out;
}

std::map<std::string, std::string> Getters::meta() {
    Guard guard(queue_.state_->mutex);
    return pairs_of(queue_.state_->command({"HGETALL", queue_.keys().meta}));
}

std::string Getters::version() {
    return meta()["version"];
}

std::optional<std::int64_t> Getters::global_concurrency() {
    Guard guard(queue_.state_->mutex);
    const auto reply = queue_.state_->command({"HGET", queue_.keys().meta, "concurrency"});
    return reply.is_nil() ? std::nullopt : std::optional(reply.integer());
}

std::optional<std::pair<std::int64_t, Millis>> Getters::global_rate_limit() {
    Guard guard(queue_.state_->mutex);
    const auto reply = queue_.state_->command({"HMGET", queue_.keys().meta, "max", "duration"});
    if (reply.at(0).is_nil() || reply.at(1).is_nil()) {
        return std::nullopt;
    }
    return std::pair(reply.at(0).integer(), Millis(reply.at(1).integer()));
}

bool Getters::is_maxed() {
    Guard guard(queue_.state_->mutex);
    const auto reply = plain("isMaxed", {queue_.keys().meta, queue_.keys().active});
    return reply.is_integer() && reply.integer() != 0;
}

Millis Getters::rate_limit_left(std::int64_t max_jobs) {
    const auto max = std::to_string(max_jobs);
    const std::string_view args[] = {max};
    Guard guard(queue_.state_->mutex);
    const auto reply = plain("getRateLimitTtl", {queue_.keys().limiter, queue_.keys().meta}, args);
    return Millis(std::max<std::int64_t>(0, reply.integer()));
}

std::vector<std::string> Getters::event_readers() {
    Guard guard(queue_.state_->mutex);
    return queue_.state_->client_names([name = queue_.keys().client_name() + ":qe"](std::string_view client) {
        return client == name;
    });
}

}  // namespace headrace::bullmq
