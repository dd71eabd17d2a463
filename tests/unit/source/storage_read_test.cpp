// Storage Read against the simulator's gRPC server: the same values as REST, what can be mended is mended, and of the
// rest nothing is taken for a whole result.
#include "unit/net/certs.hpp"
#include "unit/source/bigquery_reading.hpp"

#include <chrono>
#include <filesystem>
#include <thread>

namespace headrace {
namespace {

using support::bigquery::Fault;
using support::bigquery::mixed_table;
using support::bigquery::Simulator;
using test::BigQueryRead;
using test::BigQueryWish;
using test::read_all;

BigQueryWish storage_wish(Simulator& simulator, std::map<std::string, std::string> values = {}) {
    BigQueryWish out{.settings = {{"storage_url", simulator.storage_url()}}};
    out.values = {{"read", "storage"}};
    for (auto& [name, value] : values) {
        out.values[name] = value;
    }
    return out;
}

std::string sorted(std::string rows) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < rows.size();) {
        const auto end = rows.find('\n', at);
        lines.push_back(rows.substr(at, end + 1 - at));
        at = end + 1;
    }
    std::sort(lines.begin(), lines.end());
    std::string out;
    for (const auto& line : lines) {
        out += line;
    }
    return out;
}

class BigQueryStorage : public testing::Test {
protected:
    BigQueryStorage() {
        simulator_.add(mixed_table("headrace-test.d.t", 3500));
        whole_ = sorted(read_all(simulator_, {.values = {{"read", "rest"}}}).rows);
    }

    Simulator simulator_{{.page_rows = 1000, .storage = true, .response_rows = 100}};
    std::string whole_;
};

TEST_F(BigQueryStorage, GivesTheRowsOfRest) {
    for (const auto* streams : {"1", "4", "16"}) {
        const auto read = read_all(simulator_, storage_wish(simulator_, {{"max_streams", streams}}));
        ASSERT_EQ(read.code, "") << read.message;
        EXPECT_EQ(read.count, 3500U);
        EXPECT_TRUE(sorted(read.rows) == whole_) << streams;
        EXPECT_EQ(
            read.proof,
            "3500 rows are all of `totalRows`, by Storage Read: each of " + std::string(streams) +
                " streams came to its end"
        );
        EXPECT_TRUE(read.logged("BigQuery bills"));
    }
    EXPECT_EQ(simulator_.count("read"), 21);
    EXPECT_EQ(simulator_.count("page"), 4);  // those of the constructor
}

// Every type at the top, in a record and in a list.
support::bigquery::Table nested_table() {
    constexpr std::string_view fields =
        R"([{"name":"i","type":"INTEGER"},{"name":"f","type":"FLOAT"},{"name":"n","type":"NUMERIC"},{"name":"m","type":"BIGNUMERIC"},{"name":"o","type":"BOOLEAN"},{"name":"s","type":"STRING"},{"name":"b","type":"BYTES"},{"name":"d","type":"DATE"},{"name":"u","type":"DATETIME"},{"name":"t","type":"TIME"},{"name":"z","type":"TIMESTAMP"},{"name":"j","type":"JSON"},{"name":"g","type":"GEOGRAPHY"},{"name":"r","type":"RANGE"},{"name":"l","type":"INTEGER","mode":"REPEATED"},{"name":"q","type":"RECORD","mode":"REPEATED","fields":[{"name":"x","type":"TIME"},{"name":"y","type":"FLOAT"}]}])";
    constexpr std::string_view full =
        R"_({"f":[{"v":"-1"},{"v":"NaN"},{"v":"1.25"},{"v":"-0.5"},{"v":"false"},{"v":"a\"\u0001ж"},{"v":"AP8="},{"v":"0001-01-01"},{"v":"2026-11-21T00:00:00"},{"v":"12:30:00"},{"v":"-1"},{"v":"[1,{\"a\":null}]"},{"v":"POINT(1 2)"},{"v":"[UNBOUNDED, 2026-01-01)"},{"v":[{"v":"1"},{"v":"2"},{"v":"3"}]},{"v":[{"v":{"f":[{"v":"23:59:59.5"},{"v":"-Infinity"}]}},{"v":{"f":[{"v":null},{"v":"1e300"}]}}]}]})_";
    constexpr std::string_view none =
        R"({"f":[{"v":null},{"v":null},{"v":null},{"v":null},{"v":null},{"v":null},{"v":null},{"v":null},{"v":null},{"v":null},{"v":null},{"v":null},{"v":null},{"v":null},{"v":[]},{"v":[]}]})";
    support::bigquery::Table out{"headrace-test.d.t", 3, {}};
    const auto value = [=](std::string& text, std::uint64_t row) {
        text += row == 0 ? full : row == 1 ? none : "null";
    };
    const auto list = [=](std::string& text, std::uint64_t row) {
        text += row == 0 ? "[{\"v\":" + std::string(full) + "},{\"v\":" + std::string(none) + "}]" : "[]";
    };
    out.columns.push_back({"one", "RECORD", "NULLABLE", std::string(fields), value, {}});
    out.columns.push_back({"many", "RECORD", "REPEATED", std::string(fields), list, {}});
    return out;
}

TEST_F(BigQueryStorage, EveryTypeIsTheSameInBothWays) {
    for (const auto& table : {support::bigquery::every_type_table("headrace-test.d.t"), nested_table()}) {
        simulator_.add(table);
        const auto rest = read_all(simulator_, {.values = {{"read", "rest"}}});
        const auto storage = read_all(simulator_, storage_wish(simulator_, {{"max_streams", "1"}}));
        ASSERT_EQ(rest.code, "") << rest.message;
        ASSERT_EQ(storage.code, "") << storage.message;
        EXPECT_EQ(storage.rows, rest.rows);
        EXPECT_TRUE(storage.schema == rest.schema);
        EXPECT_GT(storage.count, 1U);
    }
}

TEST_F(BigQueryStorage, AnEmptyResultHasNoStreams) {
    simulator_.add(mixed_table("headrace-test.d.t", 0));
    const auto read = read_all(simulator_, storage_wish(simulator_));
    EXPECT_EQ(read.code, "") << read.message;
    EXPECT_EQ(read.count, 0U);
    EXPECT_EQ(read.schema.size(), 8U);
}

TEST_F(BigQueryStorage, OrderedResultsComeOnOneStream) {
    auto wish = storage_wish(simulator_);
    wish.query = "SELECT * FROM t\nOrder\n\tBY id";
    const auto one = read_all(simulator_, wish);
    ASSERT_EQ(one.code, "") << one.message;
    EXPECT_NE(one.proof.find("each of 1 streams"), std::string::npos) << one.proof;
    EXPECT_TRUE(one.rows == read_all(simulator_, {.values = {{"read", "rest"}}}).rows);
}

// --- which way

TEST_F(BigQueryStorage, AutoTakesItForMoreThanAPage) {
    const auto large = read_all(simulator_, storage_wish(simulator_, {{"read", "auto"}}));
    EXPECT_NE(large.proof.find("by Storage Read"), std::string::npos) << large.message;
    const auto pages = simulator_.count("page");
    simulator_.add(mixed_table("headrace-test.d.t", 900));
    const auto small = read_all(simulator_, storage_wish(simulator_, {{"read", "auto"}}));
    EXPECT_EQ(small.count, 900U);
    EXPECT_EQ(small.proof.find("Storage"), std::string::npos) << small.proof;
    EXPECT_EQ(simulator_.count("page"), pages + 1);
    EXPECT_EQ(simulator_.count("session"), 1);
}

TEST_F(BigQueryStorage, WithoutThePermissionItFallsBackAndSaysSo) {
    for (const Fault& fault :
         {Fault{"session", "status", 0, "PERMISSION_DENIED:needs bigquery.readsessions.create", 1, -1},
          Fault{"session", "status", 0, "UNIMPLEMENTED", 1, -1},
          Fault{"session", "status", 0, "UNAVAILABLE", 1, -1},
          Fault{"session", "status", 0, "INVALID_ARGUMENT", 1, -1},
          Fault{"session", "schema", 0, "{}", 1, -1},
          Fault{"read", "status", 0, "PERMISSION_DENIED:needs bigquery.readsessions.getData", 1, -1},
          Fault{"read", "branch", 0, "", 1, -1}}) {
        SCOPED_TRACE(fault.on + " " + fault.text);
        simulator_.inject(fault);
        const auto read = read_all(simulator_, storage_wish(simulator_, {{"read", "auto"}}));
        simulator_.mend();
        ASSERT_EQ(read.code, "") << read.message;
        EXPECT_TRUE(sorted(read.rows) == whole_);
        EXPECT_NE(read.proof.find("; by REST: "), std::string::npos) << read.proof;
        EXPECT_TRUE(read.logged("reading by REST, because Storage Read does not work"));
    }
    simulator_.inject({"session", "status", 0, "PERMISSION_DENIED", 1, -1});
    const auto read = read_all(simulator_, storage_wish(simulator_));
    EXPECT_EQ(read.code, "source.auth");
    EXPECT_EQ(read.kind, ErrorKind::unauthorized);
    EXPECT_EQ(simulator_.count("read") > 0, true);
}

TEST_F(BigQueryStorage, ASecretGoesOnlyWhereItMay) {
    auto wish = storage_wish(simulator_);
    wish.settings["storage_url"] = "https://evil.example";
    EXPECT_EQ(read_all(simulator_, wish).code, "credential.host_denied");
    wish.settings["storage_url"] = "http://storage.example";
    EXPECT_EQ(read_all(simulator_, wish).code, "config.invalid");
    wish.settings.erase("storage_url");
    EXPECT_EQ(read_all(simulator_, wish).code, "pipeline.invalid");
    wish.values["read"] = "auto";
    const auto read = read_all(simulator_, wish);
    EXPECT_EQ(read.count, 3500U) << read.message;
    EXPECT_EQ(read.proof.find("by REST"), std::string::npos) << read.proof;
    EXPECT_EQ(simulator_.count("session"), 0);
}

TEST_F(BigQueryStorage, AddressesAreAskedForBeforeTheyAreCalled) {
    const auto allow_rest_only = [rest = simulator_.address()](const sockaddr* address) {
        return ntohs(reinterpret_cast<const sockaddr_in*>(address)->sin_port) ==
               std::stoi(rest.substr(rest.find(':') + 1));
    };
    EXPECT_EQ(read_all(simulator_, storage_wish(simulator_), allow_rest_only).code, "http.egress");
    EXPECT_EQ(simulator_.count("session"), 0);
}

// --- faults

struct BadStream {
    Fault fault;
    std::string_view code;
    std::string_view says;
    std::map<std::string, std::string> values = {};
};

std::vector<BadStream> lasting_stream_faults() {
    const auto read = [](std::string what, long at = 0, std::string text = "", std::string retry_after = "") {
        return Fault{"read", std::move(what), at, std::move(text), 1, -1, std::move(retry_after)};
    };
    const auto session = [](std::string what, std::string text = "", std::string retry_after = "") {
        return Fault{"session", std::move(what), 0, std::move(text), 1, -1, std::move(retry_after)};
    };
    return {
        {session("status", "UNAVAILABLE"), "source.unavailable", "open a read session"},
        {session("status", "PERMISSION_DENIED"), "source.auth", "PERMISSION_DENIED"},
        {session("status", "UNAUTHENTICATED"), "source.auth", "UNAUTHENTICATED"},
        {session("status", "INVALID_ARGUMENT"), "source.query", ""},
        {session("status", "RESOURCE_EXHAUSTED"), "source.rate_limited", ""},
        {session("status", "RESOURCE_EXHAUSTED", "1000000"), "source.rate_limited", "asks to wait 1000000 s"},
        {session("hang"), "source.timeout", "", {{"request_timeout", "200"}}},
        {session("no_streams"), "source.incomplete", "0 of 3500 rows"},
        {session("schema", R"({"type":"record","name":"r","fields":[]})"),
         "source.incomplete",
         "0 columns instead of 8"},
        {read("status", 0, "UNAVAILABLE"), "source.unavailable", "UNAVAILABLE"},
        {read("status", 0, "INTERNAL:Received RST_STREAM with error code 2"), "source.unavailable", "RST_STREAM"},
        {read("status", 0, "INTERNAL"), "source.unavailable", "INTERNAL"},
        {read("status", 1, "RESOURCE_EXHAUSTED"), "source.rate_limited", "RESOURCE_EXHAUSTED"},
        {read("status", 0, "UNAUTHENTICATED"), "source.auth", "UNAUTHENTICATED"},
        {read("status", 1, "NOT_FOUND:session expired"), "source.incomplete", "session expired"},
        {read("status", 1, "FAILED_PRECONDITION:session expired"), "source.incomplete", "session expired"},
        {read("status", 1, "DATA_LOSS"), "source.incomplete", ""},
        {read("end", 1), "source.incomplete", "every stream has ended"},
        {read("end", 0), "source.incomplete", "0 of 3500 rows"},
        {read("hang", 0), "source.timeout", "sent nothing for 200 ms", {{"request_timeout", "200"}}},
        {read("cut_row", 1), "source.bad_data", "ends within a row"},
        {read("more_bytes", 1), "source.incomplete", "bytes more"},
        {read("varint", 1), "source.bad_data", "more than 64 bits"},
        {read("length", 1), "source.bad_data", "column `name`: a negative length"},
        {read("branch", 1), "source.bad_data", "column `id`: there is no branch 2"},
        {read("bad_text", 1), "source.bad_data", "column `name`: the text is not UTF-8"},
        {read("row_count", 1), "source.incomplete", "a response of 101 rows holds 100"},
        {read("few_rows", 1), "source.incomplete", "bytes more"},
        {read("schema", 1), "source.incomplete", "other columns than its session"},
        {read("packed", 1), "source.unsupported", "not plain Avro"},
        {read("huge", 1, "2000000"), "source.bad_data", "larger than max", {{"max_row_bytes", "1000000"}}},
    };
}

TEST_F(BigQueryStorage, NoFaultIsTakenForAWholeResult) {
    for (const auto& bad : lasting_stream_faults()) {
        SCOPED_TRACE(bad.fault.on + " " + bad.fault.what + " " + bad.fault.text);
        simulator_.inject(bad.fault);
        auto values = bad.values;
        values["max_streams"] = "2";
        const auto read = read_all(simulator_, storage_wish(simulator_, values));
        simulator_.mend();
        EXPECT_EQ(read.code, bad.code) << read.message;
        EXPECT_NE(read.message.find(bad.says), std::string::npos) << read.message;
        EXPECT_EQ(read.proof, "");
        EXPECT_EQ(read.message.find("ya29."), std::string::npos);
    }
    // The server forgets how far a stream was: its rows come again.
    simulator_.inject({"read", "status", 1, "UNAVAILABLE", 1, 1});
    simulator_.inject({"read", "ignore_offset", 0, "", 1, -1});
    const auto read = read_all(simulator_, storage_wish(simulator_));
    EXPECT_EQ(read.code, "source.incomplete") << read.message;
    EXPECT_NE(read.message.find("more rows come"), std::string::npos) << read.message;
}

TEST_F(BigQueryStorage, WhatPassesIsMended) {
    const Fault passing[] = {
        {"session", "status", 0, "UNAVAILABLE", 1, 2},
        {"session", "revoke", 0, "", 1, 1},
        {"session", "status", 0, "RESOURCE_EXHAUSTED", 1, 1, "0"},
        {"read", "status", 0, "UNAVAILABLE", 1, 2},
        {"read", "status", 3, "UNAVAILABLE", 1, 4},
        {"read", "status", 3, "UNKNOWN", 2, 1},
        {"read", "status", 2, "INTERNAL:Received RST_STREAM with error code 2", 1, 3},
        {"read", "status", 2, "RESOURCE_EXHAUSTED", 1, 1, "0"},
        {"read", "status", 9, "UNAVAILABLE", 1, 1},  // behind the last row: the offset is the end
        {"read", "revoke", 0, "", 3, 1},
        {"read", "empty", 2, "", 1, -1},
        {"read", "throttle", 2, "", 1, -1},
    };
    for (const auto& fault : passing) {
        SCOPED_TRACE(fault.on + " " + fault.what + " " + fault.text);
        simulator_.inject(fault);
        const auto read = read_all(simulator_, storage_wish(simulator_));
        simulator_.mend();
        ASSERT_EQ(read.code, "") << read.message;
        EXPECT_TRUE(sorted(read.rows) == whole_);
        EXPECT_EQ(read.logged("throttle 63 %"), fault.what == "throttle");
    }
    for (const auto& one : simulator_.seen()) {
        EXPECT_TRUE(one.kind != "read" || std::stoi(one.query.at("offset")) % 25 == 0) << one.query.at("offset");
    }
}

TEST(BigQueryStorageServer, AServerThatGoesAwayIsCalledAgain) {
    Simulator simulator({.storage = true, .response_rows = 100, .connection_age_ms = 50});
    simulator.add(mixed_table("headrace-test.d.t", 300));
    const auto whole = sorted(read_all(simulator, {.values = {{"read", "rest"}}}).rows);
    simulator.inject({"read", "hang", 1, "", 1, 3});  // until the connection is closed
    const auto read = read_all(simulator, storage_wish(simulator, {{"max_streams", "2"}, {"retries", "10"}}));
    ASSERT_EQ(read.code, "") << read.message;
    EXPECT_TRUE(sorted(read.rows) == whole);
    EXPECT_TRUE(read.logged("asked to go on"));
}

TEST_F(BigQueryStorage, CancelAndTheEndOfTheAttemptReachTheCalls) {
    for (const auto* on : {"session", "read"}) {
        simulator_.inject({on, "hang", 0, "", 1, -1});
        StopSource stop;
        auto wish = storage_wish(simulator_);
        wish.stop = stop.token();
        std::thread canceller([&] {
            const auto end = Deadline::in(std::chrono::seconds(10));
            while (simulator_.count(on) == 0 && !end.passed()) {
                std::this_thread::yield();
            }
            stop.request_stop("test");
        });
        const auto read = read_all(simulator_, wish);
        canceller.join();
        EXPECT_EQ(read.kind, ErrorKind::cancelled) << read.message;
        wish.stop = {};
        wish.deadline = Deadline::in(std::chrono::milliseconds(300));
        EXPECT_EQ(read_all(simulator_, wish).kind, ErrorKind::transient);
        simulator_.mend();
    }
}

TEST(BigQueryStorageServer, TlsIsCheckedAgainstTheCaFile) {
    const auto folder = std::filesystem::temp_directory_path() / ("storage-tls-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    const auto ca = net::test::make_identity("test CA", "", nullptr);
    const auto other = net::test::make_identity("other CA", "", nullptr);
    const auto leaf = net::test::make_identity("leaf", "IP:127.0.0.1", &ca);
    const auto wrong = net::test::make_identity("leaf", "DNS:elsewhere.example", &ca);
    net::test::write_cert(ca, (folder / "ca.pem").string());
    net::test::write_cert(other, (folder / "other.pem").string());
    const auto read = [&](const net::test::Identity& identity, const std::string& roots) {
        Simulator simulator(
            {.storage = true, .certificate = net::test::cert_pem(identity), .private_key = net::test::key_pem(identity)}
        );
        simulator.add(mixed_table("headrace-test.d.t", 300));
        auto wish = storage_wish(simulator);
        wish.settings["ca_file"] = (folder / roots).string();
        return read_all(simulator, wish);
    };
    EXPECT_EQ(read(leaf, "ca.pem").count, 300U);
    EXPECT_EQ(read(leaf, "other.pem").code, "source.unavailable");
    EXPECT_EQ(read(wrong, "ca.pem").code, "source.unavailable");
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace headrace
