// `headrace preview` and `headrace credential test` from outside, against the real ClickHouse and the simulator of
// BigQuery: what they say, that they write nothing, and that nothing goes on running at the source.
#include "credential/envelope.hpp"
#include "credential/store.hpp"
#include "support/bigquery/simulator.hpp"
#include "support/stack.hpp"
#include "support/yespo/simulator.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <csignal>

namespace headrace {
namespace {

using support::HeadraceProcess;
using support::Stack;
using support::bigquery::mixed_table;
using support::bigquery::Simulator;

constexpr std::string_view password = "correct-horse-battery";

class Looking : public testing::Test {
protected:
    struct Said {
        int code = -1;
        std::string text;

        bool has(std::string_view part) const { return text.find(part) != std::string::npos; }
    };

    Said say(std::vector<std::string> words) {
        HeadraceProcess process(std::move(words), stack_.environment());
        const auto end = process.wait(std::chrono::seconds(30));
        return {end && end->signal == 0 ? end->code : -1, process.log()};
    }

    void pipeline(const std::string& query, const std::string& more = "", const std::string& option = "") {
        stack_.write_pipeline(
            "p",
            fmt::format(
                "source:\n  type: clickhouse\n  credential: clickhouse\n  {}\n  query: |\n    {}\n"
                "sinks:\n  - {{ type: redis, as: json, key: \"cache:p\" }}\n"
                "  - {{ type: postgres, table: out.p }}\n{}",
                option,
                query,
                more
            )
        );
    }

    void bigquery(const std::string& key = "", const std::string& url = "", const std::string& host = "") {
        stack_.set_credential(
            {.name = "bigquery",
             .kind = "bigquery",
             .settings = {{"url", url.empty() ? simulator_.url() : url}},
             .allowed_hosts = {host.empty() ? simulator_.address() : host}},
            Secret(key.empty() ? simulator_.key_file() : key)
        );
    }

    // A copy of the stack's credential with other settings.
    void clickhouse(std::map<std::string, std::string> changes, const std::string& secret, std::string host = "") {
        auto good =
            credential::Store(credential::load_key_file(stack_.folder() + "/key")).resolve(stack_.db(), "clickhouse");
        for (auto& [name, value] : changes) {
            good.settings[name] = value;
        }
        if (!host.empty()) {
            good.allowed_hosts = {host};
        }
        stack_.set_credential(
            {.name = "other", .kind = "clickhouse", .settings = good.settings, .allowed_hosts = good.allowed_hosts},
            secret.empty() ? good.secret : Secret(secret)
        );
    }

    std::string row_counts() {
        return stack_.sql(
            "select (select count(*) from etl_runs) || ' ' || (select count(*) from etl_outputs) || ' ' || (select "
            "count(*) from etl_watermarks) || ' ' || coalesce(to_regclass('out.p')::text, 'none') as x"
        );
    }

    Simulator simulator_{{.page_rows = 100}};
    Stack stack_;
};

TEST_F(Looking, PreviewShowsRowsSchemaAndBadRows) {
    pipeline(
        "SELECT number AS id, concat('name ', toString(number)) AS name, if(number = 3, 'x', toString(number)) AS n "
        "FROM "
        "system.numbers LIMIT 10",
        "transform:\n  - filter: id != 5\n  - cast: { n: int64 }\nchecks:\n  - min_rows: 100\n"
    );
    const auto before = row_counts();
    const auto said = say({"preview", "p", "--rows", "20"});
    EXPECT_EQ(said.code, 0) << said.text;
    EXPECT_TRUE(said.has("name 9")) << said.text;
    EXPECT_FALSE(said.has("name 5 ")) << said.text;
    EXPECT_TRUE(said.has("8 rows shown: all that there are; 10 read, 1 filtered, 1 rejected")) << said.text;
    EXPECT_TRUE(said.has("rejected row 4, ")) << said.text;
    EXPECT_TRUE(said.has(R"({"id":3,"name":"name 3","n":"x"})")) << said.text;
    EXPECT_TRUE(said.has("would not be published: check.min_rows")) << said.text;
    EXPECT_TRUE(said.has("nothing was written")) << said.text;
    EXPECT_TRUE(said.has("string!")) << "the source's type of n: " << said.text;
    EXPECT_EQ(row_counts(), before);
    EXPECT_EQ(before, "0 0 0 none");
    EXPECT_EQ(stack_.get("cache:p"), "");
}

// An endless query: its first rows come, and it ends at the server.
TEST_F(Looking, PreviewStopsTheQueryAtTheSource) {
    pipeline("SELECT number AS id, '{{endless}}' AS mark FROM system.numbers");
    const auto said = say({"preview", "p", "--rows", "3", "--quiet"});
    EXPECT_EQ(said.code, 0) << said.text;
    EXPECT_TRUE(said.has("3 rows shown; ")) << said.text;
    EXPECT_TRUE(stack_.await([&] {
        try {
            stack_.clickhouse(
                "SELECT throwIf(count() > 0) FROM system.processes WHERE query LIKE '%{endless}%' AND query NOT LIKE "
                "'%system.processes%'"
            );
            return true;
        } catch (const std::runtime_error&) {
            return false;
        }
    }));
}

TEST_F(Looking, PreviewIsInterrupted) {
    // A block is as large as what is asked for, and ClickHouse refuses to sleep for more than 3 s in one.
    pipeline("SELECT sleepEachRow(0.5) AS s, number FROM system.numbers LIMIT 1000", "", "max_block_size: 5");
    HeadraceProcess process({"preview", "p", "--rows", "1000"}, stack_.environment());
    ASSERT_TRUE(process.wait_for_log("connected to ClickHouse", std::chrono::seconds(20))) << process.log();
    const auto start = Deadline::Clock::now();
    EXPECT_EQ(process.terminate(std::chrono::seconds(10)).code, 1) << process.log();
    EXPECT_LT(Deadline::Clock::now() - start, std::chrono::seconds(6));
    EXPECT_NE(process.log().find("net.cancelled"), std::string::npos) << process.log();
}

TEST_F(Looking, PreviewOfBigQueryAndOfARange) {
    bigquery();
    simulator_.add(mixed_table("headrace-test.d.t", 350));
    stack_.write_pipeline(
        "b",
        "source:\n  type: bigquery\n  credential: bigquery\n  default_dataset: d\n  query: SELECT * FROM t\n"
        "incremental: { cursor: id, start: 100 }\n"
        "sinks:\n  - { type: redis, as: keys, key: \"b:{id}\", mode: merge }\n"
    );
    auto said = say({"preview", "b", "-n", "5"});
    EXPECT_EQ(said.code, 0) << said.text;
    EXPECT_TRUE(said.has("\n104 ")) << said.text;
    EXPECT_FALSE(said.has("\n105 ")) << said.text;
    EXPECT_TRUE(said.has("id from 100 to 350")) << said.text;
    EXPECT_TRUE(said.has("dry run: the query reads")) << said.text;
    stack_.sql("insert into etl_pipelines (name, definition_version, summary) values ('b', 0, '{}') returning name as x"
    );
    stack_.sql(
        "insert into etl_watermarks (pipeline, cursor_column, value, run_id) values ('b', 'id', '349', "
        "gen_random_uuid()) returning value as x"
    );
    said = say({"preview", "b"});
    EXPECT_TRUE(said.has("2 rows shown: all that there are")) << said.text;
    EXPECT_EQ(stack_.sql("select value as x from etl_watermarks"), "349");
}

TEST_F(Looking, PreviewSaysWhatIsWrong) {
    pipeline("SELECT nothing FROM nowhere");
    auto said = say({"preview", "p"});
    EXPECT_EQ(said.code, 1);
    EXPECT_TRUE(said.has("source.query")) << said.text;
    said = say({"preview", "none"});
    EXPECT_EQ(said.code, 1);
    EXPECT_TRUE(said.has("there is no none.yaml in ")) << said.text;
    stack_.write_pipeline("p", "sorce: 1\n");
    said = say({"preview", "p"});
    EXPECT_EQ(said.code, 1);
    EXPECT_TRUE(said.has("p.yaml:1:1: `source` is missing")) << said.text;
}

struct TestCase {
    std::string_view what;
    std::map<std::string, std::string> settings;
    std::string secret;
    std::string_view failed;  // line
    std::string_view hint;
};

TEST_F(Looking, CredentialTestOfClickHouse) {
    stack_.clickhouse("CREATE TABLE t (n UInt64) ENGINE = Memory");  // something to read
    auto said = say({"credential", "test", "clickhouse"});
    EXPECT_EQ(said.code, 0) << said.text;
    std::size_t at = 0;
    for (const auto* step : {"decrypt", "host", "dns", "connect", "login", "call", "permission"}) {
        at = said.text.find(std::string("ok    ") + step, at);
        EXPECT_NE(at, std::string::npos) << step << "\n" << said.text;
    }
    EXPECT_TRUE(said.has("ClickHouse 18.")) << said.text;
    const TestCase cases[] = {
        {"a wrong password", {}, std::string(password), "FAIL  login", "headrace credential set"},
        {"no such user", {{"user", "nobody"}}, "", "FAIL  login", "-s user=NAME"},
        {"nobody listens", {{"url", "http://127.0.0.1:1"}}, "", "FAIL  connect", "Is the server running"},
        {"a host that is not allowed", {{"url", "http://10.0.0.1:8123"}}, "", "FAIL  host", "to do: "},
        {"another protocol", {{"url", "ftp://127.0.0.1"}}, "", "FAIL  host", ""},
    };
    for (const auto& one : cases) {
        SCOPED_TRACE(one.what);
        clickhouse(one.settings, one.secret, one.what == "nobody listens" ? "127.0.0.1:1" : "");
        said = say({"credential", "test", "other"});
        EXPECT_EQ(said.code, 1);
        EXPECT_TRUE(said.has(one.failed)) << said.text;
        EXPECT_TRUE(said.has(one.hint)) << said.text;
        EXPECT_FALSE(said.has(password)) << said.text;
    }
    said = say({"credential", "test", "none"});
    EXPECT_EQ(said.code, 1);
    EXPECT_TRUE(said.has("there is no credential `none`")) << said.text;
}

TEST_F(Looking, CredentialTestOfBigQuery) {
    bigquery();
    auto said = say({"credential", "test", "bigquery"});
    EXPECT_EQ(said.code, 0) << said.text;
    EXPECT_TRUE(said.has("got a token as ")) << said.text;
    EXPECT_TRUE(said.has("sees headrace-test")) << said.text;
    EXPECT_TRUE(said.has("may run queries that project headrace-test pays for")) << said.text;
    EXPECT_EQ(simulator_.count("insert"), 0) << "nothing was run";
    simulator_.inject({"token", "status", 400, "invalid_grant", 1, -1});
    said = say({"credential", "test", "bigquery"});
    EXPECT_TRUE(said.has("FAIL  login")) << said.text;
    EXPECT_TRUE(said.has("clock")) << said.text;
    simulator_.mend();
    simulator_.inject({"dry_run", "status", 403, "accessDenied", 1, -1});
    said = say({"credential", "test", "bigquery"});
    EXPECT_TRUE(said.has("FAIL  permission")) << said.text;
    EXPECT_TRUE(said.has("BigQuery Job User")) << said.text;
    EXPECT_FALSE(said.has("ya29.")) << said.text;
    EXPECT_FALSE(said.has("PRIVATE")) << said.text;
    simulator_.mend();
    bigquery("not a key");
    said = say({"credential", "test", "bigquery"});
    EXPECT_EQ(said.code, 1);
    EXPECT_TRUE(said.has("FAIL  host")) << said.text;
    EXPECT_FALSE(said.has("not a key")) << said.text;
}

TEST_F(Looking, CredentialTestOfAnHttpApi) {
    support::yespo::Simulator service;
    service.add_group("100", "the right key", 3);
    const auto contacts = service.url() + "/group/100/contacts";

    struct Case {
        std::string_view what;
        std::map<std::string, std::string> settings;
        std::string_view secret;
        int code;
        std::string_view said;
    };

    const Case cases[] = {
        {"the login is right", {{"test_url", contacts}}, "the right key", 0, "HTTP 200: the login is accepted"},
        {"a wrong key", {{"test_url", contacts}}, password, 1, "HTTP 401: the service refuses this login"},
        {"an address that says nothing", {{"url", service.url()}}, "the right key", 0, "which proves little"},
        {"a wrong address",
         {{"test_url", service.url() + "/nothing"}},
         "the right key",
         1,
         "source.unavailable: HTTP 404"},
        {"a host that is not allowed", {{"test_url", "https://10.0.0.1/"}}, password, 1, "credential.host_denied"},
        {"another way to log in", {{"auth", "digest"}}, password, 1, "`auth` is none, basic, bearer or header"},
        {"nobody listens", {{"url", "http://127.0.0.1:1"}}, password, 1, "FAIL  connect"},
    };
    for (const auto& one : cases) {
        SCOPED_TRACE(one.what);
        stack_.set_credential(
            {.name = "h",
             .kind = "http",
             .settings = one.settings,
             .allowed_hosts = {service.address(), "127.0.0.1:1"}},
            Secret(std::string(one.secret))
        );
        const auto said = say({"credential", "test", "h"});
        EXPECT_EQ(said.code, one.code) << said.text;
        EXPECT_TRUE(said.has(one.said)) << said.text;
        EXPECT_FALSE(said.has(one.secret)) << said.text;
    }
}

TEST_F(Looking, CredentialTestOfAKindThatNobodyReads) {
    stack_.set_credential(
        {.name = "r", .kind = "redis", .settings = {}, .allowed_hosts = {"127.0.0.1"}}, Secret(std::string(password))
    );
    const auto said = say({"credential", "test", "r"});
    EXPECT_EQ(said.code, 1);
    EXPECT_TRUE(said.has("FAIL  decrypt")) << said.text;
    EXPECT_TRUE(said.has("no connector of this program uses credentials of kind `redis`")) << said.text;
}

}  // namespace
}  // namespace headrace
