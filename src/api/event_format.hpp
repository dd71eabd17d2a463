// Entries of the event stream as Server-Sent Events. Entries of run.created and run.state carry no data of their own:
// the run's row is read here, so that a client always gets what Postgres says now.
#pragma once

#include "api/event_id.hpp"
#include "api/run_view.hpp"
#include "redis/reply.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace headrace::api {

struct StreamEntry {
    EventId id;
    std::string type;  // run.created, run.state, run.step, run.progress, run.log, pipeline.changed
    std::string run;
    std::string data;
};

// The entries of an XRANGE reply, or of one stream of an XREAD reply. Entries of unknown types are left out; `last`,
// when given, becomes the id of the last entry of the reply, known or not.
std::vector<StreamEntry> parse_entries(const redis::ReplyPart& entries, EventId* last = nullptr);

struct SentEvent {
    EventId id;
    std::string run;
    std::string text;     // "id: …\nevent: …\ndata: …\n\n"
    bool global = false;  // goes to the stream of everything
    bool single = false;  // goes to the stream of its run
    bool final = false;   // run.state of a run that is over
};

// The runs whose rows format_entries needs (read_run_events), each once.
std::vector<std::string> runs_of(const std::vector<StreamEntry>& entries);

// In order of the ids. Several changes of one run in `entries` become one event, the last.
std::vector<SentEvent> format_entries(const std::vector<StreamEntry>& entries, const std::vector<RunEvent>& rows);

// The end of the stream of a run that is over; who comes back with this id gets 204.
inline constexpr std::string_view end_id = "end";
inline constexpr std::string_view final_bye = "id: end\nevent: bye\ndata: {\"reason\":\"final\"}\n\n";

// "id: …\n" unless `id` is empty, then event and data.
std::string format_event(std::string_view id, std::string_view event, std::string_view data);

}  // namespace headrace::api
