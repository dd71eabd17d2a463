// Incremental reads of BigQuery: which rows come, and how the ends travel. The simulator compares as BigQuery does:
// only values of one type, and only parameters that were sent.
#include "bigquery_reading.hpp"

namespace headrace::test {
namespace {

using pipeline::CursorKind;
using pipeline::CursorRange;
using support::bigquery::Table;

struct Column {
    std::string type;
    std::vector<std::string> values;  // as REST writes them, without quotes; "" = null
};

Table table_of(const Column& column) {
    Table out{"headrace-test.d.t", column.values.size(), {}};
    out.columns.push_back({"c", column.type, "NULLABLE", "", [values = column.values](std::string& text, auto row) {
                               text += values[row].empty() ? "null" : "\"" + values[row] + "\"";
                           }});
    out.columns.push_back({"n", "INTEGER", "NULLABLE", "", [](std::string& text, auto row) {
                               text += "\"" + std::to_string(row) + "\"";
                           }});
    return out;
}

struct Outcome {
    std::string rows;  // the numbers of the rows, in the order in which they came
    CursorRange range;
    std::string code;
    std::string message;
};

Outcome read_range(Simulator& simulator, CursorRange range, const std::string& query = "SELECT c, n FROM t") {
    Outcome out{"", std::move(range), "", ""};
    try {
        const auto source = make_source(simulator, {.query = query});
        const auto attempt = "a" + std::to_string(simulator.count("insert"));
        source->connect({{}, Deadline::in(std::chrono::seconds(30)), "run", attempt, {}});
        source->restrict(out.range);
        const auto schema = source->query();
        data::Batch batch;
        for (batch.reset(schema); source->next(batch); batch.reset(schema)) {
            for (std::size_t row = 0; row < batch.rows(); ++row) {
                out.rows += (out.rows.empty() ? "" : " ") + std::to_string(batch.column(1).int64(row));
            }
        }
    } catch (const Error& error) {
        out.code = error.code();
        out.message = error.message();
    }
    return out;
}

struct RangeCase {
    std::string_view what;
    Column column;
    CursorKind kind;
    std::string from;
    std::string largest;
    std::string rows;
};

TEST(BigQueryRange, EachTypeToItsLastDigit) {
    const RangeCase cases[] = {
        {"integers beyond a double",
         {"INTEGER", {"9007199254740992", "9007199254740993", "9007199254740994", "9223372036854775807", ""}},
         CursorKind::integer,
         "9007199254740993",
         "9223372036854775807",
         "1 2 3"},
        {"negative integers",
         {"INTEGER", {"-9223372036854775808", "-2", "-10"}},
         CursorKind::integer,
         "-10",
         "-2",
         "2 1"},
        {"microseconds",
         {"TIMESTAMP", {"1795284001102002", "1795284001102003", "1795284001102004"}},
         CursorKind::timestamp,
         "2026-11-21T18:00:01.102003Z",
         "2026-11-21T18:00:01.102004Z",
         "1 2"},
        {"times before 1970 and the last one",
         {"TIMESTAMP", {"-1", "-2", "253402300799999999"}},
         CursorKind::timestamp,
         "1969-12-31T23:59:59.999999Z",
         "9999-12-31T23:59:59.999999Z",
         "0 2"},
        {"dates",
         {"DATE", {"2026-11-20", "9999-12-31", "0001-01-01"}},
         CursorKind::date,
         "2026-11-20",
         "9999-12-31",
         "0 1"},
        {"strings by their bytes",
         {"STRING", {"b'\\\\ @cursor_to", "a", "\U0010FFFF", "ж"}},
         CursorKind::text,
         "b'",
         "\U0010FFFF",
         "0 3 2"},
    };
    for (const auto& one : cases) {
        for (const std::string query :
             {"SELECT c, n FROM t", "SELECT c, n FROM t WHERE c >= @cursor_from AND c <= @cursor_to ORDER BY c"}) {
            SCOPED_TRACE(std::string(one.what) + ": " + query);
            Simulator simulator;
            simulator.add(table_of(one.column));
            const auto seen = read_range(simulator, {"c", one.kind, one.from, std::nullopt}, query);
            EXPECT_EQ(seen.code, "") << seen.message;
            EXPECT_EQ(seen.range.to.value_or("none"), one.largest);
            EXPECT_EQ(seen.rows, one.rows);
        }
    }
}

TEST(BigQueryRange, BothEndsBelongToIt) {
    Simulator simulator;
    simulator.add(table_of({"INTEGER", {"1", "2", "3", "4"}}));
    EXPECT_EQ(read_range(simulator, {"c", CursorKind::integer, "2", "3"}).rows, "1 2");
    EXPECT_EQ(simulator.count("insert"), 1) << "a range with an end asks for no other";
}

TEST(BigQueryRange, NothingNew) {
    Simulator simulator;
    simulator.add(table_of({"INTEGER", {"1", "2"}}));
    const auto seen = read_range(simulator, {"c", CursorKind::integer, "3", std::nullopt});
    EXPECT_EQ(seen.code, "") << seen.message;
    EXPECT_EQ(seen.rows, "");
    EXPECT_EQ(seen.range.to, "3");
}

// Rows that come after the question stay for the next run.
TEST(BigQueryRange, TheEndIsFixedBeforeTheRead) {
    Simulator simulator;
    simulator.add(table_of({"INTEGER", {"1", "2"}}));
    const auto source = make_source(simulator, {.query = "SELECT c, n FROM t"});
    source->connect({{}, Deadline::in(std::chrono::seconds(30)), "run", "a", {}});
    CursorRange range{"c", CursorKind::integer, "0", std::nullopt};
    source->restrict(range);
    EXPECT_EQ(range.to, "2");
    simulator.add(table_of({"INTEGER", {"1", "2", "3"}}));
    data::Batch batch(source->query());
    ASSERT_TRUE(source->next(batch));
    EXPECT_EQ(batch.rows(), 2u);
}

TEST(BigQueryRange, ValuesTravelAsTypedParameters) {
    Simulator simulator;
    simulator.add(table_of({"STRING", {"a"}}));
    read_range(simulator, {"c", CursorKind::text, "x' OR TRUE --", std::nullopt});
    for (const auto& one : simulator.seen()) {
        if (one.kind == "insert") {
            EXPECT_EQ(one.body.find("FROM t\\n) WHERE `c` >= @cursor_from") == one.body.npos, false) << one.body;
            EXPECT_NE(
                one.body.find(
                    R"({"name":"cursor_from","parameterType":{"type":"STRING"},"parameterValue":{"value":"x' OR TRUE --"}})"
                ),
                one.body.npos
            ) << one.body;
        }
    }
    EXPECT_EQ(simulator.count("insert"), 2);
}

TEST(BigQueryRange, WhatCannotBeACursor) {
    Simulator simulator;
    simulator.add(table_of({"INTEGER", {"1"}}));
    EXPECT_EQ(read_range(simulator, {"c", CursorKind::date, "2024-01-01", std::nullopt}).code, "source.query");
    EXPECT_EQ(read_range(simulator, {"none", CursorKind::integer, "1", std::nullopt}).code, "source.query");
    const auto large = read_range(simulator, {"c", CursorKind::integer, "9223372036854775808", std::nullopt});
    EXPECT_EQ(large.code, "source.cursor");
    EXPECT_NE(large.message.find("no INT64"), std::string::npos) << large.message;
    EXPECT_THROW(make_source(simulator, {.lists = {{"parameters", {"cursor_to", "1"}}}}), Error);
}

TEST(BigQueryRange, AnAbandonedQuestionIsCancelled) {
    Simulator simulator;
    simulator.add(table_of({"INTEGER", {"1"}}));
    simulator.inject({"wait", "status", 404, "notFound", 1, -1});
    EXPECT_EQ(read_range(simulator, {"c", CursorKind::integer, "0", std::nullopt}).code, "source.query");
    EXPECT_EQ(simulator.count("cancel"), 1);
}

}  // namespace
}  // namespace headrace::test
