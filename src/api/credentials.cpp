// /api/credentials: names only; secrets are never read here.
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
}

}  // namespace headrace::api
