// One client of EventTail; guarded by its mutex.
#pragma once

#include "api/event_tail.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace headrace::api {

struct EventTail::Client {
    std::shared_ptr<net::EventStream> stream;
    std::string run;  // "" = everything
    std::string session;
    EventId seen;       // nothing up to here is sent again
    bool live = false;  // false: `waiting` gathers until the replay is done
    std::string waiting;
    bool waiting_final = false;

    bool wants(const SentEvent& event) const {
        return event.id > seen && (run.empty() ? event.global : event.single && event.run == run);
    }
};

inline std::string reset_event(EventId id, std::string_view reason) {
    return format_event(id.text(), "reset", "{\"reason\":\"" + std::string(reason) + "\"}");
}

}  // namespace headrace::api
