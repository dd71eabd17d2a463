#include "api/api.hpp"

#include "api/problem.hpp"
#include "api/services.hpp"
#include "base/log.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::api {
namespace {

constexpr std::string_view content_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src "
    "'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

bool is_api(std::string_view path) {
    return path == "/api" || path.starts_with("/api/");
}

void add_safety_headers(const net::Request& request, net::Response& response) {
    auto& headers = response.headers;
    headers.set("Content-Security-Policy", std::string(content_policy));
    headers.set("X-Content-Type-Options", "nosniff");
    headers.set("Referrer-Policy", "no-referrer");
    headers.set("Cross-Origin-Opener-Policy", "same-origin");
    headers.set("Cross-Origin-Resource-Policy", "same-origin");
    headers.set("X-Frame-Options", "DENY");
    headers.set("X-Request-Id", request.id);
    if (is_api(request.path)) {
        headers.set("Cache-Control", "no-store");
    }
}

bool is_unsafe(std::string_view method) {
    return method != "GET" && method != "HEAD";
}

std::string cookie_header(const net::Request& request) {
    std::string out;
    for (const auto& [name, value] : request.headers) {
        if (net::equal_no_case(name, "Cookie")) {
            out += (out.empty() ? "" : "; ") + value;
        }
    }
    return out;
}

// "http://etl.example.com:8080" → "etl.example.com:8080"
std::string_view authority_of(std::string_view origin) {
    const auto at = origin.find("://");
    return at == std::string_view::npos ? std::string_view() : origin.substr(at + 3);
}

// A page of another site must not act in the name of who is logged in here. Browsers of today say where a request comes
// from; the header of our own needs a preflight, which nobody answers.
void check_origin(const net::Request& request, bool with_session) {
    const auto refuse = [](std::string_view why) { throw Problem("api.forbidden", std::string(why)); };
    if (const auto* site = request.headers.find("Sec-Fetch-Site")) {
        if (*site != "same-origin") {
            refuse("the request comes from another site");
        }
    } else if (const auto* origin = request.headers.find("Origin")) {
        if (!net::equal_no_case(authority_of(*origin), request.headers.get("Host"))) {
            refuse("the request comes from another origin");
        }
    }
    if (with_session && request.headers.get("X-Headrace") != "1") {
        refuse("the header X-Headrace: 1 is missing");
    }
}

void log_failure(const Error& error, const net::Request& request) {
    if (outside_of(error).status >= 500) {
        log::error(
            "a request failed",
            {{"request", request.id}, {"method", request.method}, {"path", request.path}, {"error", error.what()}}
        );
    }
}

}  // namespace

Api::Api(Dependencies dependencies) : services_(std::make_unique<Services>(std::move(dependencies))) {
    for (const auto add :
         {add_health,
          add_meta,
          add_prometheus,
          add_auth,
          add_pipelines,
          add_runs,
          add_run_actions,
          add_logs,
          add_run_metrics,
          add_cron,
          add_events,
          add_credentials}) {
        add(router_, *services_);
    }
}

Api::~Api() {
    stop();
    services_->stop.request_stop("shutdown");
}

void Api::stop() {
    services_->events.stop();
}

const Router& Api::router() const {
    return router_;
}

net::Response Api::handle(const net::Request& request) {
    net::Response response;
    try {
        response = answer(request);
    } catch (const Error& error) {
        log_failure(error, request);
        response = render(error, request);
    } catch (...) {
        const auto error = as_error(std::current_exception());
        log_failure(error, request);
        response = render(error, request);
    }
    add_safety_headers(request, response);
    ++services_->answers[static_cast<std::size_t>(std::clamp(response.status, 0, 599))];
    return response;
}

void Api::check_host(const net::Request& request) const {
    const auto& hosts = services_->deps.hosts;
    if (hosts.empty()) {
        return;
    }
    const auto host = request.headers.get("Host");
    const auto colon = host.rfind(':');
    const bool port = colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
    const auto name = port ? host.substr(0, colon) : host;
    if (std::none_of(hosts.begin(), hosts.end(), [&](const std::string& known) {
            return net::equal_no_case(known, name);
        })) {
        throw Problem("api.bad_request", "this server is not meant to be addressed by that host name");
    }
}

net::Response Api::answer(const net::Request& request) {
    check_host(request);
    return is_api(request.path) ? answer_api(request) : services_->files.get(request);
}

net::Response Api::answer_api(const net::Request& request) {
    auto match = router_.match(request.method, request.path);
    if (match.route == nullptr) {
        if (match.allow.empty()) {
            throw Problem("api.not_found", "there is no such address");
        }
        throw Problem("api.method_not_allowed", fmt::format("allowed here: {}", match.allow))
            .with_header("Allow", match.allow);
    }
    const auto& route = *match.route;
    Call call{request, std::move(match.path), nullptr};
    if (route.policy.is_public()) {
        if (is_unsafe(request.method)) {
            check_origin(request, false);
        }
        return this->call(route, call);
    }
    std::optional<std::string> cookie;
    auto session = admit(route, request, cookie);
    call.session = &session;
    auto response = this->call(route, call);
    if (cookie && !response.headers.has("Set-Cookie")) {
        response.headers.add("Set-Cookie", *cookie);
    }
    return response;
}

Problem Api::unauthenticated(std::string_view cookies) const {
    Problem problem("api.unauthenticated", "");
    if (auth::find_cookie(cookies, services_->deps.sessions.cookie)) {
        problem.with_header("Set-Cookie", services_->sessions.clearing_cookie());  // a dead one
    }
    return problem;
}

auth::Session Api::admit(const Route& route, const net::Request& request, std::optional<std::string>& cookie) {
    const auto cookies = cookie_header(request);
    if (!services_->sessions.is_signed(cookies)) {
        throw unauthenticated(cookies);
    }
    auto redis = services_->redis.take();
    auto session = services_->sessions.load(*redis, cookies, now());
    if (!session) {
        throw unauthenticated(cookies);
    }
    if (!session->content.role || *session->content.role < *route.policy.role()) {
        throw Problem("api.forbidden", fmt::format("this needs the role {}", to_string(*route.policy.role())))
            .with_hint("Ask an administrator for this role.");
    }
    if (is_unsafe(request.method)) {
        check_origin(request, true);
    }
    if (!route.background && route.answer_type != "text/event-stream") {
        cookie = services_->sessions.extend(*redis, *session, now());
    }
    return std::move(*session);
}

net::Response Api::call(const Route& route, Call& call) {
    check_accept(call.request.headers.joined("Accept"), route.answer_type);
    check_query(route, call.request);
    if (is_unsafe(call.request.method)) {
        check_body_type(route, call.request);
    }
    return route.handler(call);
}

}  // namespace headrace::api
