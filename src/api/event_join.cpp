// The side of EventTail that runs on handler threads: a client joins.
#include <fmt/core.h>

#include <algorithm>

#include "api/event_tail.hpp"
#include "api/problem.hpp"
#include "api/run_view.hpp"
#include "run/states.hpp"

namespace headrace::api {
namespace {

// More than this is not replayed: reading the snapshots again is cheaper for everybody.
constexpr std::size_t replay_events = 2000;
constexpr std::size_t replay_bytes = 512 * 1024;
constexpr std::string_view final_bye = "id: end\nevent: bye\ndata: {\"reason\":\"final\"}\n\n";

Problem too_many(std::string detail) {
    Problem problem("api.rate_limited", std::move(detail));
    problem.with_header("Retry-After", "5");
    return problem;
}

// The number of this name in an XINFO reply.
const redis::Reply* field(const redis::Reply& info, std::string_view name) {
    const auto& parts = info.elements();
    for (std::size_t i = 0; i + 1 < parts.size(); i += 2) {
        if (parts[i].str() == name) {
            return &parts[i + 1];
        }
    }
    return nullptr;
}

}  // namespace

struct EventTail::Client {
    std::shared_ptr<net::EventStream> stream;
    std::string run;
    std::string session;
    EventId seen;
    bool live = false;
    std::string waiting;
    bool waiting_final = false;
};

}  // namespace headrace::api
