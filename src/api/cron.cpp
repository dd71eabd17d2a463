// /api/etl/cron/preview: what an expression means, by the parser that the scheduler uses.
#include "api/input.hpp"
#include "api/schedule_input.hpp"
#include "api/services.hpp"
#include "schedule/preview.hpp"

namespace headrace::api {
namespace {

net::Response preview(const Call& call) {
    const auto expression = query_text(call.request, "expr", 200);
    const auto zone = query_text(call.request, "tz", 64);
    const auto count = query_integer(call.request, "count", 1, 50).value_or(5);
    if (!expression || !zone) {
        throw Problem(
            "api.bad_request", expression ? "the query parameter tz is missing" : "the query parameter expr is missing"
        );
    }
    const auto cron = parse_schedule(*expression, *zone, "#/expr", "#/tz");
    const auto seen = schedule::preview(cron, now(), static_cast<int>(count));
    JsonWriter json;
    json.begin_object().key("text").text(seen.text).key("next").begin_array();
    for (const auto time : seen.next) {
        json.time(time);
    }
    json.end().key("warnings").texts(seen.warnings).end();
    return json_response(200, json.take());
}

}  // namespace

void add_cron(Router& router, Services&) {
    router.add("GET", "/api/etl/cron/preview", Policy::at_least(auth::Role::viewer), preview)
        .takes_query({"expr", "tz", "count"});
}

}  // namespace headrace::api
