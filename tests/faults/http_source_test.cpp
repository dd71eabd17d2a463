// F28, F29, F32: an HTTP API that wants patience, that breaks, that sends a bomb.
#include "support/yespo/run.hpp"

#include <fstream>
#include <regex>

namespace headrace {
namespace {

using support::yespo::Fault;
using HttpSourceFaults = support::yespo::YespoRun;

// The lease is 2 s here: a run that waits for longer is neither taken away nor counted as dead.
TEST_F(HttpSourceFaults, F28_RetryAfterIsHonouredAndTheLeaseKept) {
    pipeline("y", "ovago", "100", "  max_wait: 1m\n  wait_budget: 1m\n");
    simulator_.inject({"status", 429, "Too many requests", 3, 1, "5"});
    const auto worker = stack_.start_worker();
    const auto other = stack_.start_worker();
    const auto run = stack_.trigger("y");
    ASSERT_TRUE(stack_.await([&] { return logged(run, "asks for 5 s"); })) << worker->log();
    const auto waiting = simulator_.count();
    EXPECT_EQ(stack_.sql("select state as x from etl_runs where run_id = $1", {run}), "running");
    ASSERT_EQ(stack_.await_final(run), "succeeded") << message_of(run);
    EXPECT_GT(simulator_.count(), waiting);
    EXPECT_EQ(stack_.sql("select attempt as x from etl_runs where run_id = $1", {run}), "1");
    EXPECT_GE(
        std::stod(stack_.sql(
            "select extract(epoch from finished_at - started_at) as x from etl_runs where run_id = $1", {run}
        )),
        5.0
    );
    EXPECT_TRUE(stack_.get("cache:y") == output_of(simulator_.members("100")));
}

TEST_F(HttpSourceFaults, F28_DatesAreUnderstoodAndAbsurdWaitsAreCapped) {
    const auto worker = stack_.start_worker();
    for (const auto* wait :
         {"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 2094 08:49:37 GMT", "1000000000", "-1", "soon", ""}) {
        for (const long status : {429L, 503L}) {
            SCOPED_TRACE(fmt::format("{} {}", status, wait));
            simulator_.inject({"status", status, "", 2, 1, wait});
            const auto run = stack_.trigger("y");
            EXPECT_EQ(stack_.await_final(run), "succeeded") << message_of(run);
            // The journal is written several times a second, also after the state.
            EXPECT_TRUE(stack_.await([&] { return logged(run, fmt::format("HTTP {} for the rows", status)); }));
            simulator_.mend();
        }
    }
}

TEST_F(HttpSourceFaults, F28_TheBudgetEnds) {
    pipeline("y", "ovago", "100", "  max_wait: 300ms\n  wait_budget: 200ms\n");
    simulator_.inject({"status", 429, "", 2, -1, "1"});
    const auto worker = stack_.start_worker();
    const auto run = stack_.trigger("y");
    EXPECT_EQ(stack_.await_final(run), "failed");
    EXPECT_EQ(code_of(run), "source.rate_limited");
    EXPECT_NE(message_of(run).find("`wait_budget` is spent"), std::string::npos) << message_of(run);
}

// First the request is tried again, then the run is.
TEST_F(HttpSourceFaults, F29_RequestsAndThenRunsAreTriedAgain) {
    const auto worker = stack_.start_worker();
    const Fault broken[] = {
        {"status", 500, "", 3}, {"reset", 0, "", 3}, {"cut", 9000, "", 3}, {"no_last_chunk", 0, "", 3}};
    for (auto fault : broken) {
        SCOPED_TRACE(fault.what);
        simulator_.inject(fault);
        const auto run = stack_.trigger("y");
        EXPECT_EQ(stack_.await_final(run), "succeeded") << message_of(run);
        EXPECT_EQ(stack_.sql("select attempt as x from etl_runs where run_id = $1", {run}), "1");
        simulator_.mend();
    }
    stack_.write_pipeline(
        "again",
        "source: { type: yespo, credential: ovago, group: \"100\", page_rows: 250, retries: 0 }\n"
        "sinks:\n  - { type: redis, as: json, key: \"cache:again\" }\nretry: { attempts: 3, backoff: 100ms, max: 100ms "
        "}\n"
    );
    ASSERT_TRUE(stack_.await([&] {
        return stack_.sql("select count(*) as x from etl_pipelines where name = 'again'") == "1";
    }));
    for (auto fault : broken) {
        SCOPED_TRACE(fault.what);
        fault.times = 2;
        fault.nth = 2;
        simulator_.inject(fault);
        const auto run = stack_.trigger("again");
        EXPECT_EQ(stack_.await_final(run), "succeeded") << message_of(run);
        const auto attempts = stack_.sql("select attempt as x from etl_runs where run_id = $1", {run});
        // libcurl itself asks again when a kept connection is reset before an answer.
        EXPECT_EQ(attempts, fault.what == "reset" ? "2" : "3");
        EXPECT_TRUE(stack_.get("cache:again") == output_of(simulator_.members("100")));
        simulator_.mend();
    }
}

long http_peak_kib(pid_t pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    std::smatch found;
    return std::regex_search(text, found, std::regex("VmHWM:\\s+(\\d+)")) ? std::stol(found[1]) : -1;
}

TEST_F(HttpSourceFaults, F32_BombsStopAtTheirBounds) {
    pipeline("y", "ovago", "100", "  max_page_bytes: 64MiB\n  max_rows: 990\n");
    pipeline("pages", "ovago", "100", "  max_pages: 3\n");
    const auto worker = stack_.start_worker();
    const Fault bombs[] = {
        {"gzip_bomb", 256L << 20, "", 2, -1},
        {"deep", 100'000, "", 2, -1},
        {"huge", 200L << 20, "", 2, -1},
        {"bom", 0, "", 1, -1},  // nothing wrong but the number of rows
    };
    for (const auto& bomb : bombs) {
        SCOPED_TRACE(bomb.what);
        simulator_.inject(bomb);
        const auto run = stack_.trigger("y");
        EXPECT_EQ(stack_.await_final(run), "failed");
        EXPECT_EQ(code_of(run), "source.limit") << message_of(run);
        EXPECT_EQ(stack_.get("cache:y"), "");
        simulator_.mend();
    }
    const auto run = stack_.trigger("pages");
    EXPECT_EQ(stack_.await_final(run), "failed");
    EXPECT_EQ(code_of(run), "source.limit") << message_of(run);
    const auto peak = http_peak_kib(worker->pid());
    EXPECT_GT(peak, 0);
    EXPECT_LT(peak, 96 * 1024);
}

}  // namespace
}  // namespace headrace
