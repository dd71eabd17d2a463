// The HTTP API and the page: routes, sessions, live events. The application starts net::HttpServer with `handle`.
//
//   api::Api api({.db = pool, .redis = …});
//   net::HttpServer server(options, [&](const net::Request& r) { return api.handle(r); });
//   …                        // at the end: api.stop(), server.stop(deadline)
//
// Thread-safe. Owns one thread (live events). Everything is answered, errors as problem documents; nothing escapes
// handle().
#pragma once

#include "api/problem.hpp"
#include "api/router.hpp"
#include "auth/session.hpp"
#include "net/http_message.hpp"
#include "pipeline/connection_test.hpp"
#include "postgres/pool.hpp"
#include "redis/options.hpp"
#include "run/events.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace headrace::api {

struct Dependencies {
    postgres::Pool& db;             // must live longer; one connection per handler thread, and one or two more
    redis::Options redis;           // sessions, live events, queue counts
    auth::SessionOptions sessions;  // SESSION_SECRET …; cursors are signed with a key made from the first secret
    // Sends what the outbox holds (run::dispatch) right after a run was made. Best effort: it may throw, the sweep of a
    // worker sends what stays. Empty: always left to the sweep.
    std::function<void(postgres::Connection&)> send_jobs;
    // Tries a stored credential step by step. Empty: POST /api/credentials/test answers 404.
    std::function<
        std::vector<pipeline::TestStep>(postgres::Connection&, const std::string& name, const StopToken& stop)>
        test_credential = {};
    std::string queue = "etl";  // for the counts in /api/metrics
    std::string prefix = "bull";
    std::string event_stream = std::string(run::default_stream);
    std::string web_folder;  // the built page (web/dist); "" or not there: a plain page says how to build it
    bool dev_login = false;  // POST /api/auth/dev-login takes tokens of auth::create_login_token
    std::string version = "0";
    std::string commit;
    // Names under which clients may address this server ("localhost", "etl.example.com"), without port; any other Host
    // is refused, which stops DNS rebinding. Empty: any.
    std::vector<std::string> hosts;
    std::chrono::milliseconds event_ping{
        15'000};  // of live streams; sessions and runs of streams are looked at as often
};

struct Services;

class Api {
public:
    // Starts the event thread; connects to nothing by itself. Throws config.missing or config.invalid for bad secrets.
    explicit Api(Dependencies dependencies);
    ~Api();  // stop()
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;

    net::Response handle(const net::Request& request);
    const Router& router() const;

    // Ends the live streams with `bye`, so that the server can stop; other requests go on. Idempotent.
    void stop();

private:
    net::Response answer(const net::Request& request);
    net::Response answer_api(const net::Request& request);
    // The session that may call the route; `cookie` is set when the browser must get it again.
    auth::Session admit(const Route& route, const net::Request& request, std::optional<std::string>& cookie);
    Problem unauthenticated(std::string_view cookies) const;
    net::Response call(const Route& route, Call& call);
    void check_host(const net::Request& request) const;

    std::unique_ptr<Services> services_;
    Router router_;
};

}  // namespace headrace::api
