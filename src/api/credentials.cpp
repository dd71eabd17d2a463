// /api/credentials: names only; secrets are never read here. A test is made by the application.
#include "api/input.hpp"
#include "api/services.hpp"

#include <map>
#include <set>

namespace headrace::api {
namespace {

net::Response list(Services& services) {
    auto db = services.db();
    const auto users = db->exec(
        "select p.name, c.credential from etl_pipelines p cross join lateral (select "
        "p.summary->'source'->>'credential' as credential"
        " union select s->>'credential' from jsonb_array_elements(case jsonb_typeof(p.summary->'sinks') when 'array'"
        " then p.summary->'sinks' else '[]'::jsonb end) s) c where not p.removed and c.credential is not null"
    );
    std::map<std::string, std::set<std::string>, std::less<>> used_by;
    for (std::size_t i = 0; i < users.rows(); ++i) {
        used_by[std::string(users.text(i, "credential"))].emplace(users.text(i, "name"));
    }
    const auto rows = db->exec("select name, kind, allowed_hosts, updated_at from etl_credentials order by name");
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        const auto name = std::string(rows.text(i, "name"));
        const auto& pipelines = used_by[name];
        json.begin_object().key("name").text(name).key("kind").text(rows.text(i, "kind"));
        json.key("hosts").texts(rows.array(i, "allowed_hosts"));
        json.key("usedBy").texts({pipelines.begin(), pipelines.end()});
        json.key("updatedAt").time_or_null(rows.time(i, "updated_at")).end();
    }
    json.end().end();
    return json_response(200, json.take());
}

void write_step(JsonWriter& json, const pipeline::TestStep& step) {
    const auto or_null = [](const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); };
    json.begin_object().key("name").text(step.name).key("ok").boolean(step.ok);
    json.key("ms").real(static_cast<double>(step.took.count()) / 1000).key("detail").text(step.detail);
    json.key("code").text_or_null(or_null(step.code)).key("hint").text_or_null(or_null(step.hint)).end();
}

net::Response test(Services& services, const Call& call) {
    const auto body = body_object(call.request, false);
    Members members(body);
    const auto name = members.text("name", 64);
    if (!name && !members.has("name")) {
        members.wrong("name", "the name of a credential is missing");
    }
    members.done();
    auto db = services.db();
    if (!services.deps.test_credential || db->exec("select 1 from etl_credentials where name = $1", {*name}).empty()) {
        throw Problem("credential.not_found", "there is no credential `" + *name + "`");
    }
    const auto steps = services.deps.test_credential(*db, *name, services.stop.token());
    JsonWriter json;
    json.begin_object().key("name").text(*name).key("ok").boolean(!steps.empty() && steps.back().ok);
    json.key("steps").begin_array();
    for (const auto& step : steps) {
        write_step(json, step);
    }
    json.end().end();
    return json_response(200, json.take());
}

}  // namespace

void add_credentials(Router& router, Services& services) {
    router
        .add(
            "GET",
            "/api/credentials",
            Policy::at_least(auth::Role::op),
            [&services](const Call&) { return list(services); }
        )
        .in_background();
    router
        .add(
            "POST",
            "/api/credentials/test",
            Policy::at_least(auth::Role::op),
            [&services](const Call& call) { return test(services, call); }
        )
        .takes_body({"application/json"});
}

}  // namespace headrace::api
