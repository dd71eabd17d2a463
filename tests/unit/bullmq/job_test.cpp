#include "bullmq/job.hpp"

#include "base/error.hpp"
#include "bullmq/backoff.hpp"
#include "bullmq/keys.hpp"
#include "bullmq/options.hpp"
#include "bullmq/scripts.hpp"
#include "redis/resp.hpp"

#include <boost/json.hpp>

#include <gtest/gtest.h>

using namespace headrace;
using namespace headrace::bullmq;
using redis::Reply;

namespace {

bool refused(const JobOptions& options, std::string_view data = "{}") {
    try {
        check_options(options, data);
    } catch (const Error& error) {
        return error.code() == "config.invalid";
    }
    return false;
}

Reply parsed(std::string_view bytes) {
    redis::RespReader reader;
    reader.feed(bytes);
    return reader.next().value();
}

Reply hash(std::initializer_list<std::pair<std::string, std::string>> fields) {
    std::string bytes;
    redis::append_head(bytes, fields.size() * 2);
    for (const auto& [key, value] : fields) {
        redis::append_argument(bytes, key);
        redis::append_argument(bytes, value);
    }
    return parsed(bytes);
}

TEST(Keys, AreBullMqs) {
    const Keys keys("etl");
    EXPECT_EQ(keys.base, "bull:etl:");
    EXPECT_EQ(keys.qualified, "bull:etl");
    EXPECT_EQ(keys.waiting_children, "bull:etl:waiting-children");
    EXPECT_EQ(keys.stalled_check, "bull:etl:stalled-check");
    EXPECT_EQ(keys.id_counter, "bull:etl:id");
    EXPECT_EQ(keys.lock("run-1"), "bull:etl:run-1:lock");
    EXPECT_EQ(keys.scheduler("s"), "bull:etl:repeat:s");
    EXPECT_EQ(keys.deduplication("d"), "bull:etl:de:d");
    EXPECT_EQ(keys.client_name(), "bull:ZXRs");
    EXPECT_EQ(Keys("q 1", "{x}").client_name("w1"), "{x}:cSAx:w:w1");
    EXPECT_THROW(Keys(""), Error);
    EXPECT_THROW(Keys("a:b"), Error);
    EXPECT_THROW(Keys("a", ""), Error);
}

TEST(JobId, OwnIdsAreCheckedAsNodeDoes) {
    for (const auto* good : {"run-1", "1a", "01", "a:b:c", "-0", "1.5", " 1"}) {
        EXPECT_NO_THROW(check_custom_job_id(good)) << good;
    }
    for (const auto* bad : {"0", "0:1", "12", "-3", "a:b", "a:b:c:d"}) {
        EXPECT_THROW(check_custom_job_id(bad), Error) << bad;
    }
}

TEST(JobOptions, RefusesWhatNodeRefuses) {
    EXPECT_FALSE(refused({}));
    EXPECT_TRUE(refused({.priority = 2097152}));
    EXPECT_FALSE(refused({.priority = 2097151}));
    EXPECT_TRUE(refused({.job_id = "7"}));
    EXPECT_TRUE(refused({.size_limit = 3}, "1234"));
    EXPECT_TRUE(refused({.deduplication = Deduplication{}}));
    EXPECT_TRUE(refused({.backoff = Backoff{"fixed", Millis(1), 1.5}}));
    EXPECT_TRUE(refused({.fail_parent_on_failure = true, .remove_dependency_on_failure = true}));
}

TEST(JobOptions, UseShortKeysAndComeBack) {
    JobOptions options;
    options.job_id = "run-1";
    options.delay = Millis(5000);
    options.priority = 3;
    options.attempts = 4;
    options.lifo = true;
    options.backoff = Backoff{"exponential", Millis(100), 0.5};
    options.remove_on_complete = RemovePolicy(true);
    options.remove_on_fail = RemovePolicy(KeepJobs{10, 3600, std::nullopt});
    options.deduplication = Deduplication{"d", Millis(9), true, std::nullopt, std::nullopt, std::nullopt};
    options.keep_logs = 7;
    options.stack_trace_limit = 0;
    options.fail_parent_on_failure = true;
    options.telemetry_metadata = "{\"traceparent\":1}";
    const auto object = options_object(options);
    EXPECT_EQ(
        boost::json::value(object),
        boost::json::parse(R"({"attempts":4,"jobId":"run-1","delay":5000,"priority":3,"lifo":true,
                "backoff":{"type":"exponential","delay":100,"jitter":0.5},"removeOnComplete":true,
                "removeOnFail":{"age":3600,"count":10},"de":{"id":"d","ttl":9,"extend":true},"fpof":true,"kl":7,
                "stackTraceLimit":0,"tm":"{\"traceparent\":1}"})")
    );
    EXPECT_EQ(options_object(parse_options(boost::json::serialize(object))), object);
    EXPECT_EQ(boost::json::serialize(options_object({})), R"({"attempts":0})");
    EXPECT_EQ(boost::json::serialize(options_object({}, true)), "{}");
}

TEST(JobOptions, ReadsOddOnesOfOthers) {
    EXPECT_EQ(parse_options("nonsense").attempts, 0);
    auto number = parse_options(R"({"backoff":1500,"removeOnFail":5e2,"attempts":3.0})");
    EXPECT_EQ(number.backoff->type, "fixed");
    EXPECT_EQ(number.backoff->delay, Millis(1500));
    EXPECT_EQ(std::get<std::int64_t>(*number.remove_on_fail), 500);
    EXPECT_EQ(number.attempts, 3);
    EXPECT_EQ(keep_jobs(RemovePolicy(true)).count, 0);
    EXPECT_EQ(keep_jobs(RemovePolicy(false)).count, -1);
}

TEST(Job, IsReadFromItsHash) {
    auto job = read_job(
        "5",
        hash(
            {{"name", "n"},
             {"data", "{\"a\": 1}"},
             {"opts", "{\"attempts\":2}"},
             {"timestamp", "17"},
             {"delay", "0"},
             {"priority", "2"},
             {"processedOn", "18"},
             {"ats", "2"},
             {"atm", "1"},
             {"stc", "1"},
             {"failedReason", "no"},
             {"stacktrace", "[\"a\",\"b\"]"},
             {"rjk", "s"},
             {"pb", "w"},
             {"defa", "d"},
             {"unknown", "x"}}
        )
    );
    EXPECT_TRUE(job.exists);
    EXPECT_EQ(job.data, "{\"a\": 1}");
    EXPECT_EQ(job.options.attempts, 2);
    EXPECT_EQ(job.attempts_started, 2);
    EXPECT_EQ(job.attempts_made, 1);
    EXPECT_EQ(job.stacktrace, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(job.deferred_failure, "d");
    EXPECT_FALSE(read_job("6", hash({{"processedOn", "18"}, {"ats", "1"}})).exists);
}

TEST(Backoff, FollowsBullMq) {
    EXPECT_EQ(backoff_delay({"fixed", Millis(100), std::nullopt}, 7, 0.5), Millis(100));
    EXPECT_EQ(backoff_delay({"exponential", Millis(100), std::nullopt}, 1, 0.5), Millis(100));
    EXPECT_EQ(backoff_delay({"exponential", Millis(100), std::nullopt}, 4, 0.5), Millis(800));
    EXPECT_EQ(backoff_delay({"exponential", Millis(100), 0.5}, 2, 0.0), Millis(100));
    EXPECT_EQ(backoff_delay({"exponential", Millis(100), 0.5}, 2, 0.999), Millis(199));
    EXPECT_EQ(backoff_delay({"own", Millis(100), std::nullopt}, 1, 0), std::nullopt);
    EXPECT_TRUE(backoff_delay({"exponential", Millis(100), std::nullopt}, 100, 0).has_value());
}

TEST(Reconnect, DoublesToFiveSeconds) {
    Reconnect reconnect;
    const auto t0 = Reconnect::Clock::time_point(std::chrono::hours(1));
    EXPECT_TRUE(reconnect.due(t0));
    std::vector<long> waits;
    for (int i = 0; i < 8; ++i) {
        reconnect.failed(t0);
        waits.push_back(std::chrono::duration_cast<Millis>(reconnect.next() - t0).count());
    }
    EXPECT_EQ(waits, (std::vector<long>{100, 200, 400, 800, 1600, 3200, 5000, 5000}));
    EXPECT_FALSE(reconnect.due(t0 + Millis(4999)));
    EXPECT_TRUE(reconnect.due(t0 + Millis(5000)));
    reconnect.succeeded();
    EXPECT_TRUE(reconnect.due(t0));
    reconnect.failed(t0);
    EXPECT_EQ(reconnect.next(), t0 + Millis(100));
}

TEST(Scripts, EveryCallFitsItsScript) {
    Calls calls{Keys("etl")};
    const FetchSettings settings;
    Job job;
    job.id = "run-1";
    const Fields fields{{"failedReason", "x"}};
    // Building checks the number of keys against the embedded script and the number of arguments against its own.
    for (const auto& options : {JobOptions{}, JobOptions{.delay = Millis(1)}, JobOptions{.priority = 1}}) {
        EXPECT_FALSE(calls.add_job("n", "{}", options, 1).resp.empty());
    }
    const std::string one[] = {"a"};
    const std::string_view states[] = {"wait", "active"};
    const Call all[] = {
        calls.move_to_active(settings, "t", 1),
        calls.move_to_finished(settings, job, "t", {false, "1", {0, {}, {}}, nullptr, true}, 1),
        calls.move_to_finished(settings, job, "t", {true, "1", {0, {}, {}}, &fields, false}, 1),
        calls.move_to_delayed(settings, job, "t", Millis(1), true, fields, true, 1),
        calls.retry_job(job, "t", fields, 1),
        calls.move_to_wait("1", "t"),
        calls.extend_locks(one, one, Millis(1)),
        calls.move_stalled(1, Millis(1), 1),
        calls.update_progress("1", "2"),
        calls.add_log("1", "row", 0),
        calls.get_state("1"),
        calls.update_data("1", "{}"),
        calls.promote("1"),
        calls.reprocess("1", false, "failed", false, false),
        calls.remove("1", true),
        calls.change_delay("1", Millis(1), 1),
        calls.change_priority("1", 1, false),
        calls.pause(true, true),
        calls.pause(false, false),
        calls.drain(true),
        calls.clean("wait", 1, 1),
        calls.obliterate(1, true),
        calls.move_jobs_to_wait("failed", 1, "1"),
        calls.get_counts(states),
        calls.get_jobs("wait", 0, 1, true),
        calls.get_metrics("completed", 0, -1),
        calls.add_scheduler("s", 1, "", "{}", "", "", 1),
        calls.update_scheduler("s", std::nullopt, "{}", "", "1", 1),
        calls.remove_scheduler("s"),
        calls.get_scheduler("s")};
    for (const auto& call : all) {
        EXPECT_TRUE(call.resp.starts_with("*")) << call.script->name;
        EXPECT_NE(call.resp.find(call.script->sha1), std::string::npos);
    }
}

TEST(Scripts, AnswersAreRead) {
    EXPECT_EQ(fetched(parsed(":0\r\n")).job, nullptr);
    const auto reply = parsed("*4\r\n:0\r\n:0\r\n:250\r\n:1763700000000\r\n");
    const auto limited = fetched(reply);
    EXPECT_EQ(limited.rate_limited, Millis(250));
    EXPECT_EQ(limited.next_delayed, 1763700000000);
    EXPECT_EQ(code_of(parsed(":-2\r\n")), Code::lock_missing);
    EXPECT_FALSE(code_of(parsed(":0\r\n")));
    EXPECT_FALSE(code_of(parsed("$2\r\n-2\r\n")));  // an id, not a code
    EXPECT_THROW(accepted(parsed(":-5\r\n"), "add"), Error);
}

// Nobody can write infinity as JSON, and the scripts fail on it: the scheduler would stop.
TEST(JobOptions, NextRunHasNoInfinity) {
    const std::string text = R"({"list":[-9E999],"repeat":{"every":1000,"endDate":180E800}})";
    const auto next = run_options(boost::json::parse(text).as_object(), parse_repeat(text), "s", std::nullopt, 1);
    const auto written = boost::json::serialize(next);
    EXPECT_EQ(parse_repeat(written).every, Millis(1000)) << written;
    EXPECT_TRUE(next.at("repeat").at("endDate").is_null()) << written;
    EXPECT_TRUE(next.at("list").at(0).is_null()) << written;
}

}  // namespace
