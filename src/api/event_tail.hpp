// One thread that follows the event stream in Redis and hands each event to the clients that are connected here.
// Clients join from handler threads: they get what they missed first (from XRANGE), then what comes, each event once.
//
// Redis may go away and come back: clients stay, get their pings, and go on; when the stream was lost they get `reset`.
#pragma once

#include "api/event_format.hpp"
#include "auth/session.hpp"
#include "base/deadline.hpp"
#include "base/stop.hpp"
#include "net/event_stream.hpp"
#include "postgres/pool.hpp"
#include "redis/connection.hpp"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace headrace::api {

struct TailOptions {
    redis::Options redis;
    std::string stream;
    std::size_t streams_per_session = 4;
    std::size_t streams = 512;               // in all
    std::chrono::milliseconds ping{15'000};  // also how often sessions and the stream itself are checked
};

class EventTail {
public:
    EventTail(TailOptions options, postgres::Pool& db, const auth::SessionStore& sessions);
    ~EventTail();  // stop()
    EventTail(const EventTail&) = delete;
    EventTail& operator=(const EventTail&) = delete;

    // Id of the last event that was handed out; "0-0" while none is known. Take it before reading a snapshot.
    std::string last_id() const;

    struct Join {
        std::shared_ptr<net::EventStream> stream;
        std::string run;               // "" = everything
        std::string session;           // id of the session that pays for it
        std::optional<EventId> after;  // what the client has seen; none: from now on
    };

    // Sends the head of the stream and what was missed, then lets the client take part. Ends the stream with `bye`
    // after the last event of a run. Throws api.rate_limited (too many streams), api.unavailable (Redis was never
    // reached).
    void join(const Join& join, redis::Connection& redis, postgres::Connection& db);

    void close_session(std::string_view session);  // logged out
    std::size_t clients() const;
    // `bye` to all, no more clients, thread joined. Idempotent.
    void stop();

private:
    struct Client;

    void run();
    void follow(redis::Connection& redis);
    void read_once(redis::Connection& redis, Deadline until);
    void hand_out(const std::vector<SentEvent>& events, EventId last);
    void reset_all(std::string_view reason);
    void check_stream(redis::Connection& redis);
    void check_sessions(redis::Connection& redis);
    void check_runs();
    void ping();
    std::shared_ptr<Client> admit(const Join& join, EventId& joined_at);
    // True when a final run.state was among it.
    bool replay(const Join& join, Client& client, EventId upto, redis::Connection& redis, postgres::Connection& db);
    void go_live(Client& client);

    const TailOptions options_;
    postgres::Pool& db_;
    const auth::SessionStore& sessions_;
    StopSource stop_;
    mutable std::mutex mutex_;
    mutable std::condition_variable synced_signal_;
    bool synced_ = false;  // `last_` comes from Redis
    bool closing_ = false;
    EventId last_;
    std::vector<std::shared_ptr<Client>> clients_;
    Deadline next_ping_ = Deadline::never();
    std::thread thread_;
};

// What is left of the stream, to tell whether an id is still in it.
struct StreamState {
    bool exists = false;
    EventId first, last;
    bool has_first = false;
    bool trimmed = true;  // entries were dropped from its beginning, or that is unknown

    // Events after `id` were lost, or `id` belongs to another stream.
    bool lost(EventId id) const;
};

StreamState read_stream_state(redis::Connection& redis, std::string_view stream);

}  // namespace headrace::api
