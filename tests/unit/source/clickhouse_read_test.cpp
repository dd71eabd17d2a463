// The source against a scripted server: what makes a read complete, and what each failure becomes.
#include "base/error.hpp"
#include "fake_clickhouse.hpp"
#include "source/clickhouse/clickhouse.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

namespace headrace::source::clickhouse {
namespace {

using test::chunked;
using test::FakeAnswer;
using test::FakeClickHouse;
using test::FakeRequest;
using test::head;
using test::text_answer;

const std::string tag = "abcdefghijklmnop";
const std::string tag_header = "X-ClickHouse-Exception-Tag: " + tag + "\r\n";

// Rows of one UInt8 column `n`.
std::string block(std::string_view values) {
    return "\x01" + std::string(1, static_cast<char>(values.size())) + "\x01n\x05UInt8" + std::string(values);
}

std::string tagged(std::string_view message) {
    return "\r\n__exception__\r\n" + tag + "\r\n" + std::string(message) + "\n" + std::to_string(message.size()) + " " +
           tag + "\r\n__exception__\r\n";
}

FakeAnswer rows_answer(const std::string& body, const std::string& headers = "") {
    return text_answer(200, body, headers);
}

struct Outcome {
    std::string rows;  // values as digits
    std::string code;  // "" = complete
    ErrorKind kind = ErrorKind::bug;
    std::string message;
    std::string hint;
    pipeline::Completeness proof;
    std::vector<std::size_t> batches;
};

struct Options {
    StopToken stop;
    Deadline deadline = Deadline::in(std::chrono::seconds(20));
    std::map<std::string, std::string> values;
    std::vector<std::string> settings;
    std::map<std::string, std::vector<std::string>> lists = {};
};

std::unique_ptr<pipeline::Source> make(const std::string& url, const Options& with) {
    pipeline::Part part;
    part.type = "clickhouse";
    part.options.values["query"] = "SELECT n FROM t";
    for (const auto& [name, value] : with.values) {
        part.options.values[name] = value;
    }
    if (!with.settings.empty()) {
        part.options.lists["settings"] = with.settings;
    }
    part.options.lists.insert(with.lists.begin(), with.lists.end());
    pipeline::Credential credential;
    credential.name = "ch";
    credential.settings["url"] = url;
    credential.secret = Secret("sesame");
    credential.allowed_hosts = {"127.0.0.1"};
    return type().make(part, credential);
}

Outcome run(const std::string& url, const Options& with = {}) {
    Outcome out;
    const auto source = make(url, with);
    try {
        source->connect({with.stop, with.deadline, "run", "attempt", nullptr});
        const auto schema = source->query();
        data::Batch batch;
        for (;;) {
            batch.reset(schema);
            if (!source->next(batch)) {
                break;
            }
            EXPECT_EQ(batch.first_row, out.rows.size());
            EXPECT_GT(batch.rows(), 0U);
            out.batches.push_back(batch.rows());
            for (std::size_t row = 0; row < batch.rows(); ++row) {
                out.rows += static_cast<char>('0' + batch.column(0).int64(row) % 10);
            }
        }
        out.proof = source->completeness();
    } catch (const Error& error) {
        out.code = error.code();
        out.kind = error.kind();
        out.message = error.what();
        out.hint = error.hint();
    }
    return out;
}

TEST(ClickHouseRead, CompleteAndProven) {
    FakeClickHouse server([](const FakeRequest& request) {
        EXPECT_TRUE(
            request.has("default_format=Native") && request.has("wait_end_of_query=1") &&
            request.has("query_id=headrace-attempt-1")
        );
        EXPECT_TRUE(request.has("result_overflow_mode=throw") && request.has("max_execution_time="));
        EXPECT_NE(request.headers.find("X-ClickHouse-Key: sesame"), std::string::npos);
        EXPECT_FALSE(request.has("sesame"));
        return rows_answer(block("\1\2") + block("\3"), tag_header);
    });
    const auto out = run(server.url());
    EXPECT_EQ(out.code, "") << out.message;
    EXPECT_EQ(out.rows, "123");
    EXPECT_EQ(out.proof.rows, 3U);
    EXPECT_EQ(out.proof.bytes, 23U);
    EXPECT_NE(out.proof.proof.find("2 blocks"), std::string::npos);
    EXPECT_NE(out.proof.proof.find("26.7.2.1"), std::string::npos);
    EXPECT_EQ(server.count("KILL"), 0U);
}

TEST(ClickHouseRead, ParametersNeedAServerThatKnowsThem) {
    const auto answer = [](const FakeRequest& request) {
        EXPECT_TRUE(request.has("param_who=a%5Cnb")) << request.target;
        return rows_answer(block("\1"), tag_header);
    };
    Options with;
    with.lists["parameters"] = {"who", "a\nb"};
    FakeClickHouse current(answer);
    EXPECT_EQ(run(current.url(), with).rows, "1");
    FakeClickHouse old(answer, "18.16.1\t0\n");
    const auto out = run(old.url(), with);
    EXPECT_EQ(out.code, "source.query");
    EXPECT_NE(out.hint.find("19.14"), std::string::npos) << out.hint;
    EXPECT_EQ(old.requests().size(), 1U) << "the query was not sent";
}

TEST(ClickHouseRead, RowBinary) {
    FakeClickHouse server([](const FakeRequest& request) {
        EXPECT_TRUE(request.has("default_format=RowBinaryWithNamesAndTypes") && request.has("wait_end_of_query=1"))
            << request.target;
        return rows_answer("\x01\x01n\x05UInt8\1\2\3", "X-ClickHouse-Format: RowBinaryWithNamesAndTypes\r\n");
    });
    Options with;
    with.values["format"] = "row_binary";
    auto out = run(server.url(), with);
    EXPECT_EQ(out.rows, "123") << out.message;
    EXPECT_EQ(out.proof.rows, 3U);
    with.values["wait_end_of_query"] = "false";
    EXPECT_THROW(make(server.url(), with), Error);
    with.values.erase("wait_end_of_query");
    FakeClickHouse empty([](const FakeRequest&) { return rows_answer("\x01\x01n\x05UInt8"); });
    out = run(empty.url(), with);
    EXPECT_EQ(out.code + out.rows, "");
    EXPECT_EQ(empty.count("DESCRIBE"), 0U) << "the head has the columns";
}

TEST(ClickHouseRead, CompressionIsAskedForWhereItMayBe) {
    bool asked = false;
    FakeClickHouse server([&](const FakeRequest& request) {
        asked = request.has("enable_http_compression=1") &&
                request.headers.find("Accept-Encoding: gzip") != std::string::npos;
        return rows_answer(block("\1"), tag_header);
    });
    EXPECT_EQ(run(server.url()).rows, "1");
    EXPECT_FALSE(asked);
    Options with;
    with.values["compress"] = "true";
    EXPECT_EQ(run(server.url(), with).rows, "1");
    EXPECT_TRUE(asked);
    FakeClickHouse bound(
        [](const FakeRequest& request) {
            EXPECT_FALSE(request.has("enable_http_compression"));
            return rows_answer(block("\1"), tag_header);
        },
        "26.7.2.1\t1\n"
    );
    EXPECT_EQ(run(bound.url(), with).rows, "1") << "readonly=1: without";
}

// Every dialect of a late failure, cut into chunks of every size, with and without a proper end of the body.
TEST(ClickHouseRead, LateFailuresAreIncomplete) {
    const std::string old_text = "Code: 395, e.displayText() = DB::Exception: It broke, e.what() = DB::Exception\n";
    const std::string new_text = "Code: 395. DB::Exception: It broke. (X) (version 26.1)";
    const std::tuple<std::string, std::string> dialects[] = {
        {old_text, ""}, {"__exception__\r\n" + new_text, ""}, {tagged(new_text), tag_header}};
    for (const auto& [late, headers] : dialects) {
        for (const std::string& before : {block("\1\2"), block("\1\2") + block("\1\2").substr(0, 8), std::string()}) {
            for (const std::size_t piece : {1, 7, 16, 1000}) {
                for (const bool end : {true, false}) {
                    FakeClickHouse server([&, piece = piece, end = end](const FakeRequest& request) -> FakeAnswer {
                        if (request.sql.starts_with("KILL")) {
                            return text_answer(200, "");
                        }
                        return {head(200, headers) + chunked(before + late, piece, end), true, false};
                    });
                    const auto out = run(server.url());
                    ASSERT_EQ(out.code, "source.incomplete") << out.message;
                    ASSERT_EQ(out.kind, ErrorKind::transient);
                    ASSERT_NE(out.message.find("It broke"), std::string::npos)
                        << out.message << " piece " << piece << " end " << end;
                }
            }
        }
    }
}

TEST(ClickHouseRead, LateTimeoutAndMemory) {
    for (const auto& [number, code] :
         {std::pair("159", "source.timeout"), {"241", "source.unavailable"}, {"394", "source.incomplete"}}) {
        FakeClickHouse server([&, number = number](const FakeRequest&) {
            return rows_answer(
                block("\1") + "Code: " + number + ", e.displayText() = DB::Exception: no, e.what() = DB::Exception"
            );
        });
        EXPECT_EQ(run(server.url()).code, code);
    }
}

TEST(ClickHouseRead, ExceptionCodeHeaderWithStatus200) {
    FakeClickHouse server([](const FakeRequest&) {
        return rows_answer(block("\1"), "X-ClickHouse-Exception-Code: 159\r\n");
    });
    EXPECT_EQ(run(server.url()).code, "source.timeout");
}

// A block of the tag's form that ends a body which HTTP calls complete, between two blocks or not.
TEST(ClickHouseRead, DataThatLooksLikeAnException) {
    const std::string fake =
        "\r\n__exception__\r\nAAAAAAAAAAAAAAAA\r\nCode: 1. DB::Exception: no\n1 AAAAAAAAAAAAAAAA\r\n__exception__\r\n";
    const std::string text = "\x01\x01\x01n\x06String" + std::string(1, static_cast<char>(fake.size())) + fake;
    FakeClickHouse server([&](const FakeRequest&) { return rows_answer(text, tag_header); });
    pipeline::Completeness proof;
    const auto source = make(server.url(), {});
    source->connect({{}, Deadline::in(std::chrono::seconds(20)), "", "", nullptr});
    data::Batch batch(source->query());
    ASSERT_TRUE(source->next(batch));
    EXPECT_EQ(batch.column(0).text(0), fake);
    batch.reset(batch.schema());
    EXPECT_FALSE(source->next(batch));
}

TEST(ClickHouseRead, ACutBodyIsIncompleteAndTheQueryIsKilled) {
    const auto whole = block("\1\2") + block("\3\4");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        FakeClickHouse server([&](const FakeRequest& request) -> FakeAnswer {
            return request.sql.starts_with("KILL")
                       ? text_answer(200, "")
                       : FakeAnswer{head(200) + chunked(whole.substr(0, size), 1000, false), true, false};
        });
        const auto out = run(server.url());
        ASSERT_EQ(out.code, "source.incomplete") << "cut at " << size << ": " << out.message;
        ASSERT_EQ(server.count("KILL QUERY WHERE query_id = 'headrace-attempt-1' ASYNC"), 1U);
    }
    // Cut between blocks, with a proper end of the body: nothing can tell, and that is why the server is asked to wait.
    FakeClickHouse no_framing([&](const FakeRequest& request) -> FakeAnswer {
        return request.sql.starts_with("KILL") ? text_answer(200, "")
                                               : FakeAnswer{"HTTP/1.1 200 OK\r\n\r\n" + whole, true, false};
    });
    EXPECT_EQ(run(no_framing.url()).code, "source.incomplete");
}

TEST(ClickHouseRead, SettingsGiveWay) {
    FakeClickHouse readonly([](const FakeRequest& request) {
        return request.has("max_block_size")
                   ? text_answer(
                         500,
                         "Code: 164, e.displayText() = DB::Exception: Cannot override setting, e.what() = DB::Exception"
                     )
                   : rows_answer(block("\1"));
    });
    EXPECT_EQ(run(readonly.url()).rows, "1");
    EXPECT_EQ(run(readonly.url(), {.settings = {"max_threads", "1"}}).code, "source.query");

    FakeClickHouse known(
        [](const FakeRequest& request) {
            EXPECT_FALSE(
                request.has("overflow_mode") || request.has("max_block_size") || request.has("max_execution_time")
            );
            return rows_answer(block("\1"));
        },
        "18.16.1\t1\n"
    );
    EXPECT_EQ(run(known.url()).rows, "1");
    EXPECT_EQ(run(known.url(), {.settings = {"max_threads", "1"}}).code, "source.query");

    FakeClickHouse unknown([](const FakeRequest& request) {
        for (const std::string name : {"join_overflow_mode", "set_overflow_mode"}) {
            if (request.has(name)) {
                return text_answer(404, "Code: 115. DB::Exception: Unknown setting " + name + " (UNKNOWN_SETTING)");
            }
        }
        EXPECT_TRUE(request.has("query_id=headrace-attempt-3") && request.has("max_block_size"));
        return rows_answer(block("\1"));
    });
    EXPECT_EQ(run(unknown.url()).rows, "1");

    FakeClickHouse users([](const FakeRequest&) {
        return text_answer(404, "Code: 115. DB::Exception: Unknown setting max_treads");
    });
    EXPECT_EQ(run(users.url(), {.settings = {"max_treads", "1"}}).code, "source.query");
}

TEST(ClickHouseRead, Refusals) {
    const std::tuple<int, std::string, std::string, ErrorKind> table[] = {
        {404, "Code: 60. DB::Exception: Unknown table nope. (UNKNOWN_TABLE)", "source.query", ErrorKind::permanent},
        {403, "Code: 516. DB::Exception: etl: Authentication failed", "source.auth", ErrorKind::unauthorized},
        {500, "Code: 202. DB::Exception: Too many simultaneous queries", "source.unavailable", ErrorKind::transient},
        {502, "<html>Bad Gateway</html>", "source.unavailable", ErrorKind::transient},
        {302, "", "source.unavailable", ErrorKind::permanent}};
    for (const auto& [status, body, code, kind] : table) {
        FakeClickHouse server([&, status = status, body = body](const FakeRequest&) {
            return text_answer(status, body, "Location: http://127.0.0.1:1/\r\n");
        });
        const auto out = run(server.url());
        EXPECT_EQ(out.code, code) << out.message;
        EXPECT_EQ(out.kind, kind);
        EXPECT_EQ(server.count("KILL"), 0U);
        EXPECT_EQ(out.message.find("sesame"), std::string::npos);
    }
    FakeClickHouse not_clickhouse([](const FakeRequest&) { return text_answer(200, ""); }, "<html>\n");
    EXPECT_EQ(run(not_clickhouse.url()).code, "source.unavailable");
    EXPECT_EQ(run("http://127.0.0.1:1").code, "source.unavailable");
    FakeClickHouse other_format([](const FakeRequest&) { return rows_answer("{}", "X-ClickHouse-Format: JSON\r\n"); });
    EXPECT_EQ(run(other_format.url()).code, "source.query");
    FakeClickHouse json_of_old([](const FakeRequest&) {
        return rows_answer("{\"meta\": [ a long enough text for a name, which is no block at all ]}");
    });
    EXPECT_NE(
        run(json_of_old.url(), {.values = {{"query", "SELECT 1 format JSON"}}}).hint.find("FORMAT"), std::string::npos
    );
}

TEST(ClickHouseRead, EmptyResultsAreDescribed) {
    FakeClickHouse server([](const FakeRequest& request) {
        return request.sql.starts_with("DESCRIBE")
                   ? text_answer(200, "n\tUInt8\t\t\t\t\ncity\tLowCardinality(Nullable(String))\t\n")
                   : rows_answer("");
    });
    const auto source = make(server.url(), {});
    source->connect({{}, Deadline::in(std::chrono::seconds(20)), "", "", nullptr});
    const auto schema = source->query();
    ASSERT_EQ(schema.size(), 2U);
    EXPECT_TRUE(schema.fields[1].nullable);
    data::Batch batch(schema);
    EXPECT_FALSE(source->next(batch));
    EXPECT_FALSE(source->next(batch));
    EXPECT_EQ(source->completeness().rows, 0U);
}

TEST(ClickHouseRead, LargeBlocksAreHandedOnInPieces) {
    std::string values(1'000'000, '\0');
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<char>(i % 251);
    }
    std::string bytes = "\x01" + std::string("\xc0\x84\x3d", 3) + "\x01n\x05UInt8" + values;
    FakeClickHouse server([&](const FakeRequest&) { return rows_answer(bytes + bytes); });
    const auto out = run(server.url());
    ASSERT_EQ(out.code, "") << out.message;
    ASSERT_EQ(out.rows.size(), 2'000'000U);
    EXPECT_GE(out.batches.size(), 14U);
    for (const auto rows : out.batches) {
        EXPECT_LE(rows * 8, 2 * data::target_batch_bytes);
    }
    for (std::size_t i = 0; i < out.rows.size(); ++i) {
        ASSERT_EQ(out.rows[i], static_cast<char>('0' + i % 1'000'000 % 251 % 10)) << i;
    }
    EXPECT_EQ(run(server.url(), {.values = {{"max_block_bytes", "1048576"}}}).code, "source.bad_data");
}

TEST(ClickHouseRead, CancelIsImmediateAndKillsTheQuery) {
    for (const bool in_body : {false, true}) {
        StopSource stop;
        FakeClickHouse server([&](const FakeRequest& request) -> FakeAnswer {
            if (request.sql.starts_with("KILL")) {
                return text_answer(200, "");
            }
            stop.request_stop("cancelled by test");
            return {in_body ? head(200) + chunked(block("\1"), 1000, false) : "", false, true};
        });
        Options options;
        options.stop = stop.token();
        const auto begin = std::chrono::steady_clock::now();
        const auto out = run(server.url(), options);
        EXPECT_EQ(out.code, "net.cancelled");
        EXPECT_EQ(out.kind, ErrorKind::cancelled);
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
        EXPECT_EQ(server.count("KILL QUERY WHERE query_id = 'headrace-attempt-1' ASYNC"), 1U);
    }
}

TEST(ClickHouseRead, TheDeadlineIsATimeout) {
    FakeClickHouse server([](const FakeRequest& request) -> FakeAnswer {
        return request.sql.starts_with("KILL") ? text_answer(200, "") : FakeAnswer{"", false, true};
    });
    Options options;
    options.deadline = Deadline::in(std::chrono::milliseconds(300));
    const auto out = run(server.url(), options);
    EXPECT_EQ(out.code, "source.timeout") << out.message;
    EXPECT_EQ(out.kind, ErrorKind::transient);
    EXPECT_EQ(server.count("KILL"), 1U);
}

}  // namespace
}  // namespace headrace::source::clickhouse
