// The BigQuery source against the simulator, whose every byte can go wrong.
#include "unit/source/bigquery_reading.hpp"

#include <thread>

namespace headrace {
namespace {

using support::bigquery::mixed_table;
using support::bigquery::Simulator;
using test::BigQueryWish;
using test::read_all;

class BigQuery : public testing::Test {
protected:
    BigQuery() { simulator_.add(mixed_table("headrace-test.d.t", 350)); }

    Simulator simulator_{{.page_rows = 100}};
};

TEST_F(BigQuery, ReadsEveryPage) {
    const auto read = read_all(simulator_);
    ASSERT_EQ(read.code, "") << read.message;
    EXPECT_EQ(read.count, 350U);
    EXPECT_EQ(
        read.rows.substr(0, read.rows.find('\n')),
        R"({"id":1,"name":"Lounge 822465","country":"GB","amount":39053.93,"ratio":0.03978,"active":true,"day":"2020-11-26","updated_at":"2026-09-16T23:21:32.374487Z"})"
    );
    EXPECT_EQ(simulator_.count("page"), 4);
    EXPECT_EQ(simulator_.count("token"), 1);
    EXPECT_TRUE(read.logged("dry run: the query reads 35.0 kB (35000 bytes)"));
    EXPECT_TRUE(read.logged("BigQuery bills 10.5 MB (10485760 bytes)"));
    EXPECT_EQ(
        read.proof,
        "350 rows are all of `totalRows`, 4 pages of the same job and columns, none twice, no page token left"
    );
}

TEST_F(BigQuery, CompressionAndTheOrderOfMembersChangeNothing) {
    const auto plain = read_all(simulator_, {.values = {{"compress", "false"}}});
    ASSERT_EQ(plain.code, "") << plain.message;
    EXPECT_EQ(read_all(simulator_).rows, plain.rows);
    Simulator other({.page_rows = 100, .token_first = false});
    other.add(mixed_table("headrace-test.d.t", 350));
    EXPECT_EQ(read_all(other).rows, plain.rows);
    Simulator large({.page_rows = 1'000'000});
    large.add(mixed_table("headrace-test.d.t", 350));
    EXPECT_EQ(read_all(large).rows, plain.rows);
    EXPECT_EQ(read_all(large, {.values = {{"page_rows", "7"}}}).rows, plain.rows);
}

TEST_F(BigQuery, EmptyResult) {
    simulator_.add(mixed_table("headrace-test.d.t", 0));
    const auto read = read_all(simulator_);
    EXPECT_EQ(read.code, "") << read.message;
    EXPECT_EQ(read.count, 0U);
    EXPECT_EQ(read.schema.size(), 8U);
}

TEST_F(BigQuery, EveryType) {
    simulator_.add(support::bigquery::every_type_table("headrace-test.d.t"));
    const auto read = read_all(simulator_);
    ASSERT_EQ(read.code, "") << read.message;
    const auto line = read.rows.find('\n');
    EXPECT_EQ(
        read.rows.substr(0, line),
        R"_({"int64":-9223372036854775808,"float64":0.1,"float_big":1.7976931348623157e+308,"float_nan":null,"float_inf":null,)_"
        R"_("numeric":-99999999999999999999999999999.999999999,)_"
        R"_("bignumeric":578960446186580977117854925043439539266.34992332820282019728792003956564819967,"bool":true,)_"
        "\"string\":\"Київ \\\"quoted\\\" \\\\ \u2028 \\n line\",\"bytes\":\"AAH/\","
        R"_("date_low":"0001-01-01","date_high":"9999-12-31","datetime":"2026-11-21T18:00:01.102003",)_"
        R"_("time":"23:59:59.999999","timestamp":"2026-11-21T18:00:01.102003Z","timestamp_old":"0001-01-01T00:00:00.000Z",)_"
        R"_("json":{"a":[1,null,"x"]},"geography":"POINT(30.5 50.4)","interval":"1-2 3 4:5:6.789",)_"
        R"_("range":"[2026-01-01, UNBOUNDED)","record":{"x":1,"label":"one","at":"2026-11-21T18:00:01.000Z"},)_"
        R"_("list":[1,2],"list_empty":[],"records":[{"x":1,"label":null,"at":null},{"x":2,"label":"b","at":null}],)_"
        R"_("unknown":"as it is"})_"
    );
    EXPECT_EQ(
        read.rows.substr(line + 1),
        R"_({"int64":null,"float64":null,"float_big":null,"float_nan":null,"float_inf":null,"numeric":null,)_"
        R"_("bignumeric":null,"bool":null,"string":null,"bytes":null,"date_low":null,"date_high":null,"datetime":null,)_"
        R"_("time":null,"timestamp":null,"timestamp_old":null,"json":null,"geography":null,"interval":null,"range":null,)_"
        R"_("record":null,"list":[],"list_empty":[],"records":[],"unknown":null})_"
        "\n"
    );
    EXPECT_EQ(data::type_text(read.schema.fields[5]), "decimal(38,9)");
    EXPECT_EQ(data::type_text(read.schema.fields[6]), "decimal(77,38)");
}

// --- authentication

TEST_F(BigQuery, OtherWaysToAuthenticate) {
    const auto user = support::bigquery::Tokens::user_file(simulator_.token_uri());
    EXPECT_EQ(read_all(simulator_, {.values = {{"project", "headrace-test"}}, .key = user}).count, 350U);
    const auto machine = read_all(
        simulator_,
        {.values = {{"project", "headrace-test"}},
         .settings = {{"auth", "metadata"}, {"metadata_host", simulator_.address()}}}
    );
    EXPECT_EQ(machine.count, 350U) << machine.message;
    EXPECT_EQ(simulator_.count("metadata"), 1);
}

TEST_F(BigQuery, AWrongKeyIsRefusedAndNotShown) {
    Simulator other;  // has another key
    const auto read =
        read_all(simulator_, {.settings = {{"token_uri", simulator_.token_uri()}}, .key = other.key_file()});
    EXPECT_EQ(read.code, "source.auth");
    EXPECT_EQ(read.kind, ErrorKind::unauthorized);
    EXPECT_NE(read.message.find("Invalid JWT Signature"), std::string::npos) << read.message;
    EXPECT_EQ(read.message.find("PRIVATE"), std::string::npos);
    for (const std::string key : {"", "{", "[]", "{\"type\":\"service_account\"}", "{\"type\":\"x\"}", "hunter2"}) {
        const auto bad = read_all(simulator_, {.settings = {{"x", "y"}}, .key = key.empty() ? "{}" : key});
        EXPECT_EQ(bad.code, "config.invalid") << key;
        EXPECT_EQ(bad.message.find("hunter2"), std::string::npos);
    }
    const auto no_pem = read_all(
        simulator_,
        {.key =
             R"({"type":"service_account","client_email":"a@b","private_key":"hunter2","project_id":"p","token_uri":")" +
             simulator_.token_uri() + "\"}"}
    );
    EXPECT_EQ(no_pem.code, "config.invalid");
    EXPECT_EQ(no_pem.message.find("hunter2"), std::string::npos);
}

TEST_F(BigQuery, SecretsGoOnlyWhereTheyMay) {
    EXPECT_EQ(read_all(simulator_, {.settings = {{"url", "https://evil.example"}}}).code, "credential.host_denied");
    EXPECT_EQ(
        read_all(simulator_, {.settings = {{"token_uri", "https://evil.example/t"}}}).code, "credential.host_denied"
    );
    EXPECT_EQ(read_all(simulator_, {.settings = {{"url", "http://bigquery.example"}}}).code, "config.invalid");
    EXPECT_EQ(read_all(simulator_, {.settings = {{"token_uri", "http://t.example"}}}).code, "config.invalid");
    EXPECT_EQ(simulator_.count("token"), 0);
}

TEST_F(BigQuery, ATokenThatEndsInMidReadIsRenewed) {
    simulator_.inject({.on = "page", .what = "revoke", .nth = 3});
    const auto read = read_all(simulator_);
    EXPECT_EQ(read.code, "") << read.message;
    EXPECT_EQ(read.count, 350U);
    EXPECT_EQ(simulator_.count("token"), 2);
}

TEST_F(BigQuery, ATokenRefusedForEverIsRenewedOnce) {
    simulator_.inject({.on = "insert", .what = "revoke", .times = -1});
    const auto read = read_all(simulator_);
    EXPECT_EQ(read.code, "source.auth");
    EXPECT_EQ(simulator_.count("insert"), 2);
    EXPECT_EQ(simulator_.count("token"), 2);
}

TEST(BigQueryToken, LivesAsLongAsItIsSaid) {
    for (const int life : {-1, 0, 1, 60}) {
        Simulator simulator({.page_rows = 100, .expires_in = life});
        simulator.add(mixed_table("headrace-test.d.t", 350));
        const auto read = read_all(simulator);
        EXPECT_EQ(read.count, 350U) << life << ": " << read.message;
        if (life == 0) {
            EXPECT_GT(simulator.count("token"), 4);
        }
    }
}

// --- the job

TEST_F(BigQuery, ALostAnswerStartsNoSecondJob) {
    simulator_.inject({.on = "insert", .what = "lost"});
    const auto read = read_all(simulator_);
    EXPECT_EQ(read.code, "") << read.message;
    EXPECT_EQ(read.count, 350U);
    EXPECT_EQ(simulator_.count("insert"), 2);
    EXPECT_TRUE(read.logged("is taken over"));
    EXPECT_EQ(simulator_.job_state("headrace-0190-run-a0-1"), "DONE");
    EXPECT_EQ(simulator_.job_state("headrace-0190-run-a0-2"), "");
}

TEST_F(BigQuery, AForeignJobIsNotAdopted) {
    simulator_.inject({.on = "insert", .what = "foreign"});
    EXPECT_EQ(read_all(simulator_).code, "source.query");
}

TEST_F(BigQuery, ALostJobIsStartedAnewAndABadOneIsNot) {
    simulator_.inject({.on = "wait", .what = "job_error", .text = "jobBackendError"});
    const auto read = read_all(simulator_);
    EXPECT_EQ(read.count, 350U) << read.message;
    EXPECT_EQ(simulator_.count("insert"), 2);
    simulator_.mend();
    simulator_.inject({.on = "wait", .what = "job_error", .text = "resourcesExceeded", .times = -1});
    const auto bad = read_all(simulator_);
    EXPECT_EQ(bad.code, "source.query");
    EXPECT_EQ(bad.kind, ErrorKind::permanent);
    EXPECT_EQ(simulator_.count("insert"), 3);
}

TEST_F(BigQuery, AnUnfinishedJobIsNoEmptyResult) {
    simulator_.inject({.on = "wait", .what = "pending", .at = 1, .times = 3});
    const auto read = read_all(simulator_);
    EXPECT_EQ(read.count, 350U) << read.message;
    EXPECT_EQ(simulator_.count("wait"), 4);
}

// Reads until BigQuery holds an answer of this kind back; then the run is cancelled.
auto cancel_when_asked(Simulator& simulator, const char* kind) {
    StopSource stop;
    std::thread canceller([&] {
        const auto until = Deadline::in(std::chrono::seconds(20));
        while ((simulator.job_state("headrace-0190-run-a0-1") != "RUNNING" || simulator.count(kind) == 0) &&
               !until.passed()) {
            std::this_thread::yield();
        }
        stop.request_stop("cancelled by somebody");
    });
    const auto start = std::chrono::steady_clock::now();
    auto read = read_all(simulator, {.stop = stop.token()});
    canceller.join();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
    return read;
}

TEST_F(BigQuery, CancelReachesBigQuery) {
    simulator_.inject({.on = "wait", .what = "pending", .at = 30'000, .times = -1});
    EXPECT_EQ(cancel_when_asked(simulator_, "wait").code, "net.cancelled");
    EXPECT_EQ(simulator_.job_state("headrace-0190-run-a0-1"), "CANCELLED");
}

// Where it runs would have been in the answer, and without it BigQuery does not find the job.
TEST_F(BigQuery, CancelReachesAJobWhoseStartWasNotAnswered) {
    simulator_.inject({.on = "insert", .what = "hang_within", .at = 0, .times = -1});
    EXPECT_EQ(cancel_when_asked(simulator_, "insert").code, "net.cancelled");
    EXPECT_EQ(simulator_.job_state("headrace-0190-run-a0-1"), "CANCELLED");
}

TEST_F(BigQuery, AFinishedJobIsNotCancelled) {
    EXPECT_EQ(read_all(simulator_).code, "");
    EXPECT_EQ(simulator_.count("cancel"), 0);
}

TEST_F(BigQuery, CostIsBounded) {
    const auto dear = read_all(simulator_, {.values = {{"maximum_bytes_billed", "34999"}}});
    EXPECT_EQ(dear.code, "source.cost");
    EXPECT_EQ(dear.kind, ErrorKind::permanent);
    EXPECT_NE(dear.message.find("35000 bytes"), std::string::npos) << dear.message;
    EXPECT_EQ(simulator_.count("insert"), 0);
    const auto blind = read_all(simulator_, {.values = {{"maximum_bytes_billed", "34999"}, {"dry_run", "false"}}});
    EXPECT_EQ(blind.code, "source.cost") << blind.message;
    EXPECT_EQ(simulator_.count("dry_run"), 1);
    EXPECT_EQ(read_all(simulator_, {.values = {{"maximum_bytes_billed", "35000"}}}).code, "");
}

TEST_F(BigQuery, SendsWhatTheOptionsSay) {
    const auto read = read_all(
        simulator_,
        {.values = {{"location", "EU"}, {"use_query_cache", "false"}},
         .lists =
             {{"parameters", {"country", "U\"A", "since", "2026-01-01"}},
              {"parameter_types", {"since", "DATE"}},
              {"labels", {"team", "etl"}}}}
    );
    EXPECT_EQ(read.code, "") << read.message;
    std::string insert;
    for (const auto& one : simulator_.seen()) {
        insert = one.kind == "insert" ? one.body : insert;
    }
    EXPECT_EQ(
        insert,
        R"({"jobReference":{"projectId":"headrace-test","jobId":"headrace-0190-run-a0-1","location":"EU"},)"
        R"("configuration":{"query":{"query":"SELECT * FROM t","useLegacySql":false,"useQueryCache":false,)"
        R"("defaultDataset":{"projectId":"headrace-test","datasetId":"d"},"parameterMode":"NAMED","queryParameters":[)"
        R"({"name":"country","parameterType":{"type":"STRING"},"parameterValue":{"value":"U\"A"}},)"
        R"({"name":"since","parameterType":{"type":"DATE"},"parameterValue":{"value":"2026-01-01"}}]},)"
        R"("labels":{"headrace_run":"0190-run","team":"etl"}}})"
    );
}

TEST_F(BigQuery, BadOptionsAreExplained) {
    const auto problem = [&](BigQueryWish wish) {
        const auto read = read_all(simulator_, wish);
        EXPECT_EQ(read.code, "pipeline.invalid");
        return read.message;
    };
    EXPECT_NE(problem({.query = " ; "}).find("`query` is empty"), std::string::npos);
    EXPECT_NE(problem({.values = {{"max_row_bytes", "1"}}}).find("64KiB"), std::string::npos);
    EXPECT_NE(problem({.lists = {{"labels", {"Team", "x"}}}}).find("labels.Team"), std::string::npos);
    EXPECT_NE(problem({.lists = {{"parameter_types", {"n", "INT64"}}}}).find("no parameter `n`"), std::string::npos);
    EXPECT_NE(
        problem({.lists = {{"parameters", {"n", "1"}}, {"parameter_types", {"n", "int"}}}}).find("`int` is no type"),
        std::string::npos
    );
}

}  // namespace
}  // namespace headrace
