// The fault catalogue of BigQuery, at the source: what can be mended is mended, and of the rest nothing is taken for
// a whole result. tests/integration/bigquery_test.cpp shows the same from outside.
#include "unit/source/bigquery_reading.hpp"

namespace headrace {
namespace {

using support::bigquery::Fault;
using support::bigquery::mixed_table;
using support::bigquery::Simulator;
using test::BigQueryWish;
using test::read_all;

struct BadPage {
    Fault fault;
    std::string_view code;
    std::string_view says;  // part of the message
    BigQueryWish wish = {};
};

const BigQueryWish impatient{.values = {{"request_timeout", "200"}, {"retries", "1"}}};

std::vector<BadPage> lasting_faults() {
    const auto page = [](std::string what, long at = 0, std::string text = "", std::string retry_after = "") {
        return Fault{"page", std::move(what), at, std::move(text), 2, -1, std::move(retry_after)};
    };
    const std::string deep(100'000, '[');
    return {
        // transport
        {page("reset"), "source.unavailable", ""},
        {page("cut", 5000), "source.incomplete", ""},
        {page("reset_within", 5000), "source.incomplete", ""},
        {page("hang"), "source.timeout", "sent nothing for 200 ms", impatient},
        {page("hang_within", 5000), "source.timeout", "sent nothing for 200 ms", impatient},
        {page("drip", 5000), "source.timeout", "longer than `request_timeout`", impatient},
        {page("unframed"), "source.incomplete", "nothing proves that it is complete"},
        {page("no_last_chunk"), "source.incomplete", ""},
        {page("bad_chunk"), "source.incomplete", ""},
        {page("short_length", 10), "source.incomplete", "ends in the middle"},
        // HTTP
        {page("status", 429, "rateLimitExceeded"), "source.rate_limited", "HTTP 429"},
        {page("status", 429, "", "1000000000"), "source.rate_limited", "asks to wait 1000000000 s"},
        {page("status", 429, "", "Fri, 31 Dec 2126 23:59:59 GMT"), "source.rate_limited", "asks to wait"},
        {page("status", 403, "rateLimitExceeded"), "source.rate_limited", "HTTP 403"},
        {page("status", 403, "quotaExceeded"), "source.rate_limited", "quotaExceeded"},
        {page("status", 403, "accessDenied"), "source.auth", "accessDenied"},
        {page("status", 401, "authError"), "source.auth", "HTTP 401"},
        {page("status", 503, "backendError"), "source.unavailable", "backendError"},
        {page("status", 500, "internalError"), "source.unavailable", "internalError"},
        {page("status", 400, "invalid"), "source.incomplete", "refuses its page token"},
        {page("status", 404, "notFound"), "source.incomplete", "refuses its page token"},
        {page("bare", 502, "<html>Bad Gateway</html>"), "source.unavailable", "<html>Bad Gateway</html>"},
        {page("bare", 200, "<html>Please log in</html>"), "source.unavailable", "Please log in"},
        {page("bare", 302, ""), "source.unavailable", "HTTP 302"},
        {page("body", 200, R"({"error":{"code":500,"message":"late","errors":[{"reason":"backendError"}]}})"),
         "source.unavailable",
         "late"},
        {page("body", 200, "[]"), "source.bad_data", "no JSON object"},
        {page("body", 200, "{}"), "source.incomplete", "not complete any more"},
        // encoding
        {page("gzip_cut"), "source.incomplete", ""},
        {page("gzip_lie"), "source.incomplete", ""},
        {page("gzip_bomb", 40 << 20), "source.bad_data", "larger than"},
        {page("json_cut", -20), "source.incomplete", "ends in the middle"},
        {page("json_cut", 5000), "source.incomplete", "ends in the middle"},
        // paging
        {page("repeat_page"), "source.incomplete", "were on an earlier page already"},
        {page("same_token"), "source.incomplete", "in a circle"},
        {{"page", "first_token", 0, "", 3, -1}, "source.incomplete", "in a circle"},
        {page("no_token"), "source.incomplete", "it is the last one; 200 of 350 rows"},
        {page("total", 0, "\"351\""), "source.incomplete", "`totalRows` changed to 351"},
        {page("total", 0, "null"), "source.incomplete", "`totalRows` is missing"},
        {page("drop_row"), "source.incomplete", "349 of 350 rows"},
        {{"page", "double_row", 0, "", 4, -1}, "source.incomplete", "more rows come than"},
        {page("schema_type"), "source.incomplete", "columns are not those"},
        {page("schema_more"), "source.incomplete", "columns are not those"},
        {page("schema_mode"), "source.incomplete", "columns are not those"},
        {page("other_job"), "source.incomplete", "another job"},
        {page("not_complete"), "source.incomplete", "not complete any more"},
        // rows
        {page("extra_cell"), "source.bad_data", "row 101: more than 8 values"},
        {page("missing_cell"), "source.bad_data", "row 101, column `id`: `"},
        {page("value", 0, "\"abc\""), "source.bad_data", "row 101, column `id`: `abc` is no INTEGER"},
        {page("value", 0, "\"9223372036854775808\""), "source.bad_data", "`9223372036854775808` is no INTEGER"},
        {page("value", 0, "{\"f\":[]}"), "source.bad_data", "row 101, column `id`"},
        {page("value", 0, deep), "source.bad_data", ""},
        {page("value", 0, "\"\xff\xfe\""), "source.bad_data", "UTF-8"},
        {page("huge_row", 2'000'000), "source.bad_data", "`max_row_bytes`", {.values = {{"max_row_bytes", "1048576"}}}},
        {page("blanks", 2'000'000), "source.bad_data", "`max_row_bytes`", {.values = {{"max_row_bytes", "1048576"}}}},
        {page("behind", 0, ",\"rows\":[{}]"), "source.bad_data", "not one list of rows"},
        {page("behind", 0, "}{"), "source.bad_data", ""},
        // before the pages
        {{"token", "status", 503, "backendError", 1, -1}, "source.unavailable", "give a token"},
        {{"token", "reset", 0, "", 1, -1}, "source.unavailable", ""},
        {{"token", "body", 200, "{}", 1, -1}, "source.auth", "without an access token"},
        {{"token", "body", 400, R"({"error":"invalid_grant","error_description":"clock"})", 1, -1},
         "source.auth",
         "clock (HTTP 400, invalid_grant)"},
        {{"dry_run", "status", 400, "invalidQuery", 1, -1}, "source.query", "check the query"},
        {{"dry_run", "status", 404, "notFound", 1, -1}, "source.query", "notFound"},
        {{"insert", "status", 403, "billingNotEnabled", 1, -1}, "source.rate_limited", "billingNotEnabled"},
        {{"insert", "body", 200, "{}", 1, -1}, "source.bad_data", "another job"},
        {{"wait", "job_error", 0, "responseTooLarge", 1, -1}, "source.query", "responseTooLarge"},
        {{"wait", "job_error", 0, "jobInternalError", 1, -1}, "source.unavailable", "jobInternalError"},
        {{"wait", "other_job", 0, "", 1, -1}, "source.bad_data", "another job"},
        {{"wait", "total", 0, "null", 1, -1}, "source.query", "is it a SELECT?"},
        {{"job", "body", 200, R"({"status":{"state":"RUNNING"}})", 1, -1}, "source.incomplete", "is not done"},
    };
}

TEST(BigQueryFaults, NoneIsTakenForAWholeResult) {
    Simulator simulator({.page_rows = 100});
    simulator.add(mixed_table("headrace-test.d.t", 350));
    for (const auto& bad : lasting_faults()) {
        SCOPED_TRACE(bad.fault.on + " " + bad.fault.what + " " + bad.fault.text.substr(0, 60));
        simulator.tokens().revoke_all();
        simulator.inject(bad.fault);
        const auto read = read_all(simulator, bad.wish);
        simulator.mend();
        EXPECT_EQ(read.code, bad.code) << read.message;
        EXPECT_NE(read.message.find(bad.says), std::string::npos) << read.message;
        EXPECT_EQ(read.proof, "");
        EXPECT_EQ(read.message.find("ya29."), std::string::npos) << read.message;
    }
}

TEST(BigQueryFaults, WhatPassesIsMended) {
    Simulator simulator({.page_rows = 100});
    simulator.add(mixed_table("headrace-test.d.t", 350));
    const auto whole = read_all(simulator).rows;
    std::vector<Fault> passing = {
        {"page", "status", 429, "rateLimitExceeded", 2, 1, "0"},
        {"page", "status", 403, "rateLimitExceeded", 2, 2},
        {"page", "bare", 502, "<html>", 2, 2},
        {"page", "reset", 0, "", 1, 2},
        {"page", "reset", 0, "", 2, 1},
        {"page", "no_last_chunk", 0, "", 2, 1},
        {"page", "gzip_cut", 0, "", 2, 1},
        {"page", "json_cut", 9000, "", 2, 1},
        {"page", "no_rows", 0, "", 1, 1},
        {"page", "more_token", 0, "", 4, 1},
        {"page", "total", 0, "350", 3, 1},
        {"page", "warning", 0, "", 2, 1},
        {"token", "status", 503, "", 1, 1},
        {"token", "reset", 0, "", 1, 1},
        {"dry_run", "status", 500, "internalError", 1, 1},
        {"insert", "status", 503, "backendError", 1, 1},
        {"insert", "reset", 0, "", 1, 1},
        {"wait", "status", 503, "backendError", 1, 1},
        {"job", "status", 403, "accessDenied", 1, 1},
    };
    for (long at = 0; at < 19'000; at += 1'700) {  // within head, rows and end of a page
        passing.push_back({"page", "cut", at, "", 1, 1});
        passing.push_back({"page", "reset_within", at, "", 3, 1});
    }
    for (const auto& fault : passing) {
        SCOPED_TRACE(fault.on + " " + fault.what + " " + std::to_string(fault.at) + fault.text);
        simulator.inject(fault);
        const auto read = read_all(simulator);
        simulator.mend();
        EXPECT_EQ(read.code, "") << read.message;
        EXPECT_TRUE(read.rows == whole) << read.count;
    }
}

// A page that is asked for again must be the page that it was.
TEST(BigQueryFaults, ASecondAnswerThatDiffersIsRefused) {
    // More rows than one window holds, so that some are given out before the page breaks.
    Simulator simulator({.page_rows = 4000});
    simulator.add(mixed_table("headrace-test.d.t", 6000));
    simulator.inject({"page", "cut", 400'000, "", 1, 1});
    simulator.inject({"page", "value", 0, "\"77\"", 1, 1});
    const auto read = read_all(simulator);
    EXPECT_EQ(read.code, "source.incomplete") << read.message;
    EXPECT_NE(read.message.find("with other rows when it was asked for again"), std::string::npos) << read.message;
    simulator.mend();
    simulator.inject({"page", "cut", 400'000, "", 1, 1});
    EXPECT_EQ(read_all(simulator).count, 6000U);
}

TEST(BigQueryFaults, EqualPagesOfEqualRowsAreHonest) {
    Simulator simulator({.page_rows = 10});
    simulator.add(
        {"headrace-test.d.t", 40, {{"x", "STRING", "NULLABLE", "", [](std::string& out, auto) { out += "\"same\""; }}}}
    );
    const auto read = read_all(simulator);
    EXPECT_EQ(read.count, 40U) << read.message;
}

TEST(BigQueryFaults, ARowOfThirtyMegabytesIsRead) {
    Simulator simulator({.page_rows = 10});
    simulator.add({"headrace-test.d.t", 3, {{"x", "STRING", "NULLABLE", "", [](std::string& out, auto row) {
                                                 out += "\"" + std::string(row == 1 ? 30'000'000 : 5, 'x') + "\"";
                                             }}}});
    const auto read = read_all(simulator);
    EXPECT_EQ(read.count, 3U) << read.message;
    EXPECT_GT(read.rows.size(), 30'000'000U);
}

}  // namespace
}  // namespace headrace
