// What may happen to the api: killed in the middle of a request; more logins than it serves.
#include "base/error.hpp"
#include "base/ids.hpp"
#include "support/api_client.hpp"
#include "support/scene.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <map>

namespace headrace {
namespace {

using std::chrono::seconds;
using support::ApiClient;
using support::ApiProcess;
using support::run_of;
using support::Scene;
using support::Stack;

constexpr seconds api_end{20};

std::string run_id_of(const net::HttpReply& reply) {
    return std::string(boost::json::parse(reply.body).as_object().at("id").as_string());
}

std::string count_of(Stack& stack, const std::string& what) {
    return stack.sql("select count(*) as x from " + what);
}

// ---- F08

struct ApiPoint {
    const char* name;
    bool happened;  // the run is there when the api dies
};

class ApiKilled : public testing::TestWithParam<ApiPoint> {};

TEST_P(ApiKilled, F08_TheSameKeyIsOneRun) {
    const auto [point, happened] = GetParam();
    Scene scene;
    auto& stack = scene.stack;
    scene.worker->terminate(seconds(10));
    const auto key = make_uuid_v4();
    std::string cookie;
    {
        ApiProcess api(stack, point);
        ApiClient client(api.address());
        client.login(stack);
        cookie = client.cookie;
        EXPECT_THROW(client.trigger("t", key), Error);
        const auto end = api.process().wait(api_end);
        ASSERT_TRUE(end);
        EXPECT_EQ(end->signal, SIGKILL) << end->text() << api.process().log();
    }
    // All of it, or nothing.
    const std::string expected = happened ? "1" : "0";
    const std::string mine = "(select run_id from etl_runs where triggered_by = 'dev')";
    EXPECT_EQ(count_of(stack, "etl_runs where triggered_by = 'dev'"), expected);
    EXPECT_EQ(count_of(stack, "etl_outbox where run_id in " + mine), expected);
    EXPECT_EQ(count_of(stack, "etl_idempotency"), expected);
    EXPECT_EQ(count_of(stack, "etl_audit where actor = 'dev'"), expected);

    ApiProcess api(stack);
    ApiClient client(api.address());
    client.cookie = cookie;
    const auto reply = client.trigger("t", key);
    ASSERT_EQ(reply.status, 202) << reply.body;
    EXPECT_EQ(reply.headers.has("Idempotency-Replayed"), happened);
    const auto again = client.trigger("t", key);
    EXPECT_EQ(run_id_of(again), run_id_of(reply));
    EXPECT_EQ(count_of(stack, "etl_runs where triggered_by = 'dev'"), "1");
    scene.worker = stack.start_worker();
    EXPECT_EQ(stack.await_final(run_id_of(reply)), "succeeded") << scene.worker->log();
    EXPECT_EQ(run_of(stack, "attempt || ' ' || crash_count", run_id_of(reply)), "1 0");
    support::expect_whole(stack, run_id_of(reply), 2, Scene::rows);
}

INSTANTIATE_TEST_SUITE_P(
    Points,
    ApiKilled,
    testing::Values(
        ApiPoint{"A1", false},  // the run was made, its answer not stored
        ApiPoint{"A2", false},  // before the COMMIT
        ApiPoint{"A3", true},   // after it, nothing sent
        ApiPoint{"K21", true},  // the job is sent and not marked
        ApiPoint{"A4", true}    // all is done but the answer
    ),
    [](const auto& info) { return std::string(info.param.name); }
);

TEST(ApiKilledHalfWay, F08_NoPipelineIsHalfChanged) {
    Scene scene;
    auto& stack = scene.stack;
    const auto row = [&] {
        return stack.sql(
            "select concat_ws(' ', paused, paused_by, pause_reason, override_cron, version) as x from etl_pipelines"
        );
    };
    const auto before = row();
    const std::string change = R"({"paused":true,"reason":"because","schedule":{"cron":"0 5 * * *","timezone":"UTC"}})";
    std::string cookie;
    {
        ApiProcess api(stack, "A5");
        ApiClient client(api.address());
        client.login(stack);
        cookie = client.cookie;
        EXPECT_THROW(client.ask("PATCH", "/api/etl/pipelines/t", {{"If-Match", "*"}}, change), Error);
        const auto end = api.process().wait(api_end);
        ASSERT_TRUE(end);
        EXPECT_EQ(end->signal, SIGKILL) << end->text() << api.process().log();
    }
    EXPECT_EQ(row(), before);
    EXPECT_EQ(count_of(stack, "etl_audit where action = 'pipeline.change'"), "0");
    ApiProcess api(stack);
    ApiClient client(api.address());
    client.cookie = cookie;
    const auto reply = client.ask("PATCH", "/api/etl/pipelines/t", {{"If-Match", "*"}}, change);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_TRUE(row().starts_with("t dev because 0 5 * * *")) << row();
    EXPECT_EQ(count_of(stack, "etl_audit where action = 'pipeline.change'"), "1");
}

// ---- F56

// No password is hashed here: a login is one GETDEL of a link. What is bounded is their number.
TEST(LoginStorm, F56_MoreThanALimitAreSentAway) {
    Stack stack;
    ApiProcess api(stack);
    ApiClient client(api.address());
    std::map<int, int> answers;
    for (int i = 0; i < 200; ++i) {
        const auto reply = client.login_with(make_uuid_v4());
        ++answers[reply.status];
        if (reply.status == 429) {
            EXPECT_TRUE(reply.headers.has("Retry-After"));
        }
    }
    EXPECT_EQ(answers, (std::map<int, int>{{401, 20}, {429, 180}}));
    EXPECT_TRUE(stack.redis().command({"KEYS", "mc:sess:*"}).elements().empty());
    EXPECT_EQ(client.ask("GET", "/api/health/ready").status, 200) << "others are still served";
}

}  // namespace
}  // namespace headrace
