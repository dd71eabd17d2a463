// Yespo → Redis by the program itself, against the simulator: what is published, and that of everything that goes wrong
// nothing is.
#include "run/control.hpp"
#include "support/sanitized.hpp"
#include "support/yespo/run.hpp"

#include <fstream>
#include <regex>

namespace headrace {
namespace {

using support::yespo::Fault;
using support::yespo::YespoRun;

TEST_F(YespoRun, PublishesEveryContactValueByValue) {
    const auto worker = stack_.start_worker();
    const auto run = stack_.trigger("y");
    ASSERT_EQ(stack_.await_final(run), "succeeded") << message_of(run);
    EXPECT_TRUE(stack_.get("cache:y") == output_of(simulator_.members("100")));
    EXPECT_TRUE(stack_.await([&] { return logged(run, "1000 rows"); }));
    EXPECT_EQ(simulator_.seen().front().user, "headrace");
    EXPECT_EQ(stack_.sql("select count(*) as x from etl_logs where message like '%canary%'"), "0");
    EXPECT_EQ(worker->log().find("canary"), std::string::npos);
}

struct YespoFault {
    Fault fault;
    std::string_view code;
};

TEST_F(YespoRun, NoFaultPublishes) {
    const auto forever = [](std::string what, long at = 0, std::string text = "", int nth = 2) {
        return Fault{std::move(what), at, std::move(text), nth, -1};
    };
    const auto status = [](long code, std::string text, int nth = 2, std::string retry_after = "") {
        return Fault{"status", code, std::move(text), nth, -1, std::move(retry_after)};
    };
    const YespoFault faults[] = {
        {forever("cut", 1), "source.incomplete"},
        {forever("cut", 9000), "source.incomplete"},
        {forever("reset"), "source.unavailable"},
        {forever("reset_within", 9000), "source.incomplete"},
        {forever("drip", 9000), "source.timeout"},
        {forever("hang", -1), "source.timeout"},
        {forever("unframed"), "source.incomplete"},
        {forever("no_last_chunk"), "source.incomplete"},
        {forever("bad_chunk"), "source.incomplete"},
        {forever("short_length", 10), "source.incomplete source.unavailable"},  // the rest spoils the next answer
        {forever("json_cut", 9000), "source.incomplete"},
        {forever("gzip_cut"), "source.incomplete"},
        {forever("gzip_garbage"), "source.incomplete"},
        {forever("gzip_plain"), "source.incomplete"},
        {forever("empty"), "source.incomplete"},
        {forever("zero_based", 0, "", 1), "source.incomplete"},
        {forever("ignore_start", 0, "", 1), "source.incomplete"},
        {forever("delete_front", 100), "source.incomplete"},
        {forever("shuffle"), "source.incomplete"},
        {forever("append", 3), "source.incomplete"},
        {forever("delete_all"), "source.incomplete"},
        {forever("body", 0, "null"), "source.bad_data"},
        {forever("body", 0, "\"Contacts were detached\""), "source.bad_data"},
        {forever("typed", 0, "text/plain|Contacts were detached"), "source.bad_data"},
        {forever("typed", 0, "text/html|<html><title>Log in</title></html>", 1), "source.bad_data"},
        {forever("typed", 0, "application/xml|<contacts/>", 1), "source.bad_data"},
        {forever("typed", 0, "application/json|<html>", 1), "source.bad_data"},
        {forever("first", 0, R"({"firstName":"no id"})"), "source.bad_data"},
        {forever("first", 0, R"({"id":"x"})"), "source.bad_data"},
        {forever("first", 0, R"({"id":9223372036854775808})"), "source.bad_data"},
        {forever("first", 0, "{\"id\":1,\"firstName\":\"\xff\"}"), "source.bad_data"},
        {forever("first", 0, "{\"id\":1,\"firstName\":\"\x01\"}"), "source.bad_data"},
        {status(400, "Bad request", 1), "source.query"},
        {status(401, R"({"status":401})", 1), "source.auth"},
        {status(401, R"({"status":401})"), "source.auth"},
        {status(403, "No access"), "source.auth"},
        {status(404, "Group was not found"), "source.incomplete"},
        {status(413, "<html>too large</html>", 1), "source.query"},
        {status(429, ""), "source.rate_limited"},
        {status(500, "Internal"), "source.unavailable"},
        {status(502, "<html>Bad gateway</html>"), "source.unavailable"},
        {status(503, "", 2, "1000000000"), "source.unavailable"},
        {forever("redirect", 302, "https://esputnik.com/api/v1/group/100/contacts"), "source.redirect"},
        {forever("redirect", 301, ""), "source.redirect"},
    };
    const auto worker = stack_.start_worker();
    ASSERT_EQ(stack_.await_final(stack_.trigger("y")), "succeeded");
    const auto good = stack_.get("cache:y");
    for (const auto& [fault, code] : faults) {
        SCOPED_TRACE(fmt::format("{} {} {} from request {}", fault.what, fault.at, fault.text, fault.nth));
        simulator_.add_group(
            "100", "key-of-ovago-canary", members, 3
        );  // what the faulty reads would bring is another list
        simulator_.inject(fault);
        const auto run = stack_.trigger("y");
        EXPECT_EQ(stack_.await_final(run), "failed");
        EXPECT_NE(code.find(code_of(run)), std::string_view::npos) << code_of(run) << ": " << message_of(run);
        EXPECT_NE(code_of(run), "");
        EXPECT_TRUE(stack_.get("cache:y") == good);
        EXPECT_EQ(message_of(run).find("canary"), std::string::npos);
        simulator_.mend();
    }
    simulator_.add_group("100", "key-of-ovago-canary", members, 3);
    ASSERT_EQ(stack_.await_final(stack_.trigger("y")), "succeeded");
    EXPECT_TRUE(stack_.get("cache:y") == output_of(simulator_.members("100")));
}

TEST_F(YespoRun, WhatPassesIsNoFailure) {
    const auto once = [](std::string what, long at = 0, std::string text = "", int nth = 3) {
        return Fault{std::move(what), at, std::move(text), nth, 1};
    };
    const auto always = [](std::string what, long at = 0, std::string text = "") {
        return Fault{std::move(what), at, std::move(text), 1, -1};
    };
    const Fault faults[] = {
        once("short", 37),
        once("short", 1),
        once("empty"),
        always("short", 100),
        always("short", 250),
        once("cut", 9000),
        once("reset"),
        once("json_cut", 9000),
        once("hang", 100),
        once("status", 401, "{}"),
        once("status", 429, "Too many requests"),
        once("status", 500, ""),
        once("insert_front", 5),
        once("insert_front", 300),
        once("delete_front", 5),
        once("delete_front", 100),
        once("shuffle"),
        once("append", 300, "", 5),
        always("total", 0, ""),
        always("total", 0, "2"),
        always("total", 0, "many"),
        always("gzip"),
        always("bom"),
    };
    const auto worker = stack_.start_worker();
    for (const auto& fault : faults) {
        SCOPED_TRACE(fmt::format("{} {} {}", fault.what, fault.at, fault.text));
        simulator_.add_group("100", "key-of-ovago-canary", members, 3);
        simulator_.inject(fault);
        const auto run = stack_.trigger("y");
        EXPECT_EQ(stack_.await_final(run), "succeeded") << code_of(run) << ": " << message_of(run);
        const auto output = stack_.get("cache:y");
        for (const auto number : simulator_.members("100")) {
            std::string row;
            support::yespo::append_row(row, number);
            const auto at = output.find(row);
            ASSERT_NE(at, std::string::npos) << "contact " << number << " is missing";
            ASSERT_EQ(output.find(row, at + 1), std::string::npos) << "contact " << number << " is there twice";
        }
        simulator_.mend();
    }
}

TEST_F(YespoRun, OddContactsKeepTheirValues) {
    const auto worker = stack_.start_worker();
    const auto first_row = [&](std::string contact) {
        simulator_.inject({"first", 0, std::move(contact), 1, 1});
        const auto run = stack_.trigger("y");
        EXPECT_EQ(stack_.await_final(run), "succeeded") << message_of(run);
        simulator_.mend();
        const auto output = stack_.get("cache:y");
        return output.substr(0, output.find("},{\"id\":100000006"));
    };
    EXPECT_EQ(first_row(R"({"id":9007199254740993})").substr(0, 26), R"([{"id":9007199254740993,"f)");
    EXPECT_NE(
        first_row(R"({"id":1,"channels":[{"type":"email","value":"a@x"},{"type":"email","value":"b@x"}]})")
            .find(R"("email":"a@x")"),
        std::string::npos
    );
    EXPECT_NE(
        first_row(R"({"id":1,"channels":{"type":"email","value":"ЯНА@пошта.укр"}})")
            .find(R"("email":"ЯНА@пошта.укр","phone":null)"),
        std::string::npos
    );
    EXPECT_NE(
        first_row(R"({"id":1,"firstName":"\u0001\u2028\ud800🙂"})").find("\\u0001\u2028\uFFFD🙂"), std::string::npos
    );
    const std::string large(1 << 20, 'x');
    EXPECT_NE(first_row(R"({"id":1,"fields":{"id":1,"value":")" + large + "\"}}").find(large), std::string::npos);
    // An id that comes twice is one contact.
    EXPECT_EQ(first_row(R"({"id":100000006,"firstName":"first"})").find("\"id\":100000006", 20), std::string::npos);
}

TEST_F(YespoRun, GroupsThatAreNotThereOrEmpty) {
    pipeline("missing", "ovago", "999");
    pipeline("foreign", "ovago", "200");
    pipeline("empty", "ovago", "300");
    simulator_.add_group("300", "key-of-ovago-canary", 0);
    pipeline("one", "ovago", "400");
    simulator_.add_group("400", "key-of-ovago-canary", 1);
    const auto worker = stack_.start_worker();
    const std::pair<const char*, const char*> expected[] = {
        {"missing", "source.query"}, {"foreign", "source.query"}, {"empty", "check.allow_empty"}};
    for (const auto& [name, code] : expected) {
        const auto run = stack_.trigger(name);
        EXPECT_EQ(stack_.await_final(run), "failed") << name;
        EXPECT_EQ(code_of(run), code) << message_of(run);
    }
    ASSERT_EQ(stack_.await_final(stack_.trigger("one")), "succeeded");
    EXPECT_EQ(stack_.get("cache:one"), output_of({1}));
}

TEST_F(YespoRun, OneAccountThatFailsDoesNotTouchTheOther) {
    pipeline("b", "brand_b", "200");
    simulator_.inject({"status", 429, "Too many requests", 1, -1, "3600", "100"});
    const auto worker = stack_.start_worker();
    const auto bad = stack_.trigger("y");
    const auto good = stack_.trigger("b");
    EXPECT_EQ(stack_.await_final(good), "succeeded") << message_of(good);
    EXPECT_EQ(stack_.await_final(bad), "failed");
    EXPECT_EQ(code_of(bad), "source.rate_limited");
    EXPECT_TRUE(stack_.get("cache:b") == output_of(simulator_.members("200")));
    EXPECT_EQ(stack_.get("cache:y"), "");
}

TEST_F(YespoRun, CancelEndsAWaitAndAnAnswerThatDoesNotCome) {
    pipeline("waits", "ovago", "100", "  request_timeout: 1m\n  max_wait: 1h\n  wait_budget: 1h\n");
    const auto worker = stack_.start_worker();
    for (const auto& fault : {Fault{"status", 429, "", 2, -1, "30"}, Fault{"hang", 9000, "", 2, -1}}) {
        SCOPED_TRACE(fault.what);
        const auto before = simulator_.count();
        simulator_.inject(fault);
        const auto run = stack_.trigger("waits");
        ASSERT_TRUE(stack_.await([&] { return simulator_.count() >= before + 2; }));
        run::cancel_run(stack_.db(), run, "test");
        EXPECT_EQ(stack_.await_final(run, std::chrono::seconds(10)), "cancelled") << message_of(run);
        EXPECT_EQ(stack_.get("cache:waits"), "");
        simulator_.mend();
    }
}

// A worker that is told to stop gives the run back; the next one reads it from the beginning.
TEST_F(YespoRun, AStoppedWorkerHandsItsRunOn) {
    pipeline("waits", "ovago", "100", "  request_timeout: 1m\n  max_wait: 1h\n  wait_budget: 1h\n");
    simulator_.inject({"status", 429, "", 2, 1, "40"});
    auto worker = stack_.start_worker();
    const auto run = stack_.trigger("waits");
    ASSERT_TRUE(stack_.await([&] { return logged(run, "asks for 40 s"); }));
    worker->terminate(std::chrono::seconds(20));
    simulator_.mend();
    const auto heir = stack_.start_worker();
    EXPECT_EQ(stack_.await_final(run), "succeeded") << message_of(run);
    EXPECT_TRUE(stack_.get("cache:waits") == output_of(simulator_.members("100")));
}

double peak_mib(pid_t pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    std::smatch found;
    return std::regex_search(text, found, std::regex("VmHWM:\\s+(\\d+)")) ? std::stod(found[1]) / 1024 : -1;
}

TEST_F(YespoRun, MemoryDoesNotGrowWithTheGroup) {
    double peaks[2] = {};
    if (support::sanitized) {
        GTEST_SKIP() << "the memory of an instrumented program says nothing";
    }
    const std::uint32_t sizes[] = {100'000, 1'000'000};
    for (int i = 0; i < 2; ++i) {
        simulator_.add_group("100", "key-of-ovago-canary", sizes[i]);
        stack_.write_pipeline(
            "big",
            "source: { type: yespo, credential: ovago, group: \"100\", page_rows: 1000, columns: [id, phone] }\n"
            "sinks:\n  - { type: redis, as: list, key: \"cache:big\" }\ntimeout: 5m\n"
        );
        const auto worker = stack_.start_worker();
        const auto run = stack_.trigger("big");
        ASSERT_EQ(stack_.await_final(run, std::chrono::minutes(4)), "succeeded") << message_of(run);
        EXPECT_EQ(stack_.sql("select rows_read as x from etl_runs where run_id = $1", {run}), std::to_string(sizes[i]));
        peaks[i] = peak_mib(worker->pid());
    }
    fmt::print("peak RSS: {:.1f} MiB with 100 thousand contacts, {:.1f} MiB with a million\n", peaks[0], peaks[1]);
    EXPECT_GT(peaks[0], 1);
    EXPECT_LT(peaks[1], peaks[0] + 8);
    EXPECT_LT(peaks[1], 96);
}

}  // namespace
}  // namespace headrace
