// What people do to runs: trigger, cancel, retry.
#include "api/idempotency.hpp"
#include "api/input.hpp"
#include "api/run_view.hpp"
#include "api/services.hpp"
#include "base/killpoint.hpp"
#include "base/log.hpp"
#include "run/control.hpp"

#include <fmt/core.h>

namespace headrace::api {
namespace {

struct Wish {
    std::optional<std::string> reason;
    bool force = false;
    std::optional<run::Backfill> backfill;
};

std::optional<run::Backfill> read_backfill(Members& members) {
    const auto* object = members.object("backfill");
    if (object == nullptr) {
        return std::nullopt;
    }
    Members ends(*object, members.pointer_of("backfill"));
    run::Backfill out;
    for (auto [name, value] : {std::pair{"from", &out.from}, std::pair{"to", &out.to}}) {
        if (auto text = ends.text(name, 1024)) {
            *value = std::move(*text);
        } else if (!ends.has(name)) {
            ends.wrong(name, "is missing");
        }
    }
    members.add(ends.errors());
    return out;
}

Wish read_wish(const net::Request& request) {
    const auto body = body_object(request, true);
    Members members(body);
    Wish out;
    out.reason = members.text("reason", 500);
    out.force = members.boolean("force").value_or(false);
    out.backfill = read_backfill(members);
    members.done();
    if (out.reason && out.reason->empty()) {
        out.reason.reset();
    }
    return out;
}

net::Response accepted(postgres::Connection& db, std::string_view run_id) {
    auto out = json_response(202, run_json(db, run_id));
    out.headers.set("Location", fmt::format("/api/etl/runs/{}", run_id));
    return out;
}

// The run is safe in Postgres: that the job goes out at once, and that the page hears of it, is best effort.
void announce(
    Services& services,
    postgres::Connection& db,
    std::string_view type,
    std::string_view run_id,
    std::string_view pipeline
) {
    if (services.deps.send_jobs && type == "run.created") {
        try {
            services.deps.send_jobs(db);
        } catch (const std::exception& error) {
            log::warn("a job waits for the sweep", {{"run", std::string(run_id)}, {"error", error.what()}});
        }
    }
    services.publish(type, run_id, pipeline, "{}");
}

net::Response start(Services& services, const Call& call, postgres::Connection& db, run::TriggerRequest request) {
    const auto key = idempotency_key(call.request);
    request.by = call.actor();
    request.idempotency_key = fmt::format("{}:{}", call.session->content.user_id, key);
    std::string created;
    net::Response out;
    try {
        out = once(db, call.session->content.user_id, key, call.request, [&](postgres::Connection& c) {
            const auto done = run::trigger_run(c, request);
            created = done.created ? done.run_id : std::string();
            auto response = accepted(c, done.run_id);
            if (!done.created) {
                response.headers.set("Idempotency-Replayed", "true");
            }
            return response;
        });
    } catch (const Error& error) {
        if (error.code() != "run.already_active") {
            throw;
        }
        Problem problem(error.code(), error.message());
        if (const auto active = active_run(db, request.pipeline)) {
            problem.with_member("runId", fmt::format("\"{}\"", *active));
        }
        throw problem;
    }
    if (!created.empty()) {
        announce(services, db, "run.created", created, request.pipeline);
    }
    HEADRACE_POINT("A4");
    return out;
}

net::Response trigger(Services& services, const Call& call) {
    const auto wish = read_wish(call.request);
    auto db = services.db();
    return start(
        services,
        call,
        *db,
        {.pipeline = call.parameter("name"),
         .trigger = "manual",
         .by = {},
         .reason = wish.reason,
         .idempotency_key = std::nullopt,
         .retry_of = std::nullopt,
         .forced = wish.force,
         .backfill = wish.backfill}
    );
}

net::Response retry(Services& services, const Call& call) {
    const auto wish = read_wish(call.request);
    auto db = services.db();
    const auto run = read_run(*db, call.parameter("id"));
    return start(
        services,
        call,
        *db,
        {.pipeline = std::string(run.text(0, "pipeline")),
         .trigger = "retry",
         .by = {},
         .reason = wish.reason,
         .idempotency_key = std::nullopt,
         .retry_of = std::string(run.text(0, "run_id")),
         .forced = wish.force}
    );
}

net::Response cancel(Services& services, const Call& call) {
    auto db = services.db();
    const auto run = read_run(*db, call.parameter("id"));
    const auto id = std::string(run.text(0, "run_id"));
    run::cancel_run(*db, id, call.actor());
    announce(services, *db, "run.state", id, run.text(0, "pipeline"));
    return accepted(*db, id);
}

}  // namespace

void add_run_actions(Router& router, Services& services) {
    const auto op = Policy::at_least(auth::Role::op);
    router
        .add(
            "POST",
            "/api/etl/pipelines/{name}/runs",
            op,
            [&services](const Call& call) { return trigger(services, call); }
        )
        .takes_body({"application/json"});
    router
        .add("POST", "/api/etl/runs/{id}/cancel", op, [&services](const Call& call) { return cancel(services, call); })
        .takes_body({"application/json"});
    router.add(
              "POST", "/api/etl/runs/{id}/retry", op, [&services](const Call& call) { return retry(services, call); }
    ).takes_body({"application/json"});
}

}  // namespace headrace::api
