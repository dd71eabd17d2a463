// BigQuery → Redis by the program itself, against the simulator: what is published, and that of everything that goes
// wrong nothing is.
#include "credential/envelope.hpp"
#include "credential/store.hpp"
#include "run/control.hpp"
#include "support/bigquery/simulator.hpp"
#include "support/stack.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace headrace {
namespace {

using support::Stack;
using support::bigquery::Fault;
using support::bigquery::mixed_table;
using support::bigquery::Simulator;

class BigQueryRun : public testing::Test {
protected:
    BigQueryRun() {
        credential::Store store(credential::load_key_file(stack_.folder() + "/key"));
        store.set(
            stack_.db(),
            {.name = "bigquery",
             .kind = "bigquery",
             .settings = {{"url", simulator_.url()}},
             .allowed_hosts = {simulator_.address()}},
            Secret(simulator_.key_file()),
            "test",
            true
        );
        simulator_.add(mixed_table("headrace-test.d.t", 350));
        pipeline("p", "");
    }

    void pipeline(const std::string& name, const std::string& options) {
        stack_.write_pipeline(
            name,
            fmt::format(
                R"(source:
  type: bigquery
  credential: bigquery
  default_dataset: d
  query: SELECT * FROM t
  retries: 1
  backoff: 1ms
  request_timeout: 400ms
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

    bool logged(const std::string& run, const std::string& text) {
        return stack_.sql(
                   "select count(*) as x from etl_logs where run_id = $1 and message like '%' || $2 || '%'", {run, text}
               ) != "0";
    }

    Simulator simulator_{{.page_rows = 100}};
    Stack stack_;
};

TEST_F(BigQueryRun, PublishesTheTableAndItsCost) {
    const auto worker = stack_.start_worker();
    const auto run = stack_.trigger("p");
    ASSERT_EQ(stack_.await_final(run), "succeeded") << code_of(run);
    const auto json = stack_.get("cache:p");
    EXPECT_EQ(json.substr(0, 9), "[{\"id\":1,");
    EXPECT_NE(json.find("{\"id\":350,"), std::string::npos);
    // The journal writes the log behind the run's back.
    EXPECT_TRUE(stack_.await([&] { return logged(run, "BigQuery bills"); }));
    EXPECT_TRUE(logged(run, "dry run: the query reads"));
    EXPECT_TRUE(stack_.await([&] { return logged(run, "350 rows are all of `totalRows`"); }));
    EXPECT_FALSE(logged(run, "ya29."));
    EXPECT_FALSE(logged(run, "PRIVATE"));
}

struct FaultRun {
    Fault fault;
    std::string_view code;
};

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
        {page("gzip_bomb", 64 << 20), "source.bad_data"},
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
    const auto worker = stack_.start_worker();
    ASSERT_EQ(stack_.await_final(stack_.trigger("p")), "succeeded");
    const auto good = stack_.get("cache:p");
    simulator_.add(mixed_table("headrace-test.d.t", 350, 7));  // what the faulty reads would bring is another table
    for (const auto& [fault, code] : faults) {
        SCOPED_TRACE(fault.on + " " + fault.what + " " + fault.text);
        simulator_.inject(fault);
        const auto run = stack_.trigger("p");
        EXPECT_EQ(stack_.await_final(run), "failed");
        EXPECT_EQ(code_of(run), code);
        EXPECT_TRUE(stack_.get("cache:p") == good);
        simulator_.mend();
    }
    ASSERT_EQ(stack_.await_final(stack_.trigger("p")), "succeeded");
    EXPECT_FALSE(stack_.get("cache:p") == good);
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
    pipeline("slow", "");
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

}  // namespace
}  // namespace headrace
