// Redis outputs on a real Redis and Postgres: every layout of `as: keys`, the generation that is kept, rollback, the
// look at memory, clusters. What readers do, tests do.
#include "app/servers.hpp"
#include "net/wait.hpp"
#include "run/rollback.hpp"
#include "support/servers.hpp"
#include "support/sink_run.hpp"
#include "support/worker_process.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

namespace headrace {
namespace {

using support::SinkRun;
using Rows = std::vector<data::Batch>;

constexpr int many = 1500;  // more than one script writes

Rows rows(int from, int count, int v) {
    Rows out;
    out.push_back(SinkRun::rows(from, count, v));
    return out;
}

// The version in the JSON of a row; -1 when there is none.
int version_in(const std::string& json) {
    const auto at = json.find("\"v\":");
    int v = -1;
    if (at != std::string::npos) {
        std::from_chars(json.data() + at + 4, json.data() + json.size(), v);
    }
    return v;
}

class RedisOutputs : public testing::Test {
protected:
    SinkRun& start(const std::string& sinks) {
        run_ = std::make_unique<SinkRun>(support::servers().fresh_database(), support::servers().fresh_redis(), sinks);
        return *run_;
    }

    std::vector<std::string> keys(const std::string& pattern) {
        std::vector<std::string> found;
        const auto reply = run_->cache().command({"KEYS", pattern});
        for (const auto& key : reply.elements()) {
            found.push_back(key.text());
        }
        std::sort(found.begin(), found.end());
        return found;
    }

    // The recipe of docs/pipelines.md, its two lines and its one.
    std::string read(const std::string& pattern, const std::string& key) {
        const auto at = run_->get(pattern + ":current");
        auto two_lines = run_->get(at + key);
        const auto one = run_->cache().command(
            {"EVAL",
             "return redis.call('GET', (redis.call('GET', KEYS[1]) or '') .. ARGV[1])",
             "1",
             pattern + ":current",
             key}
        );
        EXPECT_EQ(one.is_nil() ? "" : one.str(), two_lines);
        return two_lines;
    }

    run::RolledBack roll_back(const std::string& output = "") {
        auto done = run::rollback(run_->db(), run_->cache_at(), {.pipeline = "t", .output = output, .by = "ana"});
        EXPECT_TRUE(run_->make_visible(done.run_id));
        return done;
    }

    std::string refused() {
        try {
            run::rollback(run_->db(), run_->cache_at(), {.pipeline = "t", .output = "", .by = "ana"});
            return "";
        } catch (const Error& e) {
            EXPECT_NE(e.hint(), "");
            return e.code();
        }
    }

    // What the reconciler does about outputs.
    void heal() {
        for (const auto& stale : run_->stale()) {
            run_->publish_output(stale.generation.output_id, stale.lost);
        }
    }

    std::unique_ptr<SinkRun> run_;
};

TEST_F(RedisOutputs, DirectKeysAreExactlyTheResult) {
    auto& t = start("  - { type: redis, as: keys, key: \"u:{id}\", layout: direct }\n");
    t.cache().command({"SET", "u:foreign", "not ours"});
    ASSERT_EQ(t.publish(rows(0, 5, 1)), "succeeded");
    EXPECT_EQ(t.get("u:0"), R"({"id":0,"name":"name 0","v":1,"nothing":null})");
    ASSERT_EQ(t.publish(rows(3, 5, 2)), "succeeded");
    const std::vector<std::string> expected = {
        "u:*:current", "u:*:meta", "u:3", "u:4", "u:5", "u:6", "u:7", "u:foreign"};
    EXPECT_EQ(keys("u:*"), expected) << "stale rows go, new ones come, other keys stay";
    EXPECT_EQ(version_in(t.get("u:3")), 2);
    EXPECT_EQ(version_in(read("u:*", "u:7")), 2);
    EXPECT_EQ(t.cache().command({"HGET", "u:*:meta", "rows"}).str(), "5");
    EXPECT_EQ(t.cache().command({"TTL", "u:3"}).integer(), -1);
    EXPECT_TRUE(t.stale().empty());
    t.cache().command({"DEL", "u:5"});
    heal();
    EXPECT_EQ(version_in(t.get("u:5")), 2) << "a lost row comes back";
    t.cache().command({"FLUSHALL"});
    heal();
    EXPECT_EQ(version_in(t.get("u:7")), 2);
}

TEST_F(RedisOutputs, KeysOfSeveralColumnsValueAndTtl) {
    auto& t = start("  - { type: redis, as: keys, key: \"{{u}}:{name}/{v}\", value: id, ttl: 90s }\n");
    ASSERT_EQ(t.publish(rows(0, 2, 7)), "succeeded");
    EXPECT_EQ(t.get("{u}:name 1/7"), "1");
    const auto ttl = t.cache().command({"PTTL", "{u}:name 1/7"}).integer();
    EXPECT_GT(ttl, 60'000);
    EXPECT_LE(ttl, 90'000);
}

TEST_F(RedisOutputs, DuplicateKeysLastRowWinsAndIsCounted) {
    for (const auto* layout : {"direct", "pointer", "auto"}) {
        SCOPED_TRACE(layout);
        auto& t = start(fmt::format("  - {{ type: redis, as: keys, key: \"u:{{id}}\", layout: {} }}\n", layout));
        const int count = std::string_view(layout) == "auto" ? many : 400;
        Rows twice;
        twice.push_back(SinkRun::rows(0, count, 1));
        twice.push_back(SinkRun::rows(0, 300, 2));
        ASSERT_EQ(t.publish(twice), "succeeded");
        EXPECT_EQ(version_in(read("u:*", "u:299")), 2);
        EXPECT_EQ(version_in(read("u:*", "u:300")), 1);
        ASSERT_EQ(t.warnings().size(), 1u);
        EXPECT_EQ(
            t.warnings()[0], fmt::format("300 of {} rows share a key: the last one of each is kept", count + 300)
        );
    }
}

TEST_F(RedisOutputs, NullsAndUnknownColumnsAreRefused) {
    auto& t = start("  - { type: redis, as: keys, key: \"u:{nothing}\" }\n");
    EXPECT_EQ(t.publish(rows(0, 1, 1)), "sink.invalid");
    EXPECT_EQ(t.last_error(), "row 0: column nothing is null and cannot be in a key");
    auto& v = start("  - { type: redis, as: keys, key: \"u:{id}\", value: nothing }\n");
    EXPECT_EQ(v.publish(rows(0, 1, 1)), "sink.invalid");
    auto& k = start("  - { type: redis, as: keys, key: \"u:{user}\" }\n");
    EXPECT_EQ(k.publish(rows(0, 1, 1)), "sink.invalid");
    EXPECT_EQ(k.last_error(), "key: there is no column `user`; the columns are id, name, v, nothing");
}

TEST_F(RedisOutputs, DirectLayoutRefusesMoreThanOneScriptCanWrite) {
    auto& t = start("  - { type: redis, as: keys, key: \"u:{id}\", layout: direct }\n");
    ASSERT_EQ(t.publish(rows(0, 10, 1)), "succeeded");
    EXPECT_EQ(t.publish(rows(0, many, 2)), "sink.too_large");
    EXPECT_EQ(version_in(t.get("u:9")), 1);
    EXPECT_TRUE(keys("{o:*}:s:*").empty()) << "staging is left behind";
}

TEST_F(RedisOutputs, PointerFlipsToTheNewRowsAndOldOnesAreRemoved) {
    auto& t = start("  - { type: redis, as: keys, key: \"u:{id}\" }\n");
    ASSERT_EQ(t.publish(rows(0, many, 1)), "succeeded");
    EXPECT_EQ(version_in(read("u:*", "u:1499")), 1);
    ASSERT_EQ(t.publish(rows(100, many, 2)), "succeeded");
    EXPECT_EQ(version_in(read("u:*", "u:1599")), 2);
    EXPECT_EQ(read("u:*", "u:99"), "") << "stale";
    EXPECT_EQ(keys("*:u:500").size(), 2u) << "this generation and the one before";
    ASSERT_EQ(t.publish(rows(0, many, 3)), "succeeded");
    t.retire();
    EXPECT_EQ(keys("*:u:500").size(), 2u) << "only one is kept";
    EXPECT_TRUE(t.stale().empty());
    t.cache().command({"DEL", "u:*:current"});
    heal();
    EXPECT_EQ(version_in(read("u:*", "u:0")), 3) << "a lost pointer comes back";
}

TEST_F(RedisOutputs, AutoGoesFromOneLayoutToTheOther) {
    auto& t = start("  - { type: redis, as: keys, key: \"u:{id}\" }\n");
    int v = 0;
    for (const int count : {10, many, 20, many, many, 5, 0, 10}) {
        SCOPED_TRACE(fmt::format("{} rows after {}", count, v));
        ASSERT_EQ(t.publish(rows(0, count, ++v)), "succeeded");
        EXPECT_EQ(version_in(read("u:*", "u:0")), count == 0 ? -1 : v);
        EXPECT_EQ(version_in(read("u:*", fmt::format("u:{}", count - 1))), count == 0 ? -1 : v);
        EXPECT_EQ(read("u:*", fmt::format("u:{}", count)), "");
        EXPECT_EQ(keys("u:[0-9]*").size(), static_cast<std::size_t>(count < 1000 ? count : 0)) << "plain keys";
        EXPECT_TRUE(t.stale().empty());
    }
}

TEST_F(RedisOutputs, NothingIsKeptWithoutKeepPrevious) {
    auto& t = start(
        "  - { type: redis, as: json, key: \"j\", keep_previous: 0s }\n"
        "  - { type: redis, as: keys, key: \"u:{id}\", keep_previous: 0s }\n"
        "  - { type: redis, as: keys, key: \"p:{id}\", keep_previous: 0s, layout: pointer }\n"
    );
    ASSERT_EQ(t.publish(rows(0, 10, 1)), "succeeded");
    ASSERT_EQ(t.publish(rows(0, 10, 2)), "succeeded");
    EXPECT_TRUE(keys("*:p:*").empty() || keys("{o:*}:p:*").empty());
    EXPECT_EQ(refused(), "run.no_previous");
    const auto due =
        t.cache().command({"ZRANGE", fmt::format("{{o:{}}}:gens", t.output_id(2)), "0", "-1", "WITHSCORES"});
    ASSERT_EQ(due.elements().size(), 2u);
    const auto now = t.cache().command({"TIME"}).at(0).integer() * 1000;
    EXPECT_NEAR(static_cast<double>(std::stoll(due.at(1).text()) - now), 60'000, 5'000)
        << "a reader may just have asked for the pointer";
}

TEST_F(RedisOutputs, AttemptThatDiedLeavesNothingForEver) {
    auto& t = start("  - { type: redis, as: keys, key: \"u:{id}\" }\n");
    ASSERT_EQ(t.publish(rows(0, many, 1)), "succeeded");
    Rows bad;
    bad.push_back(SinkRun::rows(0, many, 2));
    bad.push_back(SinkRun::rows(0, 1, 2));
    bad.back().column(0).set_null(0);
    EXPECT_EQ(t.publish(bad), "sink.invalid");
    t.retire();
    EXPECT_EQ(keys("*:u:500").size(), 1u);
    EXPECT_EQ(keys("{o:*}:i:*").size(), 1u);
    EXPECT_EQ(version_in(read("u:*", "u:0")), 1);
    // Decided and not yet visible: it is not anybody's to remove, however old.
    ASSERT_EQ(t.decide(rows(0, many, 3)), "committed");
    const auto registry = fmt::format("{{o:{}}}:gens", t.output_id());
    const auto all = t.cache().command({"ZRANGE", registry, "0", "-1"});
    for (const auto& gen : all.elements()) {
        t.cache().command({"ZADD", registry, "0", gen.str()});
    }
    t.retire();
    EXPECT_TRUE(t.make_visible());
    EXPECT_EQ(version_in(read("u:*", "u:1499")), 3);
}

TEST_F(RedisOutputs, HalfRemovedRowsAreNeverShown) {
    auto& t = start("  - { type: redis, as: keys, key: \"u:{id}\" }\n");
    ASSERT_EQ(t.publish(rows(0, many, 1)), "succeeded");
    ASSERT_EQ(t.decide(rows(0, many, 2)), "committed");
    for (const auto& index : keys("{o:*}:i:*")) {
        if (t.get("u:*:current").find(index.substr(index.find(":i:") + 3)) == std::string::npos) {
            t.cache().command({"LPOP", index});
        }
    }
    EXPECT_FALSE(t.make_visible());
    EXPECT_EQ(version_in(read("u:*", "u:0")), 1);
}

TEST_F(RedisOutputs, MergeKeepsOtherRows) {
    auto& t = start("  - { type: redis, as: keys, key: \"u:{id}\", mode: merge }\n");
    ASSERT_EQ(t.publish(rows(0, 2500, 1)), "succeeded");
    ASSERT_EQ(t.publish(rows(2000, 1000, 2)), "succeeded");
    EXPECT_EQ(version_in(t.get("u:1999")), 1);
    EXPECT_EQ(version_in(t.get("u:2000")), 2);
    EXPECT_EQ(version_in(read("u:*", "u:2999")), 2);
    EXPECT_EQ(t.cache().command({"PTTL", "u:2999"}).integer(), -1);
    EXPECT_TRUE(keys("{o:*}:[gips]*").empty()) << "nothing is left of the staging";
    EXPECT_TRUE(t.stale().empty());
    EXPECT_EQ(refused(), "run.no_previous");
    ASSERT_EQ(t.publish(rows(0, 0, 3)), "succeeded");
    EXPECT_EQ(version_in(t.get("u:0")), 1);
}

TEST_F(RedisOutputs, MergeSweepsRowsThatCameLongAgo) {
    auto& t = start("  - { type: redis, as: keys, key: \"u:{id}\", mode: merge, sweep_after: 1h, ttl: 2h }\n");
    ASSERT_EQ(t.publish(rows(0, 2500, 1)), "succeeded");
    EXPECT_GT(t.cache().command({"PTTL", "u:0"}).integer(), 7'000'000);
    // The first 2100 rows came two hours ago.
    const auto seen = fmt::format("{{o:{}}}:seen", t.output_id());
    const auto now = t.cache().command({"TIME"}).at(0).integer() * 1000;
    for (int i = 0; i < 2100; ++i) {
        t.cache().command({"ZADD", seen, std::to_string(now - 7'200'000), fmt::format("u:{}", i)});
    }
    ASSERT_EQ(t.publish(rows(5, 3, 2)), "succeeded");
    EXPECT_EQ(keys("u:[0-9]*").size(), 403u);
    EXPECT_EQ(version_in(t.get("u:6")), 2) << "it came again";
    EXPECT_EQ(version_in(t.get("u:2100")), 1) << "not old enough";
    EXPECT_EQ(t.get("u:4"), "");
}

TEST_F(RedisOutputs, MergeGoesOnWhereItStopped) {
    auto& t = start("  - { type: redis, as: keys, key: \"u:{id}\", mode: merge }\n");
    ASSERT_EQ(t.decide(rows(0, 3500, 1)), "committed");
    EXPECT_EQ(
        t.publish_output(t.output_id(), false, Deadline::in(std::chrono::seconds(0))), run::PublishResult::partly
    );
    EXPECT_EQ(keys("u:[0-9]*").size(), 1000u);
    EXPECT_EQ(t.sql("select state as x from etl_runs"), "committed");
    EXPECT_TRUE(t.make_visible());
    EXPECT_EQ(keys("u:[0-9]*").size(), 3500u);
    EXPECT_EQ(t.sql("select state as x from etl_runs"), "succeeded");
    // The rows are gone in the middle: nobody says that they are in.
    ASSERT_EQ(t.decide(rows(0, 3500, 2)), "committed");
    t.publish_output(t.output_id(), false, Deadline::in(std::chrono::seconds(0)));
    t.cache().command({"FLUSHALL"});
    EXPECT_FALSE(t.make_visible());
    EXPECT_EQ(t.sql("select state as x from etl_runs where state <> 'succeeded'"), "committed");
    EXPECT_TRUE(run::abandon(t.db(), t.last_run()));
    EXPECT_EQ(t.publish(rows(0, 3500, 3)), "succeeded") << "the next run is not kept waiting";
}

// ---- rollback

TEST_F(RedisOutputs, RollbackOfEveryLayoutAndForwardAgain) {
    auto& t = start(
        "  - { type: redis, as: json, key: \"j\" }\n"
        "  - { type: redis, as: hash, key: \"h\", field: id }\n"
        "  - { type: redis, as: keys, key: \"d:{id}\", layout: direct }\n"
        "  - { type: redis, as: keys, key: \"p:{id}\", layout: pointer }\n"
    );
    const auto shown = [&] {
        const auto field = t.cache().command({"HGET", "h", "0"});
        return std::vector<int>{
            version_in(t.get("j")),
            field.is_nil() ? -1 : version_in(field.text()),
            version_in(t.get("d:0")),
            version_in(read("p:*", "p:0"))};
    };
    const auto all = [](int v) { return std::vector<int>{v, v, v, v}; };
    ASSERT_EQ(t.publish(rows(0, 20, 1)), "succeeded");
    const auto first = t.last_run();
    const auto as_of = t.cache().command({"HGET", "j:meta", "asOf"}).text();
    EXPECT_EQ(refused(), "run.no_previous");
    ASSERT_EQ(t.publish(rows(0, 30, 2)), "succeeded");
    const auto done = roll_back();
    EXPECT_EQ(shown(), all(1));
    EXPECT_EQ(t.get("d:25"), "");
    ASSERT_EQ(done.outputs.size(), 4u);
    EXPECT_EQ(done.outputs[0].run_id, first);
    EXPECT_EQ(done.outputs[0].rows, 20);
    // History: a run of its own, who, what; the meta hash tells the age of the rows.
    EXPECT_EQ(
        t.sql(
            "select trigger || ' ' || triggered_by || ' ' || state as x from etl_runs where run_id = $1", {done.run_id}
        ),
        "rollback ana succeeded"
    );
    EXPECT_EQ(t.sql("select count(*) as x from etl_commits where run_id = $1", {done.run_id}), "4");
    EXPECT_EQ(t.cache().command({"HGET", "j:meta", "asOf"}).str().substr(0, 19), as_of.substr(0, 19));
    EXPECT_EQ(t.cache().command({"HGET", "p:*:meta", "seq"}).str(), "3");
    // Nobody heals it away, not even after Redis lost everything that Postgres has a copy of.
    EXPECT_TRUE(t.stale().empty());
    heal();
    EXPECT_EQ(shown(), all(1));
    // A second one goes forward again, a third back, and the next run replaces it.
    roll_back();
    EXPECT_EQ(shown(), all(2));
    EXPECT_EQ(version_in(t.get("d:25")), 2);
    roll_back();
    t.retire();
    EXPECT_EQ(shown(), all(1));
    ASSERT_EQ(t.publish(rows(0, 30, 3)), "succeeded");
    t.retire();
    EXPECT_EQ(shown(), all(3));
    roll_back();
    EXPECT_EQ(shown(), all(1)) << "what was visible before";
    t.cache().command({"FLUSHALL"});
    heal();
    EXPECT_EQ(version_in(t.get("j")), 1);
    EXPECT_EQ(version_in(t.get("d:0")), 1);
    EXPECT_EQ(refused(), "run.no_previous");
}

TEST_F(RedisOutputs, RollbackOfOneOutputAndBetweenLayouts) {
    auto& t = start(
        "  - { type: redis, as: json, key: \"j\" }\n"
        "  - { type: redis, as: keys, key: \"u:{id}\" }\n"
    );
    ASSERT_EQ(t.publish(rows(0, 20, 1)), "succeeded");
    ASSERT_EQ(t.publish(rows(0, many, 2)), "succeeded");
    const auto done = roll_back("u:*");
    EXPECT_EQ(done.outputs.size(), 1u);
    EXPECT_EQ(version_in(t.get("j")), 2);
    EXPECT_EQ(version_in(t.get("u:0")), 1) << "direct again";
    EXPECT_EQ(read("u:*", "u:20"), "");
    roll_back("redis:u:*");
    EXPECT_EQ(version_in(read("u:*", "u:1499")), 2) << "the pointer again";
    EXPECT_EQ(t.get("u:0"), "");
    EXPECT_THROW(roll_back("nothing"), Error);
}

TEST_F(RedisOutputs, RollbackIsRefusedWhenTheRowsAreGoneOrARunIsAtWork) {
    auto& t = start(
        "  - { type: redis, as: json, key: \"j\" }\n"
        "  - { type: redis, as: keys, key: \"p:{id}\", layout: pointer }\n"
    );
    ASSERT_EQ(t.publish(rows(0, 20, 1)), "succeeded");
    ASSERT_EQ(t.publish(rows(0, 20, 2)), "succeeded");
    ASSERT_EQ(t.decide(rows(0, 20, 3)), "committed");
    EXPECT_EQ(refused(), "run.already_active");
    t.make_visible();
    for (const auto& index : keys(fmt::format("{{o:{}}}:i:*", t.output_id(1)))) {
        t.cache().command({"LPOP", index});  // the live one too: nobody looks at it here
    }
    EXPECT_EQ(refused(), "run.no_previous");
    EXPECT_EQ(version_in(t.get("j")), 3) << "all or none";
    EXPECT_EQ(t.sql("select count(*) as x from etl_runs where trigger = 'rollback'"), "0");
}

// ---- memory

TEST_F(RedisOutputs, RunThatWillNotFitIsRefusedBeforeItStages) {
    auto& t = start("  - { type: redis, as: hash, key: \"h\", field: id }\n");
    ASSERT_EQ(t.publish(rows(0, 20'000, 1)), "succeeded");
    const auto used =
        std::stoll(std::string(redis::info_field(t.cache().command({"INFO", "memory"}).str(), "used_memory")));
    t.cache().command({"CONFIG", "SET", "maxmemory", std::to_string((used + 300'000) * 10 / 9)});
    EXPECT_EQ(t.publish(rows(0, 20'000, 2)), "redis.no_room");
    EXPECT_NE(t.last_error().find("about 1."), std::string::npos) << t.last_error();
    EXPECT_TRUE(keys("{o:*}:s:*").empty());
    EXPECT_EQ(version_in(t.cache().command({"HGET", "h", "0"}).text()), 1);
    // A server that evicts makes room by itself.
    t.cache().command({"CONFIG", "SET", "maxmemory-policy", "volatile-lru"});
    t.cache().command({"CONFIG", "SET", "maxmemory", std::to_string(used * 4)});
    EXPECT_EQ(t.publish(rows(0, 20'000, 2)), "succeeded");
    t.cache().command({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
    t.cache().command({"CONFIG", "SET", "maxmemory", "0"});
}

// Publishing frees memory: a full server must not refuse it, nor the clean-up after it, nor a rollback.
TEST_F(RedisOutputs, F16_fullRedisStillPublishes) {
    auto& t = start(
        "  - { type: redis, as: hash, key: \"h\", field: id }\n"
        "  - { type: redis, as: keys, key: \"d:{id}\", layout: direct }\n"
        "  - { type: redis, as: keys, key: \"p:{id}\", layout: pointer }\n"
        "  - { type: redis, as: keys, key: \"m:{id}\", mode: merge, sweep_after: 1h }\n"
    );
    ASSERT_EQ(t.publish(rows(0, 100, 1)), "succeeded");
    ASSERT_EQ(t.decide(rows(0, 100, 2)), "committed");
    t.cache().command({"CONFIG", "SET", "maxmemory", "1000000"});
    EXPECT_EQ(t.cache().command_raw({"SET", "x", "y"}).error_text().substr(0, 3), "OOM");
    EXPECT_TRUE(t.make_visible());
    EXPECT_EQ(version_in(t.cache().command({"HGET", "h", "0"}).text()), 2);
    EXPECT_EQ(version_in(t.get("d:99")), 2);
    EXPECT_EQ(version_in(read("p:*", "p:99")), 2);
    EXPECT_EQ(version_in(t.get("m:99")), 2);
    EXPECT_TRUE(t.stale().empty());
    t.retire();
    for (const auto* output : {"h", "d:*", "p:*"}) {
        roll_back(output);
    }
    EXPECT_EQ(version_in(read("p:*", "p:99")), 1);
    t.cache().command({"CONFIG", "SET", "maxmemory", "0"});
}

// The rows after the first 64 MB: their number is not known before.
TEST_F(RedisOutputs, RunThatGrowsTooLargeIsStoppedWhileItStages) {
    auto& t = start("  - { type: redis, as: keys, key: \"u:{id}\" }\n");
    ASSERT_EQ(t.publish(rows(0, 10, 1)), "succeeded");
    t.cache().command({"CONFIG", "SET", "maxmemory", "150000000"});
    Rows large;
    for (int part = 0; part < 30; ++part) {
        large.push_back(SinkRun::rows(0, 0, 2));
        auto& batch = large.back();
        for (int i = 0; i < 100; ++i) {
            batch.column(0).add_int64(part * 100 + i);
            batch.column(1).add_text(std::string(48'000, 'x'));
            batch.column(2).add_int64(2);
            batch.column(3).add_null();
        }
    }
    EXPECT_EQ(t.publish(large), "redis.no_room");
    t.retire();
    t.cache().command({"CONFIG", "SET", "maxmemory", "0"});
    EXPECT_EQ(keys("{o:*}:[gis]*").size(), 0u);
    EXPECT_EQ(version_in(read("u:*", "u:0")), 1);
}

// ---- what readers see

// Polls two rows of every output on a connection of its own, and remembers a mixture, a loss or a step back.
class PairReader {
public:
    explicit PairReader(const std::string& url) : url_(url), thread_([this] { run(); }) {}

    ~PairReader() { end(); }

    void end() {
        stop_.request_stop("end of test");
        if (thread_.joinable()) {
            thread_.join();
        }
    }

    long reads() const { return reads_; }

    std::string violation() const {
        std::lock_guard lock(mutex_);
        return violation_;
    }

private:
    void run() {
        auto redis = redis::Connection::connect(redis::parse_redis_url(url_), StopToken());
        std::vector<int> last(4, -1);
        while (!stop_.stop_requested()) {
            look("hash", redis.command({"HMGET", "h", "0", "9"}), last[0]);
            look("direct", redis.command({"MGET", "d:0", "d:9"}), last[1]);
            look("merge", redis.command({"MGET", "m:0", "m:9"}), last[2]);
            const auto at = redis.command({"GET", "p:*:current"});
            const auto prefix = at.is_nil() ? std::string() : at.text();
            look("pointer", redis.command({"MGET", prefix + "p:0", prefix + "p:9"}), last[3]);
            if (++reads_ % 4 == 0) {  // leaves a core to the rest: still more than a thousand looks a second
                net::wait_readable(-1, Deadline::in(std::chrono::milliseconds(1)), stop_.token());
            }
        }
    }

    void look(const char* what, const redis::ReplyPart& two, int& last) {
        const auto version = [&](std::size_t i) { return two.at(i).is_nil() ? -1 : version_in(two.at(i).text()); };
        if (version(0) != version(1) || version(0) < last) {
            std::lock_guard lock(mutex_);
            violation_ = fmt::format("{}: {} and {} after {}", what, version(0), version(1), last);
        }
        last = version(0);
    }

    std::string url_;
    StopSource stop_;
    std::atomic<long> reads_{0};
    mutable std::mutex mutex_;
    std::string violation_;
    std::thread thread_;
};

TEST_F(RedisOutputs, NoMixtureInAThousandReplacements) {
    auto& t = start(
        "  - { type: redis, as: hash, key: \"h\", field: id }\n"
        "  - { type: redis, as: keys, key: \"d:{id}\", layout: direct }\n"
        "  - { type: redis, as: keys, key: \"m:{id}\", mode: merge }\n"
        "  - { type: redis, as: keys, key: \"p:{id}\", layout: pointer }\n"
    );
    PairReader reader(support::servers().redis().url().reveal());
    const auto start = Deadline::Clock::now();
    for (int v = 1; v <= 1000; ++v) {
        ASSERT_EQ(t.publish(rows(0, 10, v)), "succeeded");
        if (v % 100 == 0) {
            t.retire();
        }
    }
    const auto seconds = std::chrono::duration<double>(Deadline::Clock::now() - start).count();
    reader.end();
    EXPECT_EQ(reader.violation(), "");
    RecordProperty("reads", std::to_string(reader.reads()));
    fmt::print("{} looks at 8 rows in {:.1f} s\n", reader.reads(), seconds);
    EXPECT_GT(reader.reads(), 1000);
}

// ---- cluster

class RedisCluster : public testing::Test {
protected:
    void SetUp() override {
        app::RedisOptions options;
        options.dir = support::servers().fresh_folder() + "/cluster";
        options.append_only = false;
        options.tcp = true;
        options.settings = {{"cluster-enabled", "yes"}, {"cluster-port", std::to_string(free_port())}};
        server_.emplace(options);
        server_->start({});
        auto redis = redis::Connection::connect(redis::parse_redis_url(url()), StopToken());
        redis.command({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"});
        const auto limit = Deadline::in(std::chrono::seconds(20));
        while (redis.command({"CLUSTER", "INFO"}).str().find("cluster_state:ok") == std::string::npos) {
            ASSERT_FALSE(limit.passed()) << "the cluster does not come up";
            net::wait_readable(-1, Deadline::in(std::chrono::milliseconds(20)), StopToken());
        }
    }

    std::string url() const { return server_->url().reveal(); }

    static int free_port() {
        const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
            ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            throw std::runtime_error("no free port");
        }
        return ntohs(address.sin_port);
    }

    std::optional<app::PrivateRedis> server_;
};

TEST_F(RedisCluster, OutputsWithoutATagAreRefused) {
    for (const auto* sink :
         {"as: json, key: \"j\"",
          "as: keys, key: \"u:{id}\"",
          "as: keys, key: \"u:{id}\", layout: pointer",
          "as: keys, key: \"u:{id}\", mode: merge",
          "as: keys, key: \"u:{{{id}}}\""}) {
        SCOPED_TRACE(sink);
        SinkRun t(support::servers().fresh_database(), url(), fmt::format("  - {{ type: redis, {} }}\n", sink));
        EXPECT_EQ(t.publish(rows(0, 10, 1)), "redis.cross_slot");
        EXPECT_NE(t.last_error().find("has no hash tag"), std::string::npos) << t.last_error();
    }
}

TEST_F(RedisCluster, OutputsWithATagWorkWhole) {
    SinkRun t(
        support::servers().fresh_database(),
        url(),
        "  - { type: redis, as: json, key: \"{shop}:j\" }\n"
        "  - { type: redis, as: keys, key: \"{{shop}}:d:{id}\", layout: direct }\n"
        "  - { type: redis, as: keys, key: \"{{shop}}:p:{id}\", layout: pointer }\n"
        "  - { type: redis, as: keys, key: \"{{shop}}:a:{id}\" }\n"
        "  - { type: redis, as: keys, key: \"{{shop}}:m:{id}\", mode: merge, sweep_after: 1h }\n"
    );
    ASSERT_EQ(t.publish(rows(0, 10, 1)), "succeeded");
    ASSERT_EQ(t.publish(rows(0, 20, 2)), "succeeded");
    EXPECT_EQ(version_in(t.get("{shop}:j")), 2);
    EXPECT_EQ(version_in(t.get("{shop}:d:19")), 2);
    EXPECT_EQ(version_in(t.get("{shop}:m:19")), 2);
    EXPECT_EQ(version_in(t.get(t.get("{shop}:p:*:current") + "{shop}:p:19")), 2);
    t.retire();
    for (const auto* output : {"{shop}:j", "{shop}:d:*", "{shop}:p:*", "{shop}:a:*"}) {
        const auto done = run::rollback(t.db(), t.cache_at(), {.pipeline = "t", .output = output, .by = "ana"});
        EXPECT_TRUE(t.make_visible(done.run_id));
    }
    EXPECT_EQ(version_in(t.get("{shop}:j")), 1);
    EXPECT_EQ(version_in(t.get("{shop}:d:0")), 1);
    EXPECT_EQ(version_in(t.get(t.get("{shop}:p:*:current") + "{shop}:p:9")), 1);
    EXPECT_TRUE(t.stale().empty());
}

TEST_F(RedisCluster, DoctorNamesTheKeys) {
    const auto folder = support::servers().fresh_folder();
    const auto file = [&](const std::string& name, const std::string& key) {
        std::ofstream(folder + "/" + name + ".yaml")
            << "version: 1\nname: " << name
            << "\nsource: { type: clickhouse, credential: c, query: \"SELECT 1\" }\nsinks:\n  - { type: redis, key: \""
            << key << "\" }\n";
    };
    file("bad", "cache:bad");
    file("good", "{cache}:good");
    support::HeadraceProcess doctor(
        {"doctor"},
        {{"DATABASE_URL", support::servers().fresh_database()},
         {"REDIS_URL", support::servers().fresh_redis()},
         {"CACHE_REDIS_URL", url()},
         {"HEADRACE_PIPELINES", folder}}
    );
    ASSERT_TRUE(doctor.wait(std::chrono::seconds(20)));
    EXPECT_NE(doctor.log().find("bad: redis:cache:bad"), std::string::npos) << doctor.log();
    EXPECT_EQ(doctor.log().find("{cache}:good"), std::string::npos) << doctor.log();
}

}  // namespace
}  // namespace headrace
