// Which handler answers a request, and who may ask. A route cannot be made without its policy; what has no route has no
// answer. Filled once at start, then read by all threads.
#pragma once

#include "auth/role.hpp"
#include "auth/session.hpp"
#include "net/http_message.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::api {

// Who may call a route. There is no default.
class Policy {
public:
    static Policy anyone() { return Policy(std::nullopt); }

    static Policy at_least(auth::Role role) { return Policy(role); }

    bool is_public() const { return !role_; }

    std::optional<auth::Role> role() const { return role_; }

private:
    explicit Policy(std::optional<auth::Role> role) : role_(role) {}

    std::optional<auth::Role> role_;
};

// One request on its way through a handler. Lives as long as the call.
struct Call {
    const net::Request& request;
    std::map<std::string, std::string, std::less<>> path;  // parameters of the pattern
    const auth::Session* session = nullptr;                // set unless the route is public

    const std::string& parameter(std::string_view name) const { return path.find(name)->second; }

    const std::string& actor() const { return session->content.name; }

    bool head() const { return request.method == "HEAD"; }
};

using RouteHandler = std::function<net::Response(const Call&)>;

struct Route {
    Route(std::string route_method, std::string route_pattern, Policy route_policy, RouteHandler route_handler)
        : method(std::move(route_method)),
          pattern(std::move(route_pattern)),
          policy(route_policy),
          handler(std::move(route_handler)) {}

    Route& takes_query(std::vector<std::string> names);  // any other query parameter is a 400
    Route& takes_body(std::vector<std::string> types);   // media types of the body, else 415
    Route& answers(std::string type);                    // media type of success, else application/json
    Route& in_background();                              // the page calls it by itself: does not keep a session alive

    std::string method;   // GET also answers HEAD
    std::string pattern;  // "/api/etl/runs/{id}/logs"
    Policy policy;
    RouteHandler handler;
    std::vector<std::string> query;
    std::vector<std::string> body_types;
    std::string answer_type = "application/json";
    bool background = false;
};

class Router {
public:
    // The reference is good until the next add().
    Route& add(std::string method, std::string pattern, Policy policy, RouteHandler handler);

    struct Match {
        const Route* route = nullptr;  // nullptr: see allow
        std::map<std::string, std::string, std::less<>> path;
        std::string allow;  // methods of this path, "" when there is none
    };

    Match match(std::string_view method, std::string_view path) const;

    const std::vector<Route>& routes() const { return routes_; }

private:
    std::vector<Route> routes_;
};

// Query parameters against the route's list: unknown, double, not UTF-8 or with control characters → api.bad_request.
void check_query(const Route& route, const net::Request& request);
// Content-Type of a request with a body: exactly one of the route's types, charset utf-8 at most → else 415.
void check_body_type(const Route& route, const net::Request& request);
// 406 when the Accept header excludes both the route's type and problem documents' JSON.
void check_accept(std::string_view accept, std::string_view type);

}  // namespace headrace::api
