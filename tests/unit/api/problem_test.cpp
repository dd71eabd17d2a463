#include "api/problem.hpp"

#include "base/codes.hpp"
#include "postgres/connection.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gtest/gtest.h>

namespace headrace::api {
namespace {

net::Request request() {
    net::Request out;
    out.path = "/api/x";
    out.id = "req-1";
    return out;
}

TEST(Problem, has_the_members_of_the_contract) {
    Problem problem("api.invalid", "two things");
    problem.with_errors({{"#/a", "bad"}, {"#/b", "worse"}})
        .with_member("runId", "\"r\"")
        .with_header("Retry-After", "9");
    const auto response = render(problem, request());
    EXPECT_EQ(response.status, 422);
    EXPECT_EQ(response.headers.get("Content-Type"), "application/problem+json");
    EXPECT_EQ(response.headers.get("Retry-After"), "9");
    const auto json = boost::json::parse(response.body).as_object();
    EXPECT_EQ(json.at("type"), "/problems/api.invalid");
    EXPECT_EQ(json.at("status"), 422);
    EXPECT_EQ(json.at("code"), "api.invalid");
    EXPECT_EQ(json.at("detail"), "two things");
    EXPECT_EQ(json.at("requestId"), "req-1");
    EXPECT_EQ(json.at("instance"), "/api/x");
    EXPECT_EQ(json.at("runId"), "r");
    EXPECT_EQ(json.at("errors").as_array().at(1).at("pointer"), "#/b");
    EXPECT_FALSE(json.at("hint").as_string().empty());
    EXPECT_FALSE(json.at("title").as_string().empty());
}

TEST(Problem, status_follows_the_code) {
    const auto status = [](ErrorKind kind, std::string_view code) { return outside_of(Error(kind, code, "m")).status; };
    EXPECT_EQ(status(ErrorKind::invalid, "run.already_active"), 409);
    EXPECT_EQ(status(ErrorKind::invalid, "run.not_found"), 404);
    EXPECT_EQ(status(ErrorKind::invalid, "schedule.bad_zone"), 422);
    EXPECT_EQ(status(ErrorKind::transient, "redis.connect"), 503);
    EXPECT_EQ(status(ErrorKind::unauthorized, "postgres.auth"), 503);
    EXPECT_EQ(status(ErrorKind::transient, "postgres.timeout"), 503);
    EXPECT_EQ(status(ErrorKind::permanent, "postgres.query"), 500);
    EXPECT_EQ(status(ErrorKind::bug, "internal.bug"), 500);
    EXPECT_EQ(status(ErrorKind::permanent, "redis.protocol"), 500);
}

TEST(Problem, every_code_of_the_api_has_a_status_of_its_own) {
    for (const auto& info : all_codes()) {
        if (info.code.starts_with("api.")) {
            const auto outside = outside_of(Error(ErrorKind::invalid, info.code, "m"));
            EXPECT_EQ(outside.code, info.code);
            EXPECT_TRUE(outside.status == 500 || info.code != "api.internal") << info.code;
        }
    }
}

TEST(Problem, shows_no_sql_no_address_and_no_stack) {
    const postgres::SqlError sql(
        ErrorKind::permanent, "postgres.query", "relation \"etl_secret\" does not exist at character 15", "42P01", ""
    );
    const Error down(
        ErrorKind::transient, "postgres.connect", "connection to server at \"10.0.0.7\", port 5432 failed: password"
    );
    for (const auto& error : {Error(sql), down}) {
        const auto body = render(error, request()).body;
        EXPECT_EQ(body.find("etl_secret"), std::string::npos) << body;
        EXPECT_EQ(body.find("10.0.0.7"), std::string::npos) << body;
        EXPECT_NE(body.find("req-1"), std::string::npos);
    }
    const auto away = render(down, request());
    EXPECT_EQ(away.status, 503);
    EXPECT_EQ(away.headers.get("Retry-After"), "2");
    const auto json = boost::json::parse(away.body).as_object();
    EXPECT_EQ(json.at("code"), "api.unavailable");
    EXPECT_EQ(json.at("detail"), "Postgres is not reachable.");
    EXPECT_FALSE(json.at("hint").as_string().empty());
}

}  // namespace
}  // namespace headrace::api
