// Live events: a Redis stream (MAXLEN ~ 20000) that the api tails for its SSE clients. Best effort by design: Postgres
// is the truth, an event only says "look again". Ids are the stream's ids.
//
// Entry fields: type, run, pipeline, data.
//   run.created, run.state   data is "{}": the api reads the run row and sends the Run object of api/openapi.yaml,
//                            so that a client always gets what Postgres says now
//   run.step, run.progress, run.log, pipeline.changed   data is the JSON object of that event in api/openapi.yaml
#pragma once

#include "redis/connection.hpp"

#include <string>
#include <string_view>

namespace headrace::run {

struct Event {
    std::string type;    // run.created, run.state, run.step, run.progress, run.log, pipeline.changed
    std::string run_id;  // "" for pipeline.changed
    std::string pipeline;
    std::string data;  // JSON object
};

inline constexpr std::string_view default_stream = "headrace:events";

// Appends XADD to the connection's pipeline; the caller flushes and reads one reply.
void append_event(redis::Connection& redis, std::string_view stream, const Event& event);
// One round trip. Never throws for a Redis that is away (returns false): events must not fail work.
bool publish_event(redis::Connection& redis, std::string_view stream, const Event& event) noexcept;

}  // namespace headrace::run
