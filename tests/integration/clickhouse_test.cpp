// The ClickHouse source against the real server of Debian (18.16): types, failures, cancel.
#include "source/clickhouse/clickhouse.hpp"

#include "base/error.hpp"
#include "data/json.hpp"
#include "net/http_client.hpp"
#include "source/clickhouse/decode.hpp"
#include "support/servers.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

namespace headrace {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

struct Access {
    std::string user = "headrace";
    std::string password;
};

struct Wish {
    std::string query;
    std::map<std::string, std::string> values = {};
    std::vector<std::string> settings = {};
    StopToken stop = {};
    Deadline deadline = Deadline::in(seconds(60));
};

std::unique_ptr<pipeline::Source> open_source(const Wish& wish, std::optional<Access> access = std::nullopt) {
    auto& server = support::servers().clickhouse();
    pipeline::Part part;
    part.type = "clickhouse";
    part.options.values.insert(wish.values.begin(), wish.values.end());
    part.options.values["query"] = wish.query;
    part.options.lists["settings"] = wish.settings;
    pipeline::Credential credential;
    credential.name = "ch";
    credential.settings = {{"url", server.url()}, {"user", access ? access->user : "headrace"}};
    credential.secret = access ? Secret(access->password) : server.password();
    credential.allowed_hosts = {"127.0.0.1"};
    auto source = source::clickhouse::type().make(part, credential);
    source->connect({wish.stop, wish.deadline, "run", "", nullptr});
    return source;
}

struct Result {
    std::vector<std::string> rows;  // as JSON objects
    data::Schema schema;
    std::string code;
    ErrorKind kind = ErrorKind::bug;
    std::string message;
    std::uint64_t count = 0;
    std::size_t largest_batch = 0;
    std::uint64_t wire_bytes = 0;
};

Result read(const Wish& wish, std::optional<Access> access = std::nullopt, bool keep = true) {
    Result out;
    try {
        const auto source = open_source(wish, std::move(access));
        out.schema = source->query();
        const data::JsonEncoder encoder(out.schema);
        data::Batch batch;
        for (batch.reset(out.schema); source->next(batch); batch.reset(out.schema)) {
            out.count += batch.rows();
            out.largest_batch = std::max(out.largest_batch, batch.bytes());
            for (std::size_t row = 0; keep && row < batch.rows(); ++row) {
                data::Buffer<char> text;
                encoder.append_object(text, batch, row);
                out.rows.emplace_back(data::view(text));
            }
        }
        EXPECT_EQ(source->completeness().rows, out.count);
        out.wire_bytes = source->bytes_received();
    } catch (const Error& error) {
        out.code = error.code();
        out.kind = error.kind();
        out.message = error.what();
    }
    return out;
}

// The server's own words to a query, past the connector.
std::string ask(const std::string& sql, const std::string& settings = "") {
    auto& server = support::servers().clickhouse();
    net::HttpRequest request;
    request.method = "POST";
    request.url = server.url() + "/?" + settings;
    request.headers = {{"X-ClickHouse-User", "headrace"}, {"X-ClickHouse-Key", server.password().reveal()}};
    request.body = sql;
    request.deadline = Deadline::in(seconds(20));
    net::HttpClient client;
    const auto reply = client.fetch(request, {}, 64u << 20);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.body;
}

std::size_t running(const std::string& text) {
    return std::stoul(ask(
        "SELECT count() FROM system.processes WHERE query LIKE '%" + text + "%' AND query NOT LIKE '%system.processes%'"
    ));
}

// Asks the server again and again; each question is a wait of its own.
bool soon(const std::function<bool()>& done, seconds limit = seconds(20)) {
    const auto until = Deadline::in(limit);
    while (!done()) {
        if (until.passed()) {
            return false;
        }
    }
    return true;
}

// Everything that 18.16 can be asked for in one row or two, against its own JSONEachRow.
TEST(ClickHouse, EveryTypeAsTheServerSaysIt) {
    const std::string queries[] = {
        "SELECT toInt8(-128) AS a, toInt16(-32768) AS b, toInt32(-2147483648) AS c, toInt64(-9223372036854775808) AS d",
        "SELECT toUInt8(255) AS a, toUInt16(65535) AS b, toUInt32(4294967295) AS c, 18446744073709551615 AS d",
        "SELECT toFloat32(0.1) AS a, toFloat64(-1.25) AS b, 0 / 0 AS c, 1 / 0 AS d, toFloat32(16777216) AS e, "
        "toFloat32(3.14159) AS f",
        "SELECT '' AS a, 'Київ' AS b, 'quote\" back\\\\slash\\n' AS c, toFixedString('abc', 3) AS d",
        "SELECT toDecimal32('-12.30', 2) AS a, toDecimal64('0.0001', 4) AS b, "
        "toDecimal128('-1234567890123456789012345678.0123456789', 10) AS c",
        "SELECT toDate('2026-11-21') AS a, toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS b",
        "SELECT CAST('b', 'Enum8(\\'a\\' = 1, \\'b\\' = -2)') AS a, CAST('y', 'Enum16(\\'x\\' = 300, \\'y\\' = -300)') "
        "AS b",
        "SELECT arrayJoin([1, NULL, 3]) AS a, toNullable('x') AS b, NULL AS c",
        "SELECT [1, 2] AS a, [['x'], []] AS b, [1, NULL] AS c, (1, 'x', [2.5]) AS d, [] AS e, [(1, 'a'), (2, 'b')] AS "
        "f",
        "SELECT CAST(arrayJoin(['x', 'y', 'x']), 'LowCardinality(String)') AS a, CAST(NULL, "
        "'LowCardinality(Nullable(String))') AS b",
        "SELECT number AS a, toString(number) AS b, intDiv(number, 3) * -1 AS c FROM system.numbers LIMIT 70000",
    };
    const std::string settings = "allow_experimental_low_cardinality_type=1&output_format_json_quote_64bit_integers=0";
    for (const auto& query : queries) {
        const auto ours = read({query, {}, {"allow_experimental_low_cardinality_type", "1"}});
        ASSERT_EQ(ours.code, "") << query << ": " << ours.message;
        std::string text;
        for (const auto& row : ours.rows) {
            text += row + '\n';
        }
        EXPECT_EQ(text, ask(query + " FORMAT JSONEachRow", settings)) << query;
    }
    // A time has no zone in the server's JSON.
    const auto time = read({"SELECT toDateTime('2026-11-21 18:00:01', 'Europe/Kiev') AS a"});
    EXPECT_EQ(time.rows.at(0), R"({"a":"2026-11-21T16:00:01.000Z"})");
}

// 18.16 has RowBinary without its head: with one put before it, the rows are those of Native.
TEST(ClickHouse, RowBinaryIsTheSame) {
    const std::pair<std::string, std::vector<std::string>> queries[] = {
        {"SELECT toInt8(-128) AS a, 18446744073709551615 AS b, toFloat32(0.1) AS c, toFixedString('abc', 5) AS d, "
         "toDecimal128('-1234567890123456789012345678.0123456789', 10) AS e, toDate('2026-11-21') AS f, "
         "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS g, toDateTime('2026-11-21 18:00:01', 'UTC') AS h",
         {"Int8", "UInt64", "Float32", "FixedString(5)", "Decimal(38,10)", "Date", "UUID", "DateTime"}},
        {"SELECT number AS a, toString(number) AS b, if(number % 3 = 0, NULL, number) AS c, [toString(number), 'x'] AS "
         "d, "
         "(number, if(number % 2 = 0, NULL, 'y')) AS e, CAST(number % 2, 'Enum8(\\'a\\' = 0, \\'b\\' = 1)') AS f FROM "
         "system.numbers LIMIT 70000",
         {"UInt64",
          "String",
          "Nullable(UInt64)",
          "Array(String)",
          "Tuple(UInt64, Nullable(String))",
          "Enum8('a' = 0, 'b' = 1)"}},
    };
    for (const auto& [query, types] : queries) {
        const auto wanted = read({query});
        ASSERT_EQ(wanted.code, "") << wanted.message;
        std::string bytes(1, static_cast<char>(types.size()));
        for (const auto& field : wanted.schema.fields) {
            bytes += static_cast<char>(field.name.size()) + field.name;
        }
        for (const auto& type : types) {
            bytes += static_cast<char>(type.size()) + type;
        }
        bytes += ask(query + " FORMAT RowBinary");
        source::clickhouse::ByteReader in([rest = std::string_view(bytes)]() mutable {
            const auto piece = rest.substr(0, 8191);
            rest.remove_prefix(piece.size());
            return piece;
        });
        source::clickhouse::RowBinaryDecoder decoder(in, {});
        std::vector<std::string> rows;
        for (data::Batch batch; decoder.next_block(batch);) {
            const data::JsonEncoder encoder(batch.schema());
            for (std::size_t row = 0; row < batch.rows(); ++row) {
                data::Buffer<char> text;
                encoder.append_object(text, batch, row);
                rows.emplace_back(data::view(text));
            }
        }
        EXPECT_EQ(rows.size(), wanted.rows.size());
        EXPECT_TRUE(rows == wanted.rows) << query;
    }
    const auto refused = read({"SELECT 1 AS a", {{"format", "row_binary"}}});
    EXPECT_EQ(refused.code, "source.query") << "18.16 has no RowBinaryWithNamesAndTypes";
}

TEST(ClickHouse, EmptyDictionariesInArrays) {
    const auto out = read(
        {"SELECT CAST([], 'Array(LowCardinality(String))') AS a, number AS b FROM system.numbers LIMIT 2",
         {},
         {"allow_experimental_low_cardinality_type", "1"}}
    );
    EXPECT_EQ(out.rows, (std::vector<std::string>{R"({"a":[],"b":0})", R"({"a":[],"b":1})"})) << out.message;
}

TEST(ClickHouse, EmptyResultKeepsItsColumns) {
    const auto out = read({"SELECT number AS n, toString(number) AS s FROM system.numbers WHERE 0 LIMIT 1 -- end"});
    ASSERT_EQ(out.code, "") << out.message;
    ASSERT_EQ(out.schema.size(), 2U);
    EXPECT_EQ(out.schema.fields[0].kind, data::Kind::uint64);
    EXPECT_EQ(out.schema.fields[1].name, "s");
}

TEST(ClickHouse, BatchesStaySmall) {
    const auto out = read(
        {"SELECT number AS n, toString(number) AS s, toString(cityHash64(number)) AS h FROM system.numbers LIMIT "
         "2000000",
         {},
         {}},
        std::nullopt,
        false
    );
    EXPECT_EQ(out.count, 2'000'000U) << out.message;
    EXPECT_LE(out.largest_batch, 2 * data::target_batch_bytes);
}

TEST(ClickHouse, Refusals) {
    EXPECT_EQ(read({"SELECT 1 FROM nope"}).code, "source.query");
    EXPECT_NE(read({"SELECT 1 FROM nope"}).message.find("nope doesn't exist"), std::string::npos);
    EXPECT_EQ(read({"SELEC 1"}).code, "source.query");
    EXPECT_EQ(read({"SELECT 1", {}, {"no_such_setting", "1"}}).code, "source.query");
    const auto wrong = read({"SELECT 1"}, Access{"headrace", "hunter2"});
    EXPECT_EQ(wrong.code, "source.auth");
    EXPECT_EQ(wrong.kind, ErrorKind::unauthorized);
    EXPECT_EQ(wrong.message.find("hunter2"), std::string::npos);
    EXPECT_EQ(read({"SELECT 1"}, Access{"nobody", "x"}).code, "source.auth");
    EXPECT_EQ(read({"SELECT sumState(toUInt8(1)) AS s"}).code, "source.unsupported");
}

// More than a megabyte has been made when the query fails: without wait_end_of_query the status is 200 by then, and on
// this server the body even ends properly.
TEST(ClickHouse, AFailureAfterTheFirstMegabyte) {
    const std::string query = "SELECT number, throwIf(number >= 1500000) AS t FROM system.numbers LIMIT 2000000";
    const auto waited = read({query}, std::nullopt, false);
    EXPECT_EQ(waited.code, "source.query");
    EXPECT_EQ(waited.count, 0U);
    const auto streamed = read({query, {{"wait_end_of_query", "false"}}}, std::nullopt, false);
    EXPECT_EQ(streamed.code, "source.incomplete");
    EXPECT_EQ(streamed.kind, ErrorKind::transient);
    EXPECT_GT(streamed.count, 100'000U);
    EXPECT_NE(streamed.message.find("throwIf"), std::string::npos) << streamed.message;
}

TEST(ClickHouse, CompressedItIsTheSame) {
    const std::string query =
        "SELECT number AS n, concat('the same words ', toString(number)) AS s FROM "
        "system.numbers LIMIT 300000";
    const auto plain = read({query});
    const auto packed = read({query, {{"compress", "true"}}});
    ASSERT_EQ(packed.code, "") << packed.message;
    EXPECT_TRUE(plain.rows == packed.rows);
    EXPECT_LT(packed.wire_bytes * 2, plain.wire_bytes);
    for (const std::string wait : {"true", "false"}) {
        const auto late = read(
            {"SELECT number, throwIf(number >= 1500000) AS t FROM system.numbers LIMIT 2000000",
             {{"wait_end_of_query", wait}, {"compress", "true"}}},
            std::nullopt,
            false
        );
        EXPECT_EQ(late.code, wait == "true" ? "source.query" : "source.incomplete") << late.message;
        EXPECT_NE(late.message.find("throwIf"), std::string::npos) << late.message;
    }
}

// readonly=1: no setting may be sent, so it is read without, compression too. That the answer waits for its end is
// none.
TEST(ClickHouse, AUserThatMaySetNothing) {
    const Access strict{"strict", support::servers().clickhouse().reader_password().reveal()};
    const std::string query = "SELECT number AS n, toString(number) AS s FROM system.numbers LIMIT 300000";
    const auto all = read({query});
    const auto out = read({query, {{"compress", "true"}}}, strict);
    ASSERT_EQ(out.code, "") << out.message;
    EXPECT_TRUE(out.rows == all.rows);
    EXPECT_GT(out.wire_bytes * 2, all.wire_bytes);  // compression is a setting
    const auto with_settings = read({"SELECT 1", {}, {"max_threads", "1"}}, strict);
    EXPECT_EQ(with_settings.code, "source.query");
    EXPECT_NE(with_settings.message.find("readonly=1"), std::string::npos) << with_settings.message;
    const auto late =
        read({"SELECT number, throwIf(number >= 1500000) AS t FROM system.numbers LIMIT 2000000"}, strict, false);
    EXPECT_EQ(late.code, "source.query") << late.message;
    EXPECT_EQ(late.count, 0U);
}

TEST(ClickHouse, TheServersTimeout) {
    const std::string query = "SELECT sum(sipHash64(number)) AS s FROM system.numbers";
    const auto out = read({query, {}, {"max_execution_time", "1"}});
    EXPECT_EQ(out.code, "source.timeout") << out.message;
    EXPECT_EQ(out.kind, ErrorKind::transient);
}

TEST(ClickHouse, KilledFromOutside) {
    for (const std::string wait : {"true", "false"}) {
        const std::string mark = "killed_from_outside_" + wait;
        std::thread killer([&] {
            EXPECT_TRUE(soon([&] { return running(mark) > 0; }));
            ask("KILL QUERY WHERE query LIKE '%" + mark + "%' AND query NOT LIKE 'KILL%' ASYNC");
        });
        const auto out = read(
            {"SELECT number, sleepEachRow(0.0001) AS " + mark +
                 " FROM (SELECT number FROM system.numbers LIMIT 400000)",
             {{"wait_end_of_query", wait}, {"max_block_size", "2000"}}},
            std::nullopt,
            false
        );
        killer.join();
        EXPECT_EQ(out.code, "source.incomplete") << out.message;
        EXPECT_EQ(out.kind, ErrorKind::transient);
    }
}

// Silent aggregation, silent wait, and rows that flow: cancelled within a second, and nothing runs on at the server.
TEST(ClickHouse, CancelStopsTheQueryAtTheServer) {
    const std::tuple<std::string, std::string, std::string> cases[] = {
        {"cancel_aggregation", "SELECT sum(sipHash64(number)) AS cancel_aggregation FROM system.numbers", "true"},
        {"cancel_wait", "SELECT number AS cancel_wait FROM system.numbers", "true"},
        {"cancel_stream", "SELECT number AS cancel_stream FROM system.numbers", "false"}};
    for (const auto& [mark, query, wait] : cases) {
        StopSource stop;
        steady_clock::time_point asked;
        std::thread canceller([&, mark = mark] {
            EXPECT_TRUE(soon([&] { return running(mark) > 0; }));
            asked = steady_clock::now();
            stop.request_stop("cancelled by a test");
        });
        Wish wish{query, {{"wait_end_of_query", wait}}, {}, stop.token(), Deadline::in(seconds(60))};
        const auto out = read(wish, std::nullopt, false);
        const auto took = steady_clock::now() - asked;
        canceller.join();
        EXPECT_EQ(out.code, "net.cancelled") << out.message;
        EXPECT_LT(took, seconds(1)) << mark;
        EXPECT_TRUE(soon([&] { return running(mark) == 0; }, seconds(5))) << mark;
    }
}

// A source that is thrown away in the middle of its rows.
TEST(ClickHouse, AnAbandonedQueryIsKilled) {
    {
        const auto source =
            open_source({"SELECT number AS abandoned FROM system.numbers", {{"wait_end_of_query", "false"}}});
        data::Batch batch(source->query());
        ASSERT_TRUE(source->next(batch));
        EXPECT_EQ(running("abandoned"), 1U);
    }
    EXPECT_TRUE(soon([] { return running("abandoned") == 0; }, seconds(5)));
}

}  // namespace
}  // namespace headrace
