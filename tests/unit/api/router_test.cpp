#include "api/router.hpp"

#include "api/problem.hpp"

#include <gtest/gtest.h>

namespace headrace::api {
namespace {

net::Response nothing(const Call&) {
    return {};
}

std::string code_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.code();
    }
    return "";
}

class RouterTest : public ::testing::Test {
protected:
    RouterTest() {
        router_.add("GET", "/api/runs/{id}", Policy::at_least(auth::Role::viewer), nothing);
        router_.add("GET", "/api/runs/{id}/logs", Policy::at_least(auth::Role::viewer), nothing)
            .takes_query({"q", "limit"});
        router_.add("POST", "/api/runs/{id}/cancel", Policy::at_least(auth::Role::op), nothing)
            .takes_body({"application/json"});
        router_.add("PATCH", "/api/runs/{id}", Policy::at_least(auth::Role::op), nothing)
            .takes_body({"application/merge-patch+json", "application/json"});
    }

    Router router_;
};

TEST_F(RouterTest, finds_routes_and_their_parameters) {
    const auto match = router_.match("GET", "/api/runs/42/logs");
    ASSERT_NE(match.route, nullptr);
    EXPECT_EQ(match.route->pattern, "/api/runs/{id}/logs");
    EXPECT_EQ(match.path.at("id"), "42");
    EXPECT_EQ(router_.match("HEAD", "/api/runs/42").route->method, "GET");
}

TEST_F(RouterTest, knows_no_other_path) {
    for (const auto* path :
         {"/",
          "/api",
          "/api/runs",
          "/api/runs/",
          "/api/runs/1/",
          "/api/runs/1/logs/2",
          "/API/runs/1",
          "/api/runs//logs"}) {
        const auto match = router_.match("GET", path);
        EXPECT_EQ(match.route, nullptr) << path;
        EXPECT_TRUE(match.allow.empty()) << path << match.allow;
    }
}

TEST_F(RouterTest, says_what_is_allowed) {
    EXPECT_EQ(router_.match("DELETE", "/api/runs/1").allow, "GET, HEAD, PATCH");
    EXPECT_EQ(router_.match("GET", "/api/runs/1/cancel").allow, "POST");
    EXPECT_EQ(router_.match("OPTIONS", "/api/runs/1/cancel").allow, "POST");
}

TEST_F(RouterTest, refuses_unknown_and_double_query_parameters) {
    const auto& route = *router_.match("GET", "/api/runs/1/logs").route;
    net::Request request;
    request.query = {{"q", "x"}, {"limit", "2"}};
    EXPECT_EQ(code_of([&] { check_query(route, request); }), "");
    request.query = {{"qq", "x"}};
    EXPECT_EQ(code_of([&] { check_query(route, request); }), "api.bad_request");
    request.query = {{"q", "x"}, {"q", "y"}};
    EXPECT_EQ(code_of([&] { check_query(route, request); }), "api.bad_request");
    request.query = {{"q", std::string("a\0b", 3)}};
    EXPECT_EQ(code_of([&] { check_query(route, request); }), "api.bad_request");
    request.query = {{"q", "\xff"}};
    EXPECT_EQ(code_of([&] { check_query(route, request); }), "api.bad_request");
}

TEST_F(RouterTest, wants_the_media_type_exactly) {
    const auto& route = *router_.match("POST", "/api/runs/1/cancel").route;
    const auto& patch = *router_.match("PATCH", "/api/runs/1").route;
    const auto check = [&](const Route& to, const char* type) {
        net::Request request;
        request.body = "{}";
        if (type != nullptr) {
            request.headers.add("Content-Type", type);
        }
        return code_of([&] { check_body_type(to, request); });
    };
    EXPECT_EQ(check(route, "application/json"), "");
    EXPECT_EQ(check(route, "Application/JSON; charset=UTF-8"), "");
    EXPECT_EQ(check(patch, "application/merge-patch+json"), "");
    for (const auto* type :
         {"text/plain",
          "application/json-patch+json",
          "application/jsonx",
          "application/json; charset=latin1",
          "",
          "text/plain; application/json",
          "application/merge-patch+json",
          "application/json, text/plain"}) {
        EXPECT_EQ(check(route, type), "api.unsupported_media_type") << type;
    }
    EXPECT_EQ(check(route, nullptr), "api.unsupported_media_type");
    EXPECT_EQ(code_of([&] { check_body_type(route, net::Request{}); }), "");
}

TEST(Accept, most_specific_range_decides) {
    const auto ok = [](const char* accept, const char* type = "application/json") {
        return code_of([&] { check_accept(accept, type); }).empty();
    };
    for (const auto* accept :
         {"",
          "*/*",
          "application/*",
          "application/json",
          "text/html, application/json;q=0.1",
          "text/html;q=0.9,*/*;q=0.1",
          "APPLICATION/json; charset=utf-8"}) {
        EXPECT_TRUE(ok(accept)) << accept;
    }
    for (const auto* accept :
         {"text/html", "application/json;q=0", "*/*, application/json;q=0", "text/*", "application/jsonx"}) {
        EXPECT_FALSE(ok(accept)) << accept;
    }
    EXPECT_TRUE(ok("text/event-stream", "text/event-stream"));
}

}  // namespace
}  // namespace headrace::api
