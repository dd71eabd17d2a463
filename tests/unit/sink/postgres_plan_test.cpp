// Options, types and the SQL of the postgres sink.
#include "base/error.hpp"
#include "sink/postgres/plan.hpp"
#include "sink/postgres/spec.hpp"
#include "sink/postgres/statements.hpp"

#include <gtest/gtest.h>

namespace headrace::sink::postgres_sink {
namespace {

using data::Kind;
using data::Schema;

std::string spec_problem(const std::string& table, const std::string& mode, const std::vector<std::string>& key = {}) {
    pipeline::Part part;
    part.options.values["table"] = table;
    part.options.values["mode"] = mode;
    part.options.lists["key"] = key;
    try {
        read_spec(part);
        return "";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "pipeline.invalid");
        return e.message();
    }
}

Spec spec_of(const std::string& table, Mode mode, const std::vector<std::string>& key = {}) {
    return {.schema = "s", .table = table, .mode = mode, .key = key};
}

TEST(PostgresSpec, Tables) {
    pipeline::Part part;
    part.options.values["table"] = "projects";
    EXPECT_EQ(read_spec(part).name(), "public.projects");
    EXPECT_EQ(read_spec(part).mode, Mode::replace);
    part.options.values["table"] = "Re ports.Пр\xd0\xbe'jects";
    EXPECT_EQ(read_spec(part).quoted(), "\"Re ports\".\"Пр\xd0\xbe'jects\"");
    for (const char* bad : {"", ".", "a.", ".b", "a.b.c", "a\"b", " a", "a ", "a.\n", "s\xff.t"}) {
        EXPECT_NE(spec_problem(bad, "replace").find("`schema.table`"), std::string::npos) << bad;
    }
    EXPECT_NE(spec_problem(std::string(64, 'x'), "replace"), "");
    EXPECT_EQ(spec_problem(std::string(63, 'x'), "replace"), "");
    for (const char* bad : {"etl_runs", "public.etl_x", "other.ETL_x"}) {
        EXPECT_NE(spec_problem(bad, "replace").find("headrace's own"), std::string::npos) << bad;
    }
    for (const char* bad : {"pg_catalog.x", "information_schema.x", "headrace_staging.x"}) {
        EXPECT_NE(spec_problem(bad, "replace").find("is not for outputs"), std::string::npos) << bad;
    }
}

TEST(PostgresSpec, ModeAndKey) {
    EXPECT_NE(spec_problem("t", "merge").find("needs `key:"), std::string::npos);
    EXPECT_EQ(spec_problem("t", "merge", {"a", "b"}), "");
    EXPECT_EQ(spec_problem("t", "replace", {"a"}), "");
    EXPECT_NE(spec_problem("t", "merge", {"a", "a"}).find("twice"), std::string::npos);
    pipeline::Part part;
    part.options.values["table"] = "t";
    part.credential = "other";
    EXPECT_THROW(read_spec(part), Error);
}

data::Field field(const std::string& text) {
    auto parsed = data::parse_type(text).value();
    parsed.name = "c";
    return parsed;
}

TEST(PostgresType, NewColumns) {
    const std::pair<const char*, const char*> expected[] = {
        {"boolean", "boolean"},
        {"int64", "bigint"},
        {"uint64", "numeric(20)"},
        {"float64", "double precision"},
        {"decimal(12,2)", "numeric(12,2)"},
        {"string", "text"},
        {"bytes", "bytea"},
        {"date", "date"},
        {"time", "time"},
        {"timestamp", "timestamptz"},
        {"json", "jsonb"}};
    for (const auto& [ours, theirs] : expected) {
        EXPECT_EQ(sql_type(field(ours)), theirs);
        EXPECT_TRUE(wire_for(field(ours), type_for(field(ours)))) << ours;
    }
    const auto limits = numeric_limits(type_for(field("decimal(12,2)")));
    ASSERT_TRUE(limits);
    EXPECT_EQ(limits->whole, 10);
    EXPECT_EQ(limits->scale, 2);
    EXPECT_FALSE(numeric_limits({"numeric", -1}));
}

TEST(PostgresType, ColumnsThatAreThere) {
    const auto modifier = [](int precision, int scale) { return ((precision << 16) | (scale & 0x7ff)) + 4; };
    EXPECT_EQ(wire_for(field("int64"), {"int4"}), Wire::int4);
    EXPECT_EQ(wire_for(field("uint64"), {"int8"}), Wire::int8);
    EXPECT_EQ(wire_for(field("int64"), {"numeric", modifier(5, 0)}), Wire::numeric);
    EXPECT_EQ(wire_for(field("int64"), {"numeric", modifier(5, -2)}), std::nullopt) << "it would round";
    EXPECT_EQ(wire_for(field("string"), {"varchar", 24}), Wire::text);
    EXPECT_EQ(wire_for(field("json"), {"json"}), Wire::json);
    EXPECT_EQ(wire_for(field("timestamp"), {"timestamptz", 3}), std::nullopt) << "it would round";
    EXPECT_EQ(wire_for(field("timestamp"), {"timestamptz", 6}), Wire::timestamp);
    EXPECT_EQ(wire_for(field("decimal(12,2)"), {"numeric", modifier(12, 2)}), Wire::numeric);
    EXPECT_EQ(wire_for(field("decimal(12,4)"), {"numeric", modifier(12, 2)}), std::nullopt);
    EXPECT_EQ(wire_for(field("decimal(13,2)"), {"numeric", modifier(12, 2)}), std::nullopt);
    const std::pair<const char*, const char*> misfits[] = {
        {"float64", "float4"},
        {"float64", "numeric"},
        {"string", "int8"},
        {"timestamp", "timestamp"},
        {"date", "timestamptz"},
        {"bytes", "text"},
        {"boolean", "int4"},
        {"json", "text"},
        {"int64", "float8"},
        {"string", ""}};
    for (const auto& [ours, theirs] : misfits) {
        EXPECT_EQ(wire_for(field(ours), {theirs}), std::nullopt) << ours << " into " << theirs;
    }
}

const Schema id_and_name{
    {{.name = "id", .kind = Kind::int64}, {.name = "na\"me", .kind = Kind::string, .nullable = true}}};

// The table s.t (id bigint primary key, extra text).
Target plain_target() {
    Target target;
    target.oid = 4711;
    target.shape = "abc";
    target.columns = {
        {.name = "id", .sql_type = "bigint", .type = {"int8", -1}, .not_null = true},
        {.name = "extra", .sql_type = "text", .type = {"text", -1}}};
    target.indexes = {
        {.name = "t_pkey",
         .constraint = "PRIMARY KEY (id)",
         .unique = "UNIQUE ",
         .rest = "USING btree (id)",
         .comment = "",
         .constraint_comment = "",
         .columns = {"id"}}};
    return target;
}

std::string plan_problem(const Spec& spec, const Schema& schema, std::optional<Target> target) {
    try {
        make_plan(spec, schema, std::move(target));
        return "";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "sink.invalid");
        EXPECT_NE(e.hint(), "");
        return e.message() + " | " + e.hint();
    }
}

std::string all(const std::vector<std::string>& statements) {
    std::string out;
    for (const auto& statement : statements) {
        out += statement + ";\n";
    }
    return out;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(PostgresPlan, Landings) {
    auto target = plain_target();
    EXPECT_EQ(make_plan(spec_of("t", Mode::append), id_and_name, std::nullopt).landing, Landing::create);
    EXPECT_EQ(make_plan(spec_of("t", Mode::append), id_and_name, target).landing, Landing::append);
    EXPECT_EQ(make_plan(spec_of("t", Mode::merge, {"id"}), id_and_name, target).landing, Landing::merge);
    EXPECT_EQ(make_plan(spec_of("t", Mode::replace), id_and_name, target).landing, Landing::swap);
    target.obstacles = {"view v"};
    EXPECT_EQ(make_plan(spec_of("t", Mode::replace), id_and_name, target).landing, Landing::rewrite);
    target.cascades = {"constraint fk on table child"};
    EXPECT_TRUE(has(plan_problem(spec_of("t", Mode::replace), id_and_name, target), "constraint fk on table child"));
    EXPECT_EQ(plan_problem(spec_of("t", Mode::append), id_and_name, target), "");
}

TEST(PostgresPlan, Refusals) {
    const auto append = spec_of("t", Mode::append);
    EXPECT_TRUE(
        has(plan_problem(spec_of("t", Mode::merge, {"nope"}), id_and_name, std::nullopt),
            "there is no column `nope`; the columns are id, na\"me")
    );
    EXPECT_TRUE(
        has(plan_problem(append, Schema{{{.name = "a"}, {.name = "a"}}}, std::nullopt), "two columns are called `a`")
    );
    EXPECT_TRUE(has(plan_problem(append, Schema{{{.name = std::string(64, 'x')}}}, std::nullopt), "63 bytes"));
    EXPECT_TRUE(has(plan_problem(append, Schema{{{.name = ""}}}, std::nullopt), "63 bytes"));
    auto target = plain_target();
    EXPECT_TRUE(
        has(plan_problem(
                spec_of("t", Mode::merge, {"extra", "id"}),
                Schema{{{.name = "id", .kind = Kind::int64}, {.name = "extra"}}},
                target
            ),
            "CREATE UNIQUE INDEX ON \"s\".\"t\" (\"extra\", \"id\")")
    );
    EXPECT_TRUE(
        has(plan_problem(append, Schema{{{.name = "id", .kind = Kind::float64}}}, target),
            "column `id` is float64! and does not fit s.t.id, which is bigint | ALTER TABLE")
    );
    EXPECT_TRUE(
        has(plan_problem(append, Schema{{{.name = "extra"}}}, target),
            "the column `id` of s.t is NOT NULL, has no default and does not come")
    );
    target.columns[0].has_default = true;
    EXPECT_EQ(plan_problem(append, Schema{{{.name = "extra"}}}, target), "");
    target.columns[1].generated = true;
    EXPECT_TRUE(has(plan_problem(append, Schema{{{.name = "extra"}}}, target), "generated"));
}

TEST(PostgresSql, NewTable) {
    const auto plan = make_plan(spec_of("t", Mode::merge, {"id"}), id_and_name, std::nullopt);
    EXPECT_EQ(
        all(create_statements(plan, "o1_x")),
        "create table \"headrace_staging\".\"o1_x\" (\"id\" bigint not null, \"na\"\"me\" text);\n"
    );
    EXPECT_EQ(
        copy_statement(plan, "o1_x"),
        "copy \"headrace_staging\".\"o1_x\" (\"id\", \"na\"\"me\") from stdin (format binary, freeze)"
    );
    EXPECT_TRUE(has(all(key_statements(plan, "o1_x")), "add constraint \"o1_x_0\" primary key (\"id\")"));
    const auto decision = all(decision_statements(plan, {"o1_x", 8192, 5}));
    EXPECT_TRUE(has(decision, "create schema \"s\"")) << decision;
    EXPECT_TRUE(has(decision, "rename to \"t\"")) << decision;
    EXPECT_TRUE(plan.copy[0].never_null);
    EXPECT_FALSE(plan.copy[1].never_null);
}

TEST(PostgresSql, AppendWidensAndLeavesNoStaging) {
    const auto plan = make_plan(spec_of("t", Mode::append), id_and_name, plain_target());
    // Logged: after a crash that follows the rollback of an unlogged table Postgres 15 may not start again.
    EXPECT_TRUE(has(all(create_statements(plan, "o1_x")), "create table"));
    const auto decision = decision_statements(plan, {"o1_x", 8192, 5});
    ASSERT_EQ(decision.size(), 4u) << all(decision);
    EXPECT_TRUE(has(decision[0], "in access exclusive mode")) << decision[0];
    EXPECT_EQ(decision[1], "alter table \"s\".\"t\" add column \"na\"\"me\" text");
    EXPECT_EQ(
        decision[2],
        "insert into \"s\".\"t\" (\"id\", \"na\"\"me\") select \"id\", \"na\"\"me\" from "
        "\"headrace_staging\".\"o1_x\""
    );
    EXPECT_EQ(decision[3], "drop table \"headrace_staging\".\"o1_x\"");
    EXPECT_FALSE(has(all(decision_statements(plan, {"o1_x", 0, 0})), "insert into"));
}

TEST(PostgresSql, MergeWritesOnlyWhatDiffers) {
    auto target = plain_target();
    target.columns[1].name = "na\"me";
    const auto plan = make_plan(spec_of("t", Mode::merge, {"id"}), id_and_name, target);
    const auto decision = all(decision_statements(plan, {"o1_x", 8192, 5}));
    EXPECT_TRUE(has(decision, "in share row exclusive mode")) << decision;
    EXPECT_TRUE(
        has(decision,
            "update only \"s\".\"t\" as live set \"na\"\"me\" = staged.\"na\"\"me\" from"
            " \"headrace_staging\".\"o1_x\" as staged where live.\"id\" = staged.\"id\" and"
            " row(live.\"na\"\"me\")::record *<> row(staged.\"na\"\"me\")::record")
    ) << decision;
    EXPECT_TRUE(has(decision, "as staged where not exists (select from only \"s\".\"t\" as live where")) << decision;
    const auto only_key =
        make_plan(spec_of("t", Mode::merge, {"id"}), Schema{{{.name = "id", .kind = Kind::int64}}}, target);
    EXPECT_FALSE(has(all(decision_statements(only_key, {"o1_x", 8192, 5})), "update only"));
    const auto append = make_plan(spec_of("t", Mode::append, {"id"}), id_and_name, target);
    EXPECT_TRUE(has(all(decision_statements(append, {"o1_x", 8192, 5})), "on conflict (\"id\") do nothing"));
}

TEST(PostgresSql, SwapKeepsWhatBelongsToTheTable) {
    auto target = plain_target();
    target.grants = {{"SELECT", "\"reader\""}};
    target.settings = {"fillfactor = '70'"};
    target.comment = "it's";
    target.owner = "someone";
    target.indexes.push_back(
        {.name = "by extra",
         .constraint = "",
         .unique = "",
         .rest = "USING btree (extra)",
         .comment = "c",
         .constraint_comment = "",
         .columns = {}}
    );
    const auto plan = make_plan(spec_of("t", Mode::replace), id_and_name, target);
    const auto made = all(create_statements(plan, "o1_x"));
    EXPECT_TRUE(has(made, "(like \"s\".\"t\" including defaults")) << made;
    EXPECT_TRUE(has(made, "add column \"na\"\"me\" text")) << made;
    EXPECT_TRUE(has(made, "set (fillfactor = '70')")) << made;
    EXPECT_TRUE(has(made, "is 'it''s'")) << made;
    EXPECT_TRUE(has(made, "grant SELECT on \"headrace_staging\".\"o1_x\" to \"reader\"")) << made;
    const auto keys = all(key_statements(plan, "o1_x"));
    EXPECT_TRUE(has(keys, "add constraint \"o1_x_0\" PRIMARY KEY (id)")) << keys;
    EXPECT_TRUE(has(keys, "create index \"o1_x_1\" on \"headrace_staging\".\"o1_x\" USING btree (extra)")) << keys;
    const auto decision = all(decision_statements(plan, {"o1_x", 8192, 5}));
    EXPECT_TRUE(has(decision, "drop table \"s\".\"t\"")) << decision;
    EXPECT_TRUE(has(decision, "alter index \"s\".\"o1_x_1\" rename to \"by extra\"")) << decision;
    EXPECT_TRUE(has(decision, "owner to \"someone\"")) << decision;
}

}  // namespace
}  // namespace headrace::sink::postgres_sink
