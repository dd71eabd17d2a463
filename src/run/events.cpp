#include "run/events.hpp"

namespace headrace::run {

void append_event(redis::Connection& redis, std::string_view stream, const Event& event) {
    redis.append(
        {"XADD",
         stream,
         "MAXLEN",
         "~",
         "20000",
         "*",
         "type",
         event.type,
         "run",
         event.run_id,
         "pipeline",
         event.pipeline,
         "data",
         event.data.empty() ? std::string_view("{}") : std::string_view(event.data)}
    );
}

bool publish_event(redis::Connection& redis, std::string_view stream, const Event& event) noexcept {
    try {
        append_event(redis, stream, event);
        return !redis.read_reply().is_error();
    } catch (const std::exception&) {
        return false;
    }
}

}  // namespace headrace::run
