// /api/etl/events and /api/etl/runs/{id}/events: Server-Sent Events.
#include "api/input.hpp"
#include "api/problem.hpp"
#include "api/run_view.hpp"
#include "api/services.hpp"
#include "run/states.hpp"

namespace headrace::api {
namespace {

struct Position {
    std::optional<EventId> after;
    bool at_end = false;  // comes back after `bye`
};

// The header, which a browser sends when it connects again, wins over the query of the first connection.
Position position_of(const net::Request& request) {
    Position out;
    const auto* header = request.headers.find("Last-Event-ID");
    const auto* query = request.parameter("lastEventId");
    const auto* text = header != nullptr && !header->empty() ? header : query;
    if (text == nullptr || text->empty()) {
        return out;
    }
    out.at_end = *text == end_id;
    out.after = EventId::parse(*text);
    if (!out.after) {
        // Not one of ours: like an id of another stream, which makes the client read the snapshots again.
        out.after = EventId{~0ULL, ~0ULL};
    }
    return out;
}

net::Response stream(Services& services, const Call& call, const std::string& run, const Position& position) {
    net::Response out;
    out.headers.set("Content-Type", "text/event-stream");
    out.headers.set("X-Accel-Buffering", "no");
    if (call.head()) {
        return out;
    }
    auto events = std::make_shared<net::EventStream>();
    auto redis = services.redis.take();
    auto db = services.db();
    services.events.join(
        {.stream = events, .run = run, .session = call.session->id, .after = position.after}, *redis, *db
    );
    out.stream = std::move(events);
    return out;
}

net::Response stream_run(Services& services, const Call& call) {
    const auto position = position_of(call.request);
    std::string id;
    {
        auto db = services.db();
        const auto run = read_run(*db, call.parameter("id"));
        if (position.at_end && run::is_final(run.text(0, "state"))) {
            net::Response out;
            out.status = 204;  // ends an EventSource for good
            return out;
        }
        id = run.text(0, "run_id");
    }
    return stream(services, call, id, position);
}

}  // namespace

void add_events(Router& router, Services& services) {
    const auto viewer = Policy::at_least(auth::Role::viewer);
    router
        .add(
            "GET",
            "/api/etl/events",
            viewer,
            [&services](const Call& call) { return stream(services, call, "", position_of(call.request)); }
        )
        .takes_query({"lastEventId"})
        .answers("text/event-stream");
    router
        .add(
            "GET",
            "/api/etl/runs/{id}/events",
            viewer,
            [&services](const Call& call) { return stream_run(services, call); }
        )
        .takes_query({"lastEventId"})
        .answers("text/event-stream");
}

}  // namespace headrace::api
