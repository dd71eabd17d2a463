// F20: an answer is lost exactly where it matters. The server has done what it was asked, or has not; the program
// cannot know, must not say that a committed run failed, and must not commit twice.
#include "support/proxy.hpp"
#include "support/scene.hpp"

#include <gtest/gtest.h>

namespace headrace {
namespace {

using support::Loss;
using support::Proxy;
using support::run_of;
using support::Scene;
using support::TornReader;

// The COMMIT of a decision: no other transaction says this first.
const std::vector<std::string> commit_of_decision{"set state = 'committed'", std::string("commit\0", 7)};
const std::vector<std::string> commit_of_claim{"set state = 'running'", std::string("commit\0", 7)};
const std::vector<std::string> commit_of_acknowledgement{"set state = 'succeeded'", std::string("commit\0", 7)};

class LostReplies : public testing::Test {
protected:
    LostReplies()
        : scene([this](support::Stack& stack) -> support::HeadraceProcess::Env {
              auto db = support::proxied_postgres(stack.database_url());
              auto cache = support::proxied_redis(stack.redis_url());
              postgres = std::move(db.proxy);
              redis = std::move(cache.proxy);
              return {{"DATABASE_URL", db.url}, {"CACHE_REDIS_URL", cache.url}};
          }),
          reader(scene.stack.redis_url(), "cache:t", Scene::rows) {}

    // One run during which `proxy` loses something once: succeeds, decided once, by `attempts` attempts.
    void expect_one_commit(Proxy& proxy, const std::string& attempts, const std::function<void()>& meanwhile = {}) {
        const auto run_id = scene.stack.trigger("t");
        EXPECT_TRUE(scene.stack.await([&] { return proxy.lost() == 1; })) << "nothing was lost";
        if (meanwhile) {
            meanwhile();
        }
        EXPECT_EQ(scene.stack.await_final(run_id), "succeeded") << scene.worker->log();
        // The outputs come last where the reconciler finishes the run.
        EXPECT_TRUE(scene.stack.await([&] { return reader.last_version() == 2; }));
        support::expect_whole(scene.stack, run_id, 2, Scene::rows);
        EXPECT_EQ(run_of(scene.stack, "attempt", run_id), attempts);
        EXPECT_EQ(
            scene.stack.sql(
                "select string_agg(outcome, ' ' order by attempt) as x from etl_attempts where run_id = $1", {run_id}
            ),
            attempts == "1" ? "succeeded" : "released succeeded"
        );
        EXPECT_EQ(run_of(scene.stack, "crash_count", run_id), "0");
        EXPECT_EQ(scene.stack.sql("select count(*) as x from etl_outputs where seq <> 2"), "0") << "decided twice";
        EXPECT_EQ(reader.violation(), "");
        EXPECT_TRUE(scene.worker->running());
    }

    std::unique_ptr<Proxy> postgres;
    std::unique_ptr<Proxy> redis;
    Scene scene;
    TornReader reader;
};

TEST_F(LostReplies, F20_AnswerToTheDecisionsCommit) {
    postgres->lose(Loss::reply, commit_of_decision);
    expect_one_commit(*postgres, "1");
    // The log is written behind the run's back.
    EXPECT_TRUE(scene.stack.await([&] {
        return scene.stack.sql("select count(*) as x from etl_logs where message like 'the answer to COMMIT was lost%'"
               ) != "0";
    }));
}

TEST_F(LostReplies, F20_TheDecisionsCommitItself) {
    postgres->lose(Loss::request, commit_of_decision);
    expect_one_commit(*postgres, "1");
}

// Nobody can be asked: the attempt ends without knowing, and must not call the run failed, nor throw away what it
// staged.
TEST_F(LostReplies, F20_AnswerToTheDecisionsCommitAndPostgresStaysAway) {
    postgres->lose(Loss::reply, commit_of_decision, true);
    expect_one_commit(*postgres, "1", [&] {
        EXPECT_TRUE(scene.worker->wait_for_log("delivery could not be handled", std::chrono::seconds(20)))
            << scene.worker->log();
        postgres->refuse(false);
    });
}

TEST_F(LostReplies, F20_AnswerToTheClaimsCommit) {
    postgres->lose(Loss::reply, commit_of_claim);
    expect_one_commit(*postgres, "2");
}

TEST_F(LostReplies, F20_AnswerToTheAcknowledgement) {
    postgres->lose(Loss::reply, commit_of_acknowledgement);
    expect_one_commit(*postgres, "1");
}

TEST_F(LostReplies, F20_AnswerOfThePublishScript) {
    redis->lose(Loss::reply, {"EVALSHA", ":applied"});
    expect_one_commit(*redis, "1");
}

TEST_F(LostReplies, F20_ThePublishScriptItself) {
    redis->lose(Loss::request, {"EVALSHA", ":applied"});
    expect_one_commit(*redis, "1");
}

}  // namespace
}  // namespace headrace
