// /api/version and /api/openapi.json.
#include "api/openapi_document.hpp"
#include "api/services.hpp"

#include <memory>

namespace headrace::api {
namespace {

net::Response version(Services& services) {
    auto db = services.db();
    const auto schema = db->exec("select coalesce(max(number), 0) as number from etl_migrations").integer(0, "number");
    JsonWriter json;
    json.begin_object().key("version").text(services.deps.version).key("commit").text(services.deps.commit);
    json.key("schema").number(schema).key("mode").text(services.deps.dev_login ? "dev" : "production").end();
    return json_response(200, json.take());
}

}  // namespace

void add_meta(Router& router, Services& services) {
    const auto viewer = Policy::at_least(auth::Role::viewer);
    router.add("GET", "/api/version", viewer, [&services](const Call&) { return version(services); }).in_background();

    struct Document {
        std::once_flag made;
        std::string json;
    };

    router.add("GET", "/api/openapi.json", viewer, [document = std::make_shared<Document>()](const Call&) {
        std::call_once(document->made, [&] { document->json = openapi_json(); });
        return json_response(200, document->json);
    });
}

}  // namespace headrace::api
