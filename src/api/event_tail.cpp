#include "api/event_tail.hpp"

#include "api/event_client.hpp"
#include "api/json_writer.hpp"
#include "api/run_view.hpp"
#include "base/log.hpp"
#include "run/states.hpp"

#include <poll.h>

#include <algorithm>
#include <set>

namespace headrace::api {
namespace {

using std::chrono::milliseconds;

constexpr auto first_pause = milliseconds(200);
constexpr auto longest_pause = milliseconds(5000);

void wait(const StopToken& stop, Deadline until) {
    pollfd watched{stop.fd(), POLLIN, 0};
    ::poll(&watched, 1, until.poll_timeout());
}

}  // namespace

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
    return static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(), [](const auto& client) {
        return !client->stream->closed();
    }));
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
            check_runs();
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
    std::vector<RunEvent> rows;
    bool complete = true;
    try {
        if (const auto runs = runs_of(entries); !runs.empty()) {
            rows = read_run_events(*db_.take(stop_.token()), runs);
        }
    } catch (const Error& error) {
        if (stop_.stop_requested()) {
            return;
        }
        complete = false;
        log::warn("live events could not be completed", {{"error", error.code()}});
    }
    hand_out(format_entries(entries, rows), last);
    if (!complete) {
        reset_all("overflow");  // clients look again by themselves
    }
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
        const auto text = reset_event(last_, reason);
        if (client->live) {
            client->stream->send(text);
        } else {
            client->waiting += text;
        }
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

// The event of a run's end may never have come (Redis was away when it ended): nobody waits for ever.
void EventTail::check_runs() {
    std::set<std::string> runs;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& client : clients_) {
            if (!client->run.empty() && client->live && !client->stream->closed()) {
                runs.insert(client->run);
            }
        }
    }
    if (runs.empty()) {
        return;
    }
    try {
        const auto events = read_run_events(*db_.take(stop_.token()), {runs.begin(), runs.end()});
        const std::lock_guard lock(mutex_);
        for (const auto& event : events) {
            for (const auto& client : clients_) {
                if (run::is_final(event.state) && client->run == event.id && client->live) {
                    client->stream->send(format_event("", "run.state", event.data) + std::string(final_bye));
                    client->stream->close();
                }
            }
        }
    } catch (const Error& error) {
        log::warn("live events could not look at their runs", {{"error", error.code()}});
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
