// Pages and values of BigQuery, without a network.
#include "base/error.hpp"
#include "data/json.hpp"
#include "source/bigquery/decode.hpp"
#include "source/bigquery/page.hpp"
#include "source/bigquery/refusal.hpp"
#include "source/bigquery/values.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace headrace::source::bigquery {
namespace {

const std::string page_head =
    R"({"schema":{"fields":[{"name":"a","type":"INTEGER"},{"name":"b","type":"STRING"},{"name":"c","type":"RECORD","mode":"REPEATED","fields":[{"name":"d","type":"BOOL"}]}]},"jobReference":{"jobId":"j"},"totalRows":"3","pageToken":"next","note":"\"rows\":[","rows":[)";
const std::string page_rows[] = {
    R"({"f":[{"v":"1"},{"v":"x},{\"f\":["},{"v":[]}]})",
    R"({"f":[{"v":null},{"v":"]}\\"},{"v":[{"v":{"f":[{"v":"true"}]}},{"v":{"f":[{"v":null}]}}]}]})",
    R"({"f":[{"v":"-3"},{"v":"\u0416\n"},{"v":[{"v":{"f":[{"v":"false"}]}}]}]})"};
const std::string page_tail = R"(],"jobComplete":true})";
const std::string page_text = page_head + page_rows[0] + "," + page_rows[1] + "," + page_rows[2] + page_tail;
const std::string page_json = R"({"a":1,"b":"x},{\"f\":[","c":[]})"
                              "\n"
                              R"({"a":null,"b":"]}\\","c":[{"d":true},{"d":null}]})"
                              "\n"
                              "{\"a\":-3,\"b\":\"Ж\\n\",\"c\":[{\"d\":false}]}\n";

struct Taken {
    std::string rows;
    std::uint64_t hash = 0;
    std::size_t windows = 0;
    Envelope envelope;
};

// The body in pieces of `step` bytes.
Taken take_page(PageReader& reader, std::string_view body, std::size_t step) {
    reader.begin([body, step]() mutable {
        const auto piece = body.substr(0, step);
        body.remove_prefix(piece.size());
        return piece;
    });
    Taken out;
    const auto columns = parse_envelope(page_head + "]}").columns.value();
    RowDecoder decoder(columns);
    data::Batch batch(schema_of(columns));
    PageMark mark;
    while (const auto window = reader.next()) {
        decoder.decode(*window, 0, batch.rows(), batch, mark);
        ++out.windows;
    }
    const data::JsonEncoder encoder(batch.schema());
    data::Buffer<char> text;
    for (std::size_t row = 0; row < batch.rows(); ++row) {
        encoder.append_object(text, batch, row);
        text.push_back('\n');
    }
    out.rows = data::view(text);
    out.hash = mark.hash;
    out.envelope = reader.envelope();
    return out;
}

TEST(BigQueryPage, IsTheSameInPiecesOfEverySize) {
    PageReader reader(1 << 20);
    const auto whole = take_page(reader, page_text, page_text.size());
    EXPECT_EQ(whole.rows, page_json);
    EXPECT_TRUE(whole.envelope.complete);
    EXPECT_EQ(whole.envelope.page_token, "next");
    EXPECT_EQ(whole.envelope.job_id, "j");
    EXPECT_EQ(whole.envelope.total_rows, 3U);
    for (std::size_t step = 1; step < page_text.size(); ++step) {
        const auto taken = take_page(reader, page_text, step);
        ASSERT_EQ(taken.rows, page_json) << step;
        ASSERT_EQ(taken.hash, whole.hash) << step;
    }
}

TEST(BigQueryPage, MayBeWrittenWithBlanksAndOtherOrder) {
    PageReader reader(1 << 20);
    std::string pretty;
    bool in_text = false;
    for (std::size_t i = 0; i < page_text.size(); ++i) {
        const char c = page_text[i];
        pretty += c;
        if (c == '"' && page_text[i - 1] != '\\') {
            in_text = !in_text;
        }
        if (!in_text && std::string_view("{}[],:").find(c) != std::string_view::npos) {
            pretty += "\r\n \t";
        }
    }
    for (const std::size_t step : {1U, 2U, 3U, 5U, 64U, 4096U}) {
        EXPECT_EQ(take_page(reader, pretty, step).rows, page_json) << step;
    }
    const auto late = R"({"rows" : [ )" + page_rows[2] + R"( ] , "jobComplete":true,"pageToken":"late"})";
    EXPECT_EQ(take_page(reader, late, 7).envelope.page_token, "late");
    EXPECT_EQ(take_page(reader, R"({"jobComplete":true,"rows":[]})", 5).rows, "");
    EXPECT_EQ(take_page(reader, R"({"jobComplete":true,"rows":[ ]})", 1).rows, "");
    EXPECT_EQ(take_page(reader, R"({"jobComplete":true,"rows":null})", 1).rows, "");
    EXPECT_EQ(take_page(reader, R"({"jobComplete":true})", 3).rows, "");
}

// The pages of a result are larger than a window.
TEST(BigQueryPage, OfManyWindows) {
    std::string body = page_head;
    for (int i = 0; i < 30'000; ++i) {
        body += (i == 0 ? "" : ",") + page_rows[i % 3];
    }
    body += page_tail;
    PageReader reader(1 << 20);
    const auto whole = take_page(reader, body, 100'000);
    EXPECT_GT(whole.windows, 5U);
    EXPECT_EQ(std::count(whole.rows.begin(), whole.rows.end(), '\n'), 30'000);
    EXPECT_EQ(take_page(reader, body, 777).hash, whole.hash);
}

TEST(BigQueryPage, CutAtEveryByteIsNeverWhole) {
    PageReader reader(1 << 20);
    for (std::size_t size = 0; size < page_text.size(); ++size) {
        for (const std::size_t step : {page_text.size(), std::size_t{11}}) {
            try {
                take_page(reader, std::string_view(page_text).substr(0, size), step);
                FAIL() << "a page of " << size << " bytes was taken for a whole one";
            } catch (const Error& error) {
                ASSERT_EQ(error.code(), "source.incomplete") << size << ": " << error.what();
            }
        }
    }
}

TEST(BigQueryPage, WhatIsNoPageIsRefused) {
    PageReader reader(1 << 20);
    const std::string bad[] = {
        page_head + page_rows[0] + "," + page_tail,
        page_head + page_rows[0] + "," + page_rows[1] + ", " + page_tail,
        page_head + "," + page_rows[0] + page_tail,
        page_head + page_rows[0] + page_rows[1] + page_tail,
        page_head + page_rows[0] + "x" + page_tail,
        page_head + "1" + page_tail,
        page_head + "null" + page_tail,
        page_head + R"({"f":[{"v":"1"},{"v":"x"}]})" + page_tail,
        page_head + R"({"f":[{"v":"1"},{"v":"x"},{"v":[]},{"v":"1"}]})" + page_tail,
        page_head + R"({"g":[]})" + page_tail,
        page_head + R"({"f":[{"w":"1"},{"v":"x"},{"v":[]}]})" + page_tail,
        page_head + R"({"f":[{"v":"1","v":"2"},{"v":"x"},{"v":[]}]})" + page_tail,
        page_head + R"({"f":[{"v":"1"},{"v":"\x"},{"v":[]}]})" + page_tail,
        page_head + R"({"f":[{"v":"1"},{"v":"\ud800"},{"v":[]}]})" + page_tail,
        page_head + "{\"f\":[{\"v\":\"1\"},{\"v\":\"a\nb\"},{\"v\":[]}]}" + page_tail,
        page_head + R"({"f":[{"v":"1"},{"v":"x"},{"v":{}}]})" + page_tail,
        page_head + R"({"f":[{"v":"1"},{"v":"x"},{"v":[{"v":{"f":[]}}]}]})" + page_tail,
        page_head + page_rows[0] + R"(],"rows":[],"jobComplete":true})",
        page_head + page_rows[0] + "]]}",
        page_text + "{}",
        R"({"rows":{"f":[]},"jobComplete":true})",
        R"({"rows":"all of them"})",
        "[]",
        "}",
        "nothing",
    };
    for (const auto& text : bad) {
        try {
            take_page(reader, text, 13);
            ADD_FAILURE() << "taken: " << text.substr(std::min(text.size(), page_head.size() - 8));
        } catch (const Error& error) {
            EXPECT_TRUE(error.code() == "source.bad_data" || error.code() == "source.incomplete") << error.what();
        }
    }
}

TEST(BigQueryValues, TimestampsInEveryFormThatWasSeen) {
    const std::pair<std::string_view, std::optional<std::int64_t>> cases[] = {
        {"1700000000123456", 1700000000123456},
        {"0", 0},
        {"-62135596800000000", -62135596800000000},
        {"1.7E9", 1700000000000000},
        {"1.67899E9", 1678990000000000},
        {"1700000000.123456", 1700000000123456},
        {"1.700000000123456E9", 1700000000123456},
        {"1.700000000123456E15", 1700000000123456},
        {"-6.21355968E10", -62135596800000000},
        {"0.0", 0},
        {"2023-11-14T22:13:20.123456Z", 1700000000123456},
        {"2023-11-14 22:13:20.123456 UTC", 1700000000123456},
        {"2023-11-14T22:13:20.123456000000Z", 1700000000123456},
        {"1700000000.1234567", std::nullopt},
        {"2023-11-14T22:13:20.123456789Z", std::nullopt},
        {"", std::nullopt},
        {"now", std::nullopt},
    };
    for (const auto& [text, micros] : cases) {
        EXPECT_EQ(parse_micros(text), micros) << text;
    }
}

TEST(BigQueryValues, NumbersAreExact) {
    std::string space;
    EXPECT_EQ(parse_digits("-12.30", space), "-12.30");
    EXPECT_EQ(parse_digits("1e-9", space), "0.000000001");
    EXPECT_EQ(parse_digits("1.5E3", space), "1500");
    EXPECT_EQ(parse_digits("007", space), "7");
    for (const auto* text : {"", "-", ".", "1.", "1.x", "NaN", "1 ", "--1", "0x1"}) {
        const auto digits = parse_digits(text, space);
        EXPECT_TRUE(!digits || *digits == "1") << text;
    }
    EXPECT_EQ(parse_integer("9223372036854775807"), INT64_MAX);
    EXPECT_EQ(parse_integer("9223372036854775808"), std::nullopt);
    EXPECT_EQ(parse_integer("1.0"), std::nullopt);
    EXPECT_EQ(parse_integer(" 1"), std::nullopt);
    EXPECT_TRUE(std::isnan(parse_double("NaN").value()));
    EXPECT_EQ(parse_double("-Infinity"), -HUGE_VAL);
    EXPECT_EQ(parse_double("1E400"), HUGE_VAL);
    EXPECT_EQ(parse_double("-1E-400"), 0.0);
    EXPECT_EQ(parse_double("5E-324"), 5e-324);
    EXPECT_EQ(parse_double("1,5"), std::nullopt);
}

TEST(BigQueryRefusal, ReasonsDecide) {
    const auto body = [](std::string_view reason) {
        return R"({"error":{"code":403,"message":"m","errors":[{"reason":")" + std::string(reason) + "\"}]}}";
    };
    EXPECT_TRUE(worth_repeating(parse_refusal(403, body("rateLimitExceeded"))));
    EXPECT_FALSE(worth_repeating(parse_refusal(403, body("quotaExceeded"))));
    EXPECT_FALSE(worth_repeating(parse_refusal(500, body("invalidQuery"))));
    EXPECT_TRUE(worth_repeating(parse_refusal(502, "<html>")));
    EXPECT_FALSE(worth_repeating(parse_refusal(501, "")));
    EXPECT_EQ(to_error(parse_refusal(403, body("quotaExceeded")), "x").kind(), ErrorKind::permanent);
    EXPECT_EQ(to_error(parse_refusal(403, body("rateLimitExceeded")), "x").kind(), ErrorKind::transient);
    EXPECT_EQ(parse_refusal(401, R"({"error":{"code":401,"status":"UNAUTHENTICATED"}})").reason, "authError");
    EXPECT_EQ(parse_refusal(502, "<p>\n\n  down " + std::string(1000, 'x')).message.size(), 197U);
}

TEST(BigQueryRefusal, RetryAfterInBothForms) {
    const std::chrono::sys_seconds now{std::chrono::seconds(784111777)};  // Sun, 06 Nov 1994 08:49:37 GMT
    EXPECT_EQ(parse_retry_after("7", now), std::chrono::seconds(7));
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:57 GMT", now), std::chrono::seconds(20));
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:07 GMT", now), std::chrono::seconds(0));
    for (const auto* text : {"", "-1", "soon", "99999999999999999999", "Sun, 06 Nov 1994 08:49:37 CET"}) {
        EXPECT_EQ(parse_retry_after(text, now), std::nullopt) << text;
    }
}

}  // namespace
}  // namespace headrace::source::bigquery
