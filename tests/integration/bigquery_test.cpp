// BigQuery → Redis by the program itself, against the simulator: what is published, and that of everything that goes
// wrong nothing is.
#include "run/control.hpp"
#include "support/bigquery/simulator.hpp"
#include "support/proxy.hpp"
#include "support/sanitized.hpp"
#include "support/stack.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <span>

namespace headrace {
namespace {

using support::Stack;
using support::bigquery::Fault;
using support::bigquery::mixed_table;
using support::bigquery::Simulator;

struct FaultRun {
    Fault fault;
    std::string_view code;
};

class BigQueryRun : public testing::Test {
protected:
    BigQueryRun() {
        stack_.set_credential(
            {.name = "bigquery",
             .kind = "bigquery",
             .settings = {{"url", simulator_.url()}, {"storage_url", simulator_.storage_url()}},
             .allowed_hosts =
                 {simulator_.address(), simulator_.storage_url().substr(std::string_view("http://").size())}},
            Secret(simulator_.key_file())
        );
        simulator_.add(mixed_table("headrace-test.d.t", 350));
        pipeline("p", "  read: rest\n");
    }

    void pipeline(const std::string& name, std::string options) {
        if (options.find("retries:") == std::string::npos) {
            // Instrumented, a row of 34 MB takes a while.
            options += fmt::format("  retries: 1\n  request_timeout: {}\n", support::sanitized ? "2s" : "400ms");
        }
        stack_.write_pipeline(
            name,
            fmt::format(
                R"(source:
  type: bigquery
  credential: bigquery
  default_dataset: d
  query: SELECT * FROM t
  backoff: 1ms
{}sinks:
  - {{ type: redis, as: json, key: "cache:{}" }}
retry: {{ attempts: 1 }}
timeout: 30s
)",
                options,
                name
            )
        );
    }

    std::string code_of(const std::string& run) {
        return stack_.sql("select coalesce(error->>'code', '') as x from etl_runs where run_id = $1", {run});
    }

    std::string proof(const std::string& run) {
        return stack_.sql("select proof as x from etl_runs where run_id = $1", {run});
    }

    bool logged(const std::string& run, const std::string& text) {
        return stack_.sql(
                   "select count(*) as x from etl_logs where run_id = $1 and message like '%' || $2 || '%'", {run, text}
               ) != "0";
    }

    // Lines are written behind the run's back: the last ones may come after its end.
    bool comes_to_log(const std::string& run, const std::string& text) {
        return stack_.await([&] { return logged(run, text); });
    }

    // Each fault fails the run with its code and leaves the output alone; without it the next run publishes.
    void expect_none_published(const std::string& pipeline, std::span<const FaultRun> faults) {
        const auto worker = stack_.start_worker();
        const auto key = "cache:" + pipeline;
        ASSERT_EQ(stack_.await_final(stack_.trigger(pipeline)), "succeeded");
        const auto good = stack_.get(key);
        simulator_.add(mixed_table("headrace-test.d.t", 350, 7));  // what the faulty reads would bring is another table
        for (const auto& [fault, code] : faults) {
            SCOPED_TRACE(fault.on + " " + fault.what + " " + fault.text);
            simulator_.inject(fault);
            const auto run = stack_.trigger(pipeline);
            EXPECT_EQ(stack_.await_final(run), "failed");
            EXPECT_EQ(code_of(run), code);
            EXPECT_TRUE(stack_.get(key) == good);
            simulator_.mend();
        }
        ASSERT_EQ(stack_.await_final(stack_.trigger(pipeline)), "succeeded");
        EXPECT_FALSE(stack_.get(key) == good);
    }

    Simulator simulator_{{.page_rows = 100, .storage = true, .response_rows = 20}};
    Stack stack_;
};

TEST_F(BigQueryRun, PublishesTheTableAndItsCost) {
    const auto worker = stack_.start_worker();
    const auto run = stack_.trigger("p");
    ASSERT_EQ(stack_.await_final(run), "succeeded") << code_of(run);
    const auto json = stack_.get("cache:p");
    EXPECT_EQ(json.substr(0, 9), "[{\"id\":1,");
    EXPECT_NE(json.find("{\"id\":350,"), std::string::npos);
    EXPECT_TRUE(comes_to_log(run, "BigQuery bills"));
    EXPECT_TRUE(comes_to_log(run, "dry run: the query reads"));
    EXPECT_TRUE(comes_to_log(run, "350 rows are all of `totalRows`"));
    EXPECT_FALSE(logged(run, "ya29."));
    EXPECT_FALSE(logged(run, "PRIVATE"));
}

TEST_F(BigQueryRun, NoFaultPublishes) {
    const auto page = [](std::string what, long at = 0, std::string text = "", std::string retry_after = "") {
        return Fault{"page", std::move(what), at, std::move(text), 2, -1, std::move(retry_after)};
    };
    const FaultRun faults[] = {
        {page("cut", 1), "source.incomplete"},
        {page("cut", 9000), "source.incomplete"},
        {page("reset"), "source.unavailable"},
        {page("reset_within", 9000), "source.incomplete"},
        {page("drip", 9000), "source.timeout"},
        {page("hang"), "source.timeout"},
        {page("no_last_chunk"), "source.incomplete"},
        {page("json_cut", 9000), "source.incomplete"},
        {page("gzip_cut"), "source.incomplete"},
        {page("gzip_bomb", 40 << 20), "source.bad_data"},
        {page("repeat_page"), "source.incomplete"},
        {page("same_token"), "source.incomplete"},
        {page("no_token"), "source.incomplete"},
        {page("total", 0, "\"351\""), "source.incomplete"},
        {page("drop_row"), "source.incomplete"},
        {page("schema_type"), "source.incomplete"},
        {page("schema_more"), "source.incomplete"},
        {page("other_job"), "source.incomplete"},
        {page("status", 401, "authError"), "source.auth"},
        {page("status", 429, "rateLimitExceeded", "1000000000"), "source.rate_limited"},
        {page("status", 403, "quotaExceeded"), "source.rate_limited"},
        {page("status", 503, "backendError"), "source.unavailable"},
        {page("bare", 502, "<html>"), "source.unavailable"},
        {page("body", 200, R"({"error":{"errors":[{"reason":"backendError"}]}})"), "source.unavailable"},
        {page("value", 0, "\"\xff\""), "source.bad_data"},
        {page("huge_row", 34 << 20), "source.bad_data"},
        {{"token", "status", 400, "invalid_grant", 1, -1}, "source.auth"},
        {{"wait", "job_error", 0, "resourcesExceeded", 1, -1}, "source.query"},
    };
    expect_none_published("p", faults);
}

TEST_F(BigQueryRun, ATokenThatEndsAndAServerThatIsBusyAreNoFailure) {
    const auto worker = stack_.start_worker();
    ASSERT_EQ(stack_.await_final(stack_.trigger("p")), "succeeded");
    const auto good = stack_.get("cache:p");
    for (const Fault& fault :
         {Fault{"page", "revoke", 0, "", 3, 1},
          Fault{"page", "status", 429, "rateLimitExceeded", 2, 1, "1"},
          Fault{"page", "status", 503, "backendError", 2, 1},
          Fault{"page", "cut", 9000, "", 2, 1},
          Fault{"insert", "lost", 0, "", 1, 1}}) {
        SCOPED_TRACE(fault.what);
        simulator_.inject(fault);
        const auto run = stack_.trigger("p");
        EXPECT_EQ(stack_.await_final(run), "succeeded") << code_of(run);
        EXPECT_TRUE(stack_.get("cache:p") == good);
        simulator_.mend();
    }
}

TEST_F(BigQueryRun, CancelReachesTheJob) {
    pipeline("slow", "  read: rest\n");
    simulator_.inject({"wait", "pending", 100, "", 1, -1});
    const auto worker = stack_.start_worker();
    const auto run = stack_.trigger("slow");
    ASSERT_TRUE(stack_.await([&] { return simulator_.count("wait") > 0; }));
    run::cancel_run(stack_.db(), run, "test");
    EXPECT_EQ(stack_.await_final(run), "cancelled");
    ASSERT_TRUE(stack_.await([&] { return simulator_.count("cancel") > 0; }));
    std::string job;
    for (const auto& one : simulator_.seen()) {
        job = one.kind == "cancel" ? one.path : job;
    }
    job.resize(job.size() - std::string_view("/cancel").size());
    EXPECT_EQ(simulator_.job_state(job.substr(job.rfind('/') + 1)), "CANCELLED");
}

// --- Storage Read

TEST_F(BigQueryRun, StorageReadPublishesWhatRestPublishes) {
    pipeline("storage", "  read: storage\n  max_streams: 1\n");
    pipeline("choice", "");
    const auto worker = stack_.start_worker();
    ASSERT_EQ(stack_.await_final(stack_.trigger("p")), "succeeded");
    for (const std::string name : {"storage", "choice"}) {
        const auto run = stack_.trigger(name);
        ASSERT_EQ(stack_.await_final(run), "succeeded") << code_of(run);
        EXPECT_TRUE(comes_to_log(run, "350 rows by Storage Read at"));
        EXPECT_NE(proof(run).find("by Storage Read: each of "), std::string::npos) << proof(run);
        EXPECT_FALSE(logged(run, "ya29."));
    }
    EXPECT_TRUE(stack_.get("cache:storage") == stack_.get("cache:p"));
    EXPECT_EQ(stack_.get("cache:choice").size(), stack_.get("cache:p").size());
}

TEST_F(BigQueryRun, WithoutThePermissionForStorageReadTheRunSaysSoAndUsesRest) {
    pipeline("choice", "");
    simulator_.inject({"session", "status", 0, "PERMISSION_DENIED:needs bigquery.readsessions.create", 1, -1});
    const auto worker = stack_.start_worker();
    const auto run = stack_.trigger("choice");
    ASSERT_EQ(stack_.await_final(run), "succeeded") << code_of(run);
    EXPECT_TRUE(comes_to_log(run, "reading by REST, because Storage Read does not work"));
    EXPECT_NE(proof(run).find("needs bigquery.readsessions.create"), std::string::npos) << proof(run);
}

TEST_F(BigQueryRun, NoFaultOfStorageReadPublishes) {
    const auto read = [](std::string what, long at = 0, std::string text = "") {
        return Fault{"read", std::move(what), at, std::move(text), 1, -1};
    };
    const FaultRun faults[] = {
        {{"session", "status", 0, "PERMISSION_DENIED", 1, -1}, "source.auth"},
        {{"session", "hang", 0, "", 1, -1}, "source.timeout"},
        {{"session", "no_streams", 0, "", 1, -1}, "source.incomplete"},
        {read("status", 0, "UNAVAILABLE"), "source.unavailable"},
        {read("status", 2, "FAILED_PRECONDITION:session expired"), "source.incomplete"},
        {read("status", 2, "RESOURCE_EXHAUSTED"), "source.rate_limited"},
        {read("end", 2), "source.incomplete"},
        {read("hang"), "source.timeout"},
        {read("cut_row", 1), "source.bad_data"},
        {read("row_count", 1), "source.incomplete"},
        {read("schema", 1), "source.incomplete"},
    };
    pipeline("s", "  read: storage\n  max_streams: 1\n");
    expect_none_published("s", faults);
}

TEST_F(BigQueryRun, CancelReachesTheStreams) {
    pipeline("s", "  read: storage\n  retries: 1\n");
    simulator_.inject({"read", "hang", 1, "", 1, -1});
    const auto worker = stack_.start_worker();
    const auto run = stack_.trigger("s");
    ASSERT_TRUE(stack_.await([&] { return simulator_.count("read") > 0; }));
    run::cancel_run(stack_.db(), run, "test");
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(stack_.await_final(run), "cancelled");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

// The link to the server breaks in the middle, twice; the rows go on where they were.
TEST_F(BigQueryRun, ABrokenLinkIsResumed) {
    support::Proxy proxy(simulator_.storage_port());
    const auto address = "127.0.0.1:" + std::to_string(proxy.port());
    stack_.set_credential(
        {.name = "bigquery",
         .kind = "bigquery",
         .settings = {{"url", simulator_.url()}, {"storage_url", "http://" + address}},
         .allowed_hosts = {simulator_.address(), address}},
        Secret(simulator_.key_file())
    );
    pipeline("s", "  read: storage\n  max_streams: 1\n  retries: 9\n");
    simulator_.inject({"read", "hang", 3, "", 1, 2});
    const auto worker = stack_.start_worker();
    const auto run = stack_.trigger("s");
    for (int reads = 1; reads <= 2; ++reads) {
        ASSERT_TRUE(stack_.await([&] { return simulator_.count("read") >= reads; }));
        proxy.cut();
    }
    ASSERT_EQ(stack_.await_final(run), "succeeded") << code_of(run);
    EXPECT_NE(proof(run).find("times resumed"), std::string::npos) << proof(run);
    ASSERT_EQ(stack_.await_final(stack_.trigger("p")), "succeeded");
    EXPECT_TRUE(stack_.get("cache:s") == stack_.get("cache:p"));
}

}  // namespace
}  // namespace headrace
