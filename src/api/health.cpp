// /api/health/live and /ready: for load balancers and `headrace doctor`. Unauthenticated, so they say what is wrong in
// words without addresses.
#include "api/services.hpp"
#include "postgres/migrate.hpp"

namespace headrace::api {
namespace {

struct Check {
    std::string_view name;
    std::string problem;  // "" = well
};

std::string words_of(const Error& error) {
    return error.code() + ": " + error.hint();
}

Check check_postgres(Services& services, Check& schema) {
    try {
        auto db = services.db();
        try {
            postgres::require_schema(*db);
        } catch (const Error& error) {
            schema.problem = words_of(error);
        }
        db->exec("select 1");
        return {"postgres", ""};
    } catch (const Error& error) {
        schema.problem = "not known while Postgres is away";
        return {"postgres", words_of(error)};
    }
}

Check check_redis(Services& services) {
    try {
        services.redis.take()->command({"PING"});
        return {"redis", ""};
    } catch (const Error& error) {
        return {"redis", words_of(error)};
    }
}

net::Response ready(Services& services) {
    Check schema{"schema", ""};
    const Check checks[] = {check_postgres(services, schema), check_redis(services), schema};
    bool well = true;
    JsonWriter list;
    list.begin_array();
    for (const auto& check : checks) {
        well = well && check.problem.empty();
        list.begin_object().key("name").text(check.name).key("ok").boolean(check.problem.empty());
        if (!check.problem.empty()) {
            list.key("detail").text(check.problem);
        }
        list.end();
    }
    list.end();
    JsonWriter json;
    json.begin_object().key("status").text(well ? "ok" : "failing").key("checks").raw(list.str()).end();
    return json_response(well ? 200 : 503, json.take());
}

}  // namespace

void add_health(Router& router, Services& services) {
    router.add("GET", "/api/health/live", Policy::anyone(), [](const Call&) {
        return json_response(200, R"({"status":"ok"})");
    });
    router.add("GET", "/api/health/ready", Policy::anyone(), [&services](const Call&) { return ready(services); });
}

}  // namespace headrace::api
