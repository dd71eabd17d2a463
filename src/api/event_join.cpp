// The part of EventTail that runs on handler threads: a client joins.
#include "api/event_client.hpp"
#include "api/problem.hpp"
#include "run/states.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::api {
namespace {

// More than this is not replayed: reading the snapshots again is cheaper for everybody.
constexpr std::size_t replay_events = 2000;
constexpr std::size_t replay_bytes = 512 * 1024;

Problem too_many(std::string detail) {
    Problem problem("api.rate_limited", std::move(detail));
    problem.with_header("Retry-After", "5");
    return problem;
}

// A member of an XINFO reply.
const redis::ReplyPart* field(const redis::ReplyPart& info, std::string_view name) {
    const auto& parts = info.elements();
    for (std::size_t i = 0; i + 1 < parts.size(); i += 2) {
        if (parts[i].str() == name) {
            return &parts[i + 1];
        }
    }
    return nullptr;
}

std::string head_of(EventId id) {
    return "retry: 2000\nid: " + id.text() + "\ndata:\n\n";
}

}  // namespace

bool StreamState::lost(EventId id) const {
    if (!exists || id > last) {
        return id != EventId();
    }
    return trimmed && (has_first ? id < first : id < last);
}

StreamState read_stream_state(redis::Connection& redis, std::string_view stream) {
    StreamState out;
    const auto info = redis.command_raw({"XINFO", "STREAM", stream});
    if (info.is_error()) {
        if (info.error_text().find("no such key") == std::string::npos) {
            throw redis::error_of(info);
        }
        return out;
    }
    out.exists = true;
    if (const auto* last = field(info, "last-generated-id")) {
        out.last = EventId::parse(last->str()).value_or(EventId());
    }
    const auto* first = field(info, "first-entry");
    if (first != nullptr && first->is_array()) {
        out.has_first = true;
        out.first = EventId::parse(first->at(0).str()).value_or(EventId());
    }
    const auto* length = field(info, "length");
    const auto* added = field(info, "entries-added");  // Redis 7
    out.trimmed = length == nullptr || added == nullptr || added->integer() > length->integer();
    return out;
}

std::shared_ptr<EventTail::Client> EventTail::admit(const Join& join, EventId& joined_at) {
    std::unique_lock lock(mutex_);
    synced_signal_.wait_for(lock, std::chrono::seconds(2), [&] { return synced_ || closing_; });
    if (closing_ || !synced_) {
        throw Error(ErrorKind::transient, "redis.connect", "the event stream was not reached yet");
    }
    std::erase_if(clients_, [](const auto& client) { return client->stream->closed(); });
    const auto own =
        std::count_if(clients_.begin(), clients_.end(), [&](const auto& c) { return c->session == join.session; });
    if (static_cast<std::size_t>(own) >= options_.streams_per_session) {
        throw too_many(fmt::format("at most {} live streams in one session", options_.streams_per_session));
    }
    if (clients_.size() >= options_.streams) {
        throw too_many("this server has all the live streams it can serve");
    }
    joined_at = last_;
    auto client = std::make_shared<Client>();
    client->stream = join.stream;
    client->run = join.run;
    client->session = join.session;
    client->seen = std::max(join.after.value_or(last_), last_);
    clients_.push_back(client);
    return client;
}

bool EventTail::replay(
    const Join& join,
    Client& client,
    EventId upto,
    redis::Connection& redis,
    postgres::Connection& db
) {
    const auto after = *join.after;
    const auto reset = [&] {
        {
            const std::lock_guard lock(mutex_);
            client.seen = upto;  // `after` may belong to a stream that is gone
        }
        join.stream->send(head_of(upto) + reset_event(upto, "too_old"));
        return false;
    };
    if (read_stream_state(redis, options_.stream).lost(after)) {
        return reset();
    }
    const auto reply = redis.command(
        {"XRANGE", options_.stream, "(" + after.text(), upto.text(), "COUNT", std::to_string(replay_events + 1)}
    );
    if (reply.elements().size() > replay_events) {
        return reset();
    }
    auto entries = parse_entries(reply);
    std::erase_if(entries, [&](const StreamEntry& entry) {
        return join.run.empty() ? entry.type == "run.log" : entry.run != join.run || entry.type == "run.created";
    });
    std::string text = head_of(after);
    bool final = false;
    for (const auto& event : format_entries(entries, read_run_events(db, runs_of(entries)))) {
        text += event.text;
        final = final || (event.final && !join.run.empty());
    }
    if (text.size() > replay_bytes) {
        return reset();
    }
    join.stream->send(text);
    return final;
}

void EventTail::go_live(Client& client) {
    const std::lock_guard lock(mutex_);
    client.live = true;
    if (!client.waiting.empty()) {
        client.stream->send(client.waiting_final ? client.waiting + std::string(final_bye) : client.waiting);
        client.waiting = std::string();
    }
    if (client.waiting_final) {
        client.stream->close();
    }
}

void EventTail::join(const Join& join, redis::Connection& redis, postgres::Connection& db) {
    EventId joined_at;
    const auto client = admit(join, joined_at);
    try {
        bool told = false;
        if (join.after) {
            told = replay(join, *client, joined_at, redis, db);
        } else {
            join.stream->send(head_of(joined_at));
        }
        if (!join.run.empty()) {
            // Read after joining: an end that is not in the row yet will come as an event.
            const auto rows = read_run_events(db, {join.run});
            if (!rows.empty() && run::is_final(rows.front().state)) {
                join.stream->send(
                    (told ? std::string() : format_event("", "run.state", rows.front().data)) + std::string(final_bye)
                );
                join.stream->close();
            }
        }
        go_live(*client);
    } catch (...) {
        join.stream->close();
        throw;
    }
}

}  // namespace headrace::api
