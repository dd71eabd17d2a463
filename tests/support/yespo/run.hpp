// Yespo → Redis by the program itself, against the simulator: what the tests of it share.
#pragma once

#include "support/stack.hpp"
#include "support/yespo/contacts.hpp"
#include "support/yespo/simulator.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace headrace::support::yespo {

class YespoRun : public testing::Test {
protected:
    YespoRun() {
        add_account("ovago", "key-of-ovago-canary");
        add_account("brand_b", "key-of-brand-b-canary");
        simulator_.add_group("100", "key-of-ovago-canary", members);
        simulator_.add_group("200", "key-of-brand-b-canary", members, 5001);
        pipeline("y", "ovago", "100");
    }

    static constexpr std::uint32_t members = 1000;

    void add_account(const std::string& name, const std::string& key) {
        stack_.set_credential(
            {.name = name,
             .kind = "http",
             .settings = {{"url", simulator_.url()}},
             .allowed_hosts = {simulator_.address()}},
            Secret(key)
        );
    }

    void pipeline(
        const std::string& name,
        const std::string& account,
        const std::string& group,
        const std::string& options = "  request_timeout: 400ms\n  max_wait: 50ms\n  wait_budget: 5s\n"
    ) {
        stack_.write_pipeline(
            name,
            fmt::format(
                R"(source:
  type: yespo
  credential: {}
  group: "{}"
  page_rows: 250
  retries: 1
  backoff: 1ms
{}sinks:
  - {{ type: redis, as: json, key: "cache:{}" }}
retry: {{ attempts: 1 }}
timeout: 60s
)",
                account,
                group,
                options,
                name
            )
        );
    }

    // The output that these contacts make.
    static std::string output_of(const std::vector<std::uint32_t>& numbers) {
        std::string out = "[";
        for (const auto number : numbers) {
            out += out.size() == 1 ? "" : ",";
            append_row(out, number);
        }
        return out + "]";
    }

    std::string code_of(const std::string& run) {
        return stack_.sql("select coalesce(error->>'code', '') as x from etl_runs where run_id = $1", {run});
    }

    std::string message_of(const std::string& run) {
        return stack_.sql("select coalesce(error->>'message', '') as x from etl_runs where run_id = $1", {run});
    }

    bool logged(const std::string& run, const std::string& text) {
        return stack_.sql(
                   "select count(*) as x from etl_logs where run_id = $1 and message like '%' || $2 || '%'", {run, text}
               ) != "0";
    }

    Simulator simulator_;
    Stack stack_;
};

}  // namespace headrace::support::yespo
