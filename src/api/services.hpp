// What the handlers share. Made by Api, outlives all handlers.
#pragma once

#include "api/api.hpp"
#include "api/cursor.hpp"
#include "api/event_tail.hpp"
#include "api/json_writer.hpp"
#include "api/redis_pool.hpp"
#include "api/router.hpp"
#include "api/schedule_cache.hpp"
#include "api/static_files.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace headrace::api {

// At most `count` calls in each span of time; for guessing at login. Thread-safe.
class CallLimit {
public:
    CallLimit(int count, std::chrono::seconds span) : count_(count), span_(span) {}

    // False: too many; the caller answers 429.
    bool allow();

    std::chrono::seconds span() const { return span_; }

private:
    const int count_;
    const std::chrono::seconds span_;
    std::mutex mutex_;
    int used_ = 0;
    Deadline until_ = Deadline::in(std::chrono::seconds(0));
};

struct Services {
    explicit Services(Dependencies dependencies);

    Dependencies deps;
    StopSource stop;
    RedisPool redis;
    auth::SessionStore sessions;
    CursorCodec cursors;
    ScheduleCache schedules;
    EventTail events;
    StaticFiles files;
    CallLimit logins{20, std::chrono::seconds(60)};
    std::array<std::atomic<std::uint64_t>, 600> answers{};  // by status

    postgres::Pool::Lease db() { return deps.db.take(stop.token()); }

    // Tells the live stream; never fails.
    void publish(std::string_view type, std::string_view run, std::string_view pipeline, std::string_view data);
};

net::Response json_response(int status, std::string body);

// One function per file of resources; each adds its routes.
void add_health(Router& router, Services& services);
void add_meta(Router& router, Services& services);
void add_prometheus(Router& router, Services& services);
void add_auth(Router& router, Services& services);
void add_pipelines(Router& router, Services& services);
void add_runs(Router& router, Services& services);
void add_run_actions(Router& router, Services& services);
void add_logs(Router& router, Services& services);
void add_run_metrics(Router& router, Services& services);
void add_cron(Router& router, Services& services);
void add_events(Router& router, Services& services);
void add_credentials(Router& router, Services& services);

}  // namespace headrace::api
