// BigQuery → Postgres and Redis in one run: every type, value by value, and the shipped pipeline bq.projects row by
// row. What is expected is written down here or taken from the simulator's own texts, compared by Postgres.
#include "base/json_text.hpp"
#include "support/bigquery/simulator.hpp"
#include "support/paths.hpp"
#include "support/stack.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace headrace {
namespace {

using support::Stack;
using support::bigquery::every_type_table;
using support::bigquery::mixed_table;
using support::bigquery::Simulator;

class BigQueryValues : public testing::Test {
protected:
    BigQueryValues() {
        stack_.set_credential(
            {.name = "bigquery",
             .kind = "bigquery",
             .settings = {{"url", simulator_.url()}},
             .allowed_hosts = {simulator_.address()}},
            Secret(simulator_.key_file())
        );
        stack_.sql("set timezone = 'UTC'");
    }

    void run(const std::string& pipeline) {
        const auto worker = stack_.start_worker();
        const auto run = stack_.trigger(pipeline);
        ASSERT_EQ(stack_.await_final(run), "succeeded")
            << stack_.sql("select error::text as x from etl_runs where run_id = $1", {run}) << worker->log();
    }

    Simulator simulator_{{.project = "bdi-chat-va", .page_rows = 400}};
    Stack stack_;
};

struct TypeCase {
    std::string_view column;
    std::string_view json;   // in Redis
    std::string_view table;  // as Postgres writes the value as text
    std::string_view type;   // of the column in Postgres
};

constexpr TypeCase type_cases[] = {
    {"int64", "-9223372036854775808", "-9223372036854775808", "bigint"},
    {"float64", "0.1", "0.1", "double precision"},
    {"float_big", "1.7976931348623157e+308", "1.7976931348623157e+308", "double precision"},
    {"float_nan", "null", "NaN", "double precision"},
    {"float_inf", "null", "-Infinity", "double precision"},
    {"numeric",
     "-99999999999999999999999999999.999999999",
     "-99999999999999999999999999999.999999999",
     "numeric(38,9)"},
    {"bignumeric",
     "578960446186580977117854925043439539266.34992332820282019728792003956564819967",
     "578960446186580977117854925043439539266.34992332820282019728792003956564819967",
     "numeric(77,38)"},
    {"bool", "true", "true", "boolean"},
    {"string", "\"Київ \\\"quoted\\\" \\\\ \u2028 \\n line\"", "Київ \"quoted\" \\ \u2028 \n line", "text"},
    {"bytes", "\"AAH/\"", "\\x0001ff", "bytea"},
    {"date_low", "\"0001-01-01\"", "0001-01-01", "date"},
    {"date_high", "\"9999-12-31\"", "9999-12-31", "date"},
    {"datetime", "\"2026-11-21T18:00:01.102003\"", "2026-11-21T18:00:01.102003", "text"},
    {"time", "\"23:59:59.999999\"", "23:59:59.999999", "time without time zone"},
    {"timestamp", "\"2026-11-21T18:00:01.102003Z\"", "2026-11-21 18:00:01.102003+00", "timestamp with time zone"},
    {"timestamp_old", "\"0001-01-01T00:00:00.000Z\"", "0001-01-01 00:00:00+00", "timestamp with time zone"},
    {"json", R"({"a":[1,null,"x"]})", R"({"a": [1, null, "x"]})", "jsonb"},
    {"geography", "\"POINT(30.5 50.4)\"", "POINT(30.5 50.4)", "text"},
    {"interval", "\"1-2 3 4:5:6.789\"", "1-2 3 4:5:6.789", "text"},
    {"range", "\"[2026-01-01, UNBOUNDED)\"", "[2026-01-01, UNBOUNDED)", "text"},
    {"record",
     R"({"x":1,"label":"one","at":"2026-11-21T18:00:01.000Z"})",
     R"({"x": 1, "at": "2026-11-21T18:00:01.000Z", "label": "one"})",
     "jsonb"},
    {"list", "[1,2]", "[1, 2]", "jsonb"},
    {"list_empty", "[]", "[]", "jsonb"},
    {"records",
     R"([{"x":1,"label":null,"at":null},{"x":2,"label":"b","at":null}])",
     R"([{"x": 1, "at": null, "label": null}, {"x": 2, "at": null, "label": "b"}])",
     "jsonb"},
    {"unknown", "\"as it is\"", "as it is", "text"},
};

TEST_F(BigQueryValues, EveryTypeInBothSinks) {
    const auto table = every_type_table("bdi-chat-va.d.everything");
    ASSERT_EQ(table.columns.size(), std::size(type_cases)) << "a type without a line in this test";
    simulator_.add(table);
    stack_.write_pipeline(
        "p",
        "source:\n  type: bigquery\n  credential: bigquery\n  default_dataset: d\n  query: SELECT * FROM everything\n"
        "sinks:\n  - { type: postgres, table: out.everything }\n"
        "  - { type: redis, as: json, key: \"cache:p\" }\n"
    );
    run("p");
    std::string values;
    std::string nulls;
    for (const auto& one : type_cases) {
        SCOPED_TRACE(one.column);
        const bool list = one.column.starts_with("list") || one.column == "records";
        values += fmt::format("{}\"{}\":{}", values.empty() ? "" : ",", one.column, one.json);
        nulls += fmt::format("{}\"{}\":{}", nulls.empty() ? "" : ",", one.column, list ? "[]" : "null");
        const auto cell = [&](std::string_view which) {
            return stack_.sql(fmt::format(
                "select coalesce(\"{}\"::text, 'NULL') as x from out.everything where int64 is {}", one.column, which
            ));
        };
        EXPECT_EQ(cell("not null"), one.table);
        EXPECT_EQ(cell("null"), list ? "[]" : "NULL");
        EXPECT_EQ(
            stack_.sql(
                "select format_type(atttypid, atttypmod) as x from pg_attribute where attrelid = "
                "'out.everything'::regclass and attname = $1",
                {one.column}
            ),
            one.type
        );
    }
    EXPECT_EQ(stack_.get("cache:p"), "[{" + values + "},{" + nulls + "}]");
}

// The texts that the simulator sent, and nothing in between.
void load_truth(Stack& stack, const support::bigquery::Table& table) {
    std::string columns;
    for (const auto& column : table.columns) {
        columns += (columns.empty() ? "" : ", ") + column.name + " text";
    }
    stack.db().exec("create table want (" + columns + ")");
    std::string rows;
    for (std::uint64_t row = 0; row < table.rows; ++row) {
        rows += row == 0 ? "[{" : ",{";
        for (std::size_t i = 0; i < table.columns.size(); ++i) {
            rows += (i == 0 ? "\"" : ",\"") + table.columns[i].name + "\":";
            table.columns[i].value(rows, row);
        }
        rows += "}";
    }
    stack.db().exec("insert into want select * from jsonb_populate_recordset(null::want, $1::jsonb)", {rows + "]"});
}

constexpr std::string_view same_as_want =
    "is distinct from (w.id::bigint, w.name, w.country, w.amount::numeric, w.ratio::float8, w.active::bool, "
    "w.day::date, w.updated_at::bigint)";

TEST_F(BigQueryValues, ShippedProjectsRowByRow) {
    const auto table = mixed_table("bdi-chat-va.n8n_oss.projects", 1500);
    simulator_.add(table);
    std::filesystem::copy_file(
        support::source_root() / "pipelines/bq.projects.yaml", stack_.folder() + "/pipelines/bq.projects.yaml"
    );
    run("bq.projects");
    load_truth(stack_, table);
    EXPECT_EQ(stack_.sql("select count(*) as x from marketing.projects"), "1500");
    EXPECT_EQ(
        stack_.sql(fmt::format(
            "select count(*) as x from want w full join marketing.projects p on p.id = w.id::bigint where (p.id, "
            "p.name, p.country, p.amount, p.ratio, p.active, p.day, (extract(epoch from p.updated_at) * "
            "1000000)::bigint) {}",
            same_as_want
        )),
        "0"
    );
    stack_.db().exec("create table cached (field text, row jsonb)");
    const auto hash = stack_.redis().command({"HGETALL", "cache:bq.projects"});
    ASSERT_EQ(hash.elements().size(), 3000u);
    for (std::size_t i = 0; i < hash.elements().size(); i += 2) {
        stack_.db().exec("insert into cached values ($1, $2::jsonb)", {hash.at(i).str(), hash.at(i + 1).str()});
    }
    EXPECT_EQ(
        stack_.sql(fmt::format(
            "select count(*) as x from want w full join cached p on p.field = w.id where ((p.row->>'id')::bigint, "
            "p.row->>'name', p.row->>'country', (p.row->>'amount')::numeric, (p.row->>'ratio')::float8, "
            "(p.row->>'active')::bool, (p.row->>'day')::date, (extract(epoch from (p.row->>'updated_at')::timestamptz) "
            "* 1000000)::bigint) {}",
            same_as_want
        )),
        "0"
    );
    // The comparison itself can fail.
    stack_.db().exec("update marketing.projects set ratio = ratio + 1e-12 where id = 700");
    EXPECT_EQ(
        stack_.sql(
            "select count(*) as x from want w full join marketing.projects p on p.id = w.id::bigint where p.ratio is "
            "distinct from w.ratio::float8"
        ),
        "1"
    );
    EXPECT_EQ(stack_.sql("select count(distinct run_id) as x from etl_outputs where name like '%projects'"), "1")
        << "both outputs are of one run";
}

}  // namespace
}  // namespace headrace
