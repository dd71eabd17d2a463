// /api/auth: the one-time login of dev mode, logout, and who am I.
#include "api/input.hpp"
#include "api/problem.hpp"
#include "api/services.hpp"
#include "auth/login_token.hpp"
#include "base/log.hpp"

namespace headrace::api {
namespace {

net::Response no_content() {
    net::Response out;
    out.status = 204;
    return out;
}

net::Response dev_login(Services& services, const Call& call) {
    if (!services.deps.dev_login) {
        throw Problem("api.not_found", "there is no such address");
    }
    if (!services.logins.allow()) {
        throw Problem("api.rate_limited", "too many logins at once")
            .with_header("Retry-After", std::to_string(services.logins.span().count()));
    }
    const auto body = body_object(call.request, false);
    Members members(body);
    const auto token = members.text("token", 128);
    if (!token || token->size() < 16) {
        members.wrong("token", "must be a text of 16 to 128 characters");
    }
    members.done();
    auto redis = services.redis.take();
    if (!auth::use_login_token(*redis, *token)) {
        log::warn("a login link was refused", {{"request", call.request.id}, {"remote", call.request.remote}});
        throw Problem("api.unauthenticated", "this link was used already, or is too old")
            .with_hint("Take the newest link that `headrace dev` printed, or start it again.");
    }
    // A session that the browser had before ends here: nobody can plant one and wait for a login.
    if (const auto old = services.sessions.load(*redis, call.request.headers.get("Cookie"), now())) {
        services.sessions.end(*redis, old->id);
    }
    auto out = no_content();
    out.headers.add("Set-Cookie", services.sessions.create(*redis, {"dev", "dev", auth::Role::admin}, now()));
    log::info("logged in", {{"user", "dev"}, {"remote", call.request.remote}});
    return out;
}

net::Response logout(Services& services, const Call& call) {
    services.sessions.end(*services.redis.take(), call.session->id);
    services.events.close_session(call.session->id);
    auto out = no_content();
    out.headers.add("Set-Cookie", services.sessions.clearing_cookie());
    out.headers.add("Clear-Site-Data", "\"cache\", \"storage\"");
    return out;
}

net::Response me(const Call& call) {
    JsonWriter json;
    json.begin_object().key("name").text(call.actor()).key("role").text(to_string(*call.session->content.role)).end();
    return json_response(200, json.take());
}

}  // namespace

void add_auth(Router& router, Services& services) {
    const auto viewer = Policy::at_least(auth::Role::viewer);
    router
        .add(
            "POST",
            "/api/auth/dev-login",
            Policy::anyone(),
            [&services](const Call& call) { return dev_login(services, call); }
        )
        .takes_body({"application/json"});
    router.add(
              "POST", "/api/auth/logout", viewer, [&services](const Call& call) { return logout(services, call); }
    ).takes_body({"application/json"});
    router.add("GET", "/api/auth/me", viewer, [](const Call& call) { return me(call); });
}

}  // namespace headrace::api
