// The routes of the program and api/openapi.yaml say the same.
#include "api/api.hpp"
#include "api/openapi_document.hpp"
#include "support/nowhere.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <set>

namespace headrace::api {
namespace {

struct Operation {
    std::string role;  // "" = public
    std::set<std::string> query, body_types, statuses, success_types;
    bool path_parameters = false;
};

YAML::Node resolved(const YAML::Node& root, const YAML::Node& node) {
    const auto reference = node["$ref"];
    if (!reference) {
        return node;
    }
    YAML::Node at;
    at.reset(root);
    std::stringstream path(reference.Scalar().substr(2));
    for (std::string part; std::getline(path, part, '/');) {
        at.reset(at[part]);
    }
    return at;
}

Operation operation_of(const YAML::Node& root, const YAML::Node& shared, const YAML::Node& node) {
    Operation out;
    out.role = node["security"] && node["security"].size() == 0 ? ""
               : node["x-role"]                                 ? node["x-role"].Scalar()
                                                                : "missing";
    for (const auto& list : {shared, node["parameters"]}) {
        if (!list) {
            continue;
        }
        for (const auto& entry : list) {
            const auto parameter = resolved(root, entry);
            if (parameter["in"].Scalar() == "query") {
                out.query.insert(parameter["name"].Scalar());
            }
            out.path_parameters = out.path_parameters || parameter["in"].Scalar() == "path";
        }
    }
    if (node["requestBody"]) {
        for (const auto& type : node["requestBody"]["content"]) {
            out.body_types.insert(type.first.Scalar());
        }
    }
    for (const auto& entry : node["responses"]) {
        const auto status = entry.first.Scalar();
        out.statuses.insert(status);
        const auto response = resolved(root, entry.second);
        if (status[0] == '2' && response["content"]) {
            for (const auto& type : response["content"]) {
                out.success_types.insert(type.first.Scalar());
            }
        }
    }
    return out;
}

std::map<std::string, Operation> operations_of(const YAML::Node& root) {
    std::map<std::string, Operation> out;
    for (const auto& path : root["paths"]) {
        for (const auto& member : path.second) {
            auto method = member.first.Scalar();
            if (method == "parameters") {
                continue;
            }
            std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) {
                return std::toupper(c);
            });
            out.emplace(
                method + " " + path.first.Scalar(), operation_of(root, path.second["parameters"], member.second)
            );
        }
    }
    return out;
}

class Contract : public ::testing::Test {
protected:
    postgres::Pool db_{{.url = "host=127.0.0.1 port=1 dbname=none"}, 1};
    Api api_{
        {.db = db_,
         .redis = support::no_redis(),
         .sessions = {.secrets = {Secret("0123456789abcdef0123456789abcdef")}}}};
    std::map<std::string, Operation> operations_ = operations_of(YAML::Load(std::string(openapi_yaml())));
};

TEST_F(Contract, has_each_route_and_each_operation) {
    std::set<std::string> routes;
    for (const auto& route : api_.router().routes()) {
        EXPECT_TRUE(routes.insert(route.method + " " + route.pattern).second) << "twice: " << route.pattern;
        EXPECT_TRUE(operations_.count(route.method + " " + route.pattern))
            << route.method << " " << route.pattern << " is not in openapi.yaml";
    }
    for (const auto& [name, operation] : operations_) {
        EXPECT_TRUE(routes.count(name)) << name << " has no route";
    }
}

TEST_F(Contract, agrees_on_roles_parameters_and_types) {
    for (const auto& route : api_.router().routes()) {
        const auto name = route.method + " " + route.pattern;
        const auto& operation = operations_.at(name);
        EXPECT_EQ(route.policy.is_public() ? "" : to_string(*route.policy.role()), operation.role) << name;
        EXPECT_EQ(std::set<std::string>(route.query.begin(), route.query.end()), operation.query) << name;
        const std::set<std::string> types(route.body_types.begin(), route.body_types.end());
        // An action without a documented body may still get an empty JSON object.
        EXPECT_TRUE(types == operation.body_types || (operation.body_types.empty() && route.method == "POST")) << name;
        EXPECT_TRUE(
            operation.success_types.empty() || operation.success_types == std::set<std::string>{route.answer_type}
        ) << name;
    }
}

TEST_F(Contract, documents_the_refusals_that_follow_from_the_route) {
    for (const auto& route : api_.router().routes()) {
        const auto name = route.method + " " + route.pattern;
        const auto& operation = operations_.at(name);
        const auto documents = [&](const char* status) {
            return operation.statuses.count(status) + operation.statuses.count("4XX") > 0;
        };
        EXPECT_TRUE(route.policy.is_public() || documents("401")) << name;
        EXPECT_TRUE(route.policy.is_public() || *route.policy.role() == auth::Role::viewer || documents("403")) << name;
        EXPECT_TRUE(!operation.path_parameters || documents("404")) << name;
        EXPECT_TRUE(route.answer_type != "text/event-stream" || documents("429")) << name;
    }
}

TEST_F(Contract, is_served_as_json) {
    const auto json = boost::json::parse(openapi_json()).as_object();
    EXPECT_EQ(json.at("openapi"), "3.1.0");
    const auto& limit = json.at("paths").at("/api/etl/runs").at("get").at("parameters").as_array().back().at("schema");
    EXPECT_EQ(limit.at("maximum"), 500);
    EXPECT_TRUE(limit.at("maximum").is_int64());
    // Quoted in YAML, so it stays a text.
    EXPECT_TRUE(json.at("paths").at("/api/version").at("get").at("responses").as_object().contains("200"));
    EXPECT_EQ(
        json.at("components").at("schemas").at("Schedule").at("properties").at("overriddenBy").at("type").at(1), "null"
    );
}

}  // namespace
}  // namespace headrace::api
