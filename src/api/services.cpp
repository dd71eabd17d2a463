#include "api/services.hpp"

#include "base/log.hpp"
#include "run/events.hpp"

namespace headrace::api {

bool CallLimit::allow() {
    const std::lock_guard lock(mutex_);
    if (until_.passed()) {
        until_ = Deadline::in(span_);
        used_ = 0;
    }
    return used_++ < count_;
}

namespace {

// Handlers must answer soon: a Redis that hangs is as good as away.
redis::Options for_handlers(redis::Options options) {
    options.connect_timeout = std::min(options.connect_timeout, std::chrono::milliseconds(3000));
    options.reply_timeout = std::min(options.reply_timeout, std::chrono::milliseconds(3000));
    return options;
}

}  // namespace

Services::Services(Dependencies dependencies)
    : deps(std::move(dependencies)),
      redis(for_handlers(deps.redis), stop.token()),
      sessions(deps.sessions),
      cursors(deps.sessions.secrets.front()),
      events(TailOptions{.redis = deps.redis, .stream = deps.event_stream, .ping = deps.event_ping}, deps.db, sessions),
      files(deps.web_folder) {}

void Services::publish(std::string_view type, std::string_view run, std::string_view pipeline, std::string_view data) {
    try {
        auto connection = redis.take();
        run::publish_event(
            *connection,
            deps.event_stream,
            {std::string(type), std::string(run), std::string(pipeline), std::string(data)}
        );
    } catch (const std::exception&) {
        log::warn("a live event was not sent", {{"type", std::string(type)}});
    }
}

net::Response json_response(int status, std::string body) {
    net::Response out;
    out.status = status;
    out.headers.set("Content-Type", "application/json");
    out.body = std::move(body);
    return out;
}

}  // namespace headrace::api
