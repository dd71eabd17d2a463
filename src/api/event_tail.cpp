#include "api/event_tail.hpp"

#include <poll.h>

#include <algorithm>
#include <set>

#include "api/json_writer.hpp"
#include "api/problem.hpp"
#include "base/log.hpp"

namespace headrace::api {
namespace {

using std::chrono::milliseconds;

constexpr auto first_pause = milliseconds(200);
constexpr auto longest_pause = milliseconds(5000);
constexpr std::string_view final_bye = "id: end\nevent: bye\ndata: {\"reason\":\"final\"}\n\n";

void wait(const StopToken& stop, Deadline until) {
    pollfd watched{stop.fd(), POLLIN, 0};
    ::poll(&watched, 1, until.poll_timeout());
}

std::string reset_event(EventId id, std::string_view reason) {
    return format_event(id.text(), "reset", "{\"reason\":\"" + std::string(reason) + "\"}");
}

}  // namespace

struct EventTail::Client {
    std::shared_ptr<net::EventStream> stream;
    std::string run;
    std::string session;
    EventId seen;             // nothing up to here is sent again
    bool live = false;        // false: `waiting` gathers until the replay is done
    std::string waiting;
    bool waiting_final = false;

    bool wants(const SentEvent& event) const {
        return event.id > seen && (run.empty() ? event.global : event.single && event.run == run);
    }
};

EventTail::EventTail(TailOptions options, postgres::Pool& db, const auth::SessionStore& sessions)
    : options_(std::move(options)), db_(db), sessions_(sessions), next_ping_(Deadline::in(options_.ping)) {
    thread_ = std::thread([this] { run(); });
}

EventTail::~EventTail() {
    stop();
}

std::string EventTail::last_id() const {
    std::unique_lock lock(mutex_);
    synced_signal_.wait_for(lock, std::chrono::seconds(1), [&] { return synced_ || closing_; });
    return last_.text();
}

std::size_t EventTail::clients() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(clients_.begin(), clients_.end(), [](const auto& client) { return !client->stream->closed(); })
    );
}

void EventTail::stop() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
        for (const auto& client : clients_) {
            client->stream->send(format_event("", "bye", "{\"reason\":\"shutdown\"}"));
            client->stream->close();
        }
        clients_.clear();
    }
    synced_signal_.notify_all();
    stop_.request_stop("shutdown");
    if (thread_.joinable()) {
        thread_.join();
    }
}

void EventTail::close_session(std::string_view session) {
    const std::lock_guard lock(mutex_);
    for (const auto& client : clients_) {
        if (client->session == session) {
            client->stream->close();
        }
    }
}

// --- the thread

void EventTail::run() {
    const auto token = stop_.token();
    auto pause = first_pause;
    bool told = false;
    while (!token.stop_requested()) {
        try {
            auto redis = redis::Connection::connect(options_.redis, token);
            check_stream(redis);
            pause = first_pause;
            told = false;
            follow(redis);
        } catch (const std::exception& error) {
            if (token.stop_requested()) {
                return;
            }
            if (!told) {
                log::warn("live events wait for Redis", {{"error", as_error(std::current_exception()).code()}});
                told = true;
            }
        }
        const auto again = Deadline::in(pause);
        while (!again.passed() && !token.stop_requested()) {
            wait(token, again.earlier(next_ping_));
            ping();
        }
        pause = std::min(pause * 2, longest_pause);
    }
}

void EventTail::follow(redis::Connection& redis) {
    const auto token = stop_.token();
    while (!token.stop_requested()) {
        if (next_ping_.passed()) {
            check_stream(redis);
            check_sessions(redis);
            ping();
        }
        read_once(redis, next_ping_);
    }
}

void EventTail::read_once(redis::Connection& redis, Deadline until) {
    const auto block = std::clamp(until.poll_timeout(), 1, 5'000);
    EventId last;
    {
        const std::lock_guard lock(mutex_);
        last = last_;
    }
    redis.append({"XREAD", "COUNT", "500", "BLOCK", std::to_string(block), "STREAMS", options_.stream, last.text()});
    const auto reply = redis::checked(redis.read_reply(Deadline::in(milliseconds(block) + std::chrono::seconds(5))));
    if (reply.is_nil()) {
        return;
    }
    const auto entries = parse_entries(reply.at(0).at(1), &last);
    try {
        auto db = needs_rows(entries) ? std::optional(db_.take(stop_.token())) : std::nullopt;
        if (db) {
            hand_out(format_entries(entries, **db), last);
            return;
        }
    } catch (const Error& error) {
        // Postgres is away: clients look again by themselves, and see the same.
        log::warn("live events could not be completed", {{"error", error.code()}});
        {
            const std::lock_guard lock(mutex_);
            last_ = last;
        }
        reset_all("overflow");
        return;
    }
    std::vector<SentEvent> plain;
    for (const auto& entry : entries) {
        plain.push_back({entry.id, entry.run, format_event(entry.id.text(), entry.type, entry.data), entry.type != "run.log",
                         !entry.run.empty(), false});
    }
    hand_out(plain, last);
}

void EventTail::hand_out(const std::vector<SentEvent>& events, EventId last) {
    const std::lock_guard lock(mutex_);
    last_ = std::max(last_, last);
    for (const auto& client : clients_) {
        std::string text;
        bool final = false;
        for (const auto& event : events) {
            if (client->wants(event)) {
                text += event.text;
                final = final || (event.final && !client->run.empty());
            }
        }
        if (text.empty()) {
            continue;
        }
        if (!client->live) {
            client->waiting += text;
            client->waiting_final = client->waiting_final || final;
            continue;
        }
        if (final) {
            text += final_bye;
        }
        client->stream->send(text);
        if (final) {
            client->stream->close();
        }
    }
}

void EventTail::reset_all(std::string_view reason) {
    const std::lock_guard lock(mutex_);
    for (const auto& client : clients_) {
        client->seen = EventId();
        (client->live ? void(client->stream->send(reset_event(last_, reason))) : void(client->waiting += reset_event(last_, reason)));
    }
}

void EventTail::check_stream(redis::Connection& redis) {
    const auto state = read_stream_state(redis, options_.stream);
    bool lost = false;
    {
        const std::lock_guard lock(mutex_);
        lost = synced_ && state.lost(last_);
        if (!synced_ || lost) {
            last_ = state.last;
        }
        synced_ = true;
    }
    synced_signal_.notify_all();
    if (lost) {
        reset_all("too_old");
    }
}

void EventTail::check_sessions(redis::Connection& redis) {
    std::set<std::string> sessions;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& client : clients_) {
            sessions.insert(client->session);
        }
    }
    const std::vector<std::string> ids(sessions.begin(), sessions.end());
    const auto alive = sessions_.alive(redis, ids);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (!alive[i]) {
            close_session(ids[i]);
        }
    }
}

void EventTail::ping() {
    if (!next_ping_.passed()) {
        return;
    }
    next_ping_ = Deadline::in(options_.ping);
    const auto text = format_event("", "ping", "{\"now\":\"" + to_millis(now()) + "\"}");
    const std::lock_guard lock(mutex_);
    std::erase_if(clients_, [](const auto& client) { return client->stream->closed(); });
    for (const auto& client : clients_) {
        client->stream->send(text);
    }
}

}  // namespace headrace::api
