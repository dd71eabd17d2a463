// The tables of the postgres sink on a real server: nothing before the decision, what a swap keeps, what holds on to a
// table, widening, refusals, readers.
#include "support/postgres_output.hpp"
#include "support/servers.hpp"
#include "support/table_reader.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace headrace {
namespace {

using data::Batch;
using data::Kind;
using data::Schema;
using support::holds;
using support::numbers;
using support::OutputOptions;
using support::PostgresOutput;

TEST(PostgresTables, NothingIsVisibleBeforeTheDecision) {
    PostgresOutput out;
    out.write({}, numbers(10, 1));
    for (const char* mode : {"append", "replace"}) {
        const auto loaded = out.load({.mode = mode}, numbers(20, 2));
        EXPECT_EQ(out.psql("select count(*), max(v) from out.t"), "10|1");
        EXPECT_EQ(out.stagings(), 1);
        loaded.sink->discard();
        EXPECT_EQ(out.stagings(), 0);
        EXPECT_TRUE(holds(out.decide(loaded), "the staged rows are gone"));
    }
    EXPECT_EQ(out.psql("select count(*), max(v) from out.t"), "10|1");
}

TEST(PostgresTables, DecisionIsOneTransaction) {
    PostgresOutput out;
    out.write({}, numbers(10, 1));
    const auto loaded = out.load({.mode = "replace"}, numbers(20, 2));
    out.run("begin");
    for (const auto& statement : loaded.manifest.statements) {
        out.db().exec(statement);
    }
    out.run("rollback");
    EXPECT_EQ(out.psql("select count(*), max(v) from out.t"), "10|1");
    EXPECT_EQ(out.decide(loaded), "") << "and can be tried again";
    EXPECT_EQ(out.psql("select count(*), max(v) from out.t"), "20|2");
}

// After a failover the staging may hold less than it did; then nothing may be merged or, worse, called a success.
TEST(PostgresTables, StagingThatLostItsRowsIsNoticed) {
    PostgresOutput out;
    out.write({.mode = "append"}, numbers(10, 1));
    const auto loaded = out.load({.mode = "append"}, numbers(20, 2));
    const auto name = out.value("select tablename as x from pg_tables where schemaname = 'headrace_staging'");
    out.run("truncate headrace_staging." + name);
    EXPECT_TRUE(holds(out.decide(loaded), "the staged rows are gone"));
    EXPECT_EQ(out.psql("select count(*) from out.t"), "10");
}

TEST(PostgresTables, TableThatChangedMeanwhileIsNotLost) {
    PostgresOutput out;
    out.write({}, numbers(10, 1));
    const char* const changes[] = {
        "alter table out.t add column note text",
        "create index on out.t (v)",
        "create view w as select id from out.t",
        "grant select on out.t to public",
        "drop view w; drop table out.t; create table out.t (id bigint, v bigint)"};
    for (const char* change : changes) {
        const auto loaded = out.load({.mode = "replace"}, numbers(20, 2));
        out.run(change);
        EXPECT_TRUE(holds(out.decide(loaded), "was changed while the rows were loaded"))
            << change << out.decide(loaded);
        loaded.sink->discard();
    }
    const auto quiet = out.load({.mode = "replace"}, numbers(20, 2));
    out.run("vacuum out.t");
    out.run("analyze out.t");
    EXPECT_EQ(out.decide(quiet), "") << "housekeeping is no change";
    EXPECT_EQ(out.psql("select count(*) from out.t"), "20");
}

TEST(PostgresTables, SwapKeepsWhatBelongsToTheTable) {
    PostgresOutput out;
    auto admin = postgres::Connection::connect({.url = support::servers().postgres().admin_url("postgres")});
    admin.exec("create role reader_role");
    out.run(
        "create schema out; "
        "create table out.t (id bigint constraint positive check (id >= 0), v bigint default 7, note text default 'n', "
        " twice bigint generated always as (v * 2) stored, primary key (id)) with (fillfactor = 70);"
        "create unique index \"by V\" on out.t (v, id) where v > 0; alter table out.t add constraint u unique (id, v);"
        "comment on table out.t is 'it''s'; comment on column out.t.v is 'value'; comment on index out.\"by V\" is "
        "'idx';"
        "comment on constraint u on out.t is 'con'; grant select, update on out.t to reader_role;"
    );
    const std::string look =
        "select (select string_agg(attname || ' ' || format_type(atttypid, atttypmod) || coalesce(' ' || "
        "pg_get_expr(adbin, adrelid), '') || attnotnull || coalesce(' ' || col_description(attrelid, attnum), ''), ', "
        "' order by attnum)"
        " from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum where attrelid = "
        "c.oid and attnum > 0), (select string_agg(pg_get_indexdef(indexrelid) || coalesce(obj_description(indexrelid, "
        "'pg_class'), ''), ', ' order by "
        "indexrelid::regclass::text) from pg_index where indrelid = c.oid), (select string_agg(conname || "
        "pg_get_constraintdef(oid) || coalesce(obj_description(oid, 'pg_constraint'), ''), ', ' order by conname) from "
        "pg_constraint where conrelid = c.oid),"
        " relacl, reloptions, obj_description(c.oid, 'pg_class'), pg_get_userbyid(relowner) from pg_class c where "
        "c.oid = 'out.t'::regclass";
    const auto before = out.psql(look);
    const auto oid = out.psql("select 'out.t'::regclass::oid");
    const auto log = out.write({}, numbers(50, 3));
    EXPECT_EQ(log, "") << "no reason for DELETE and INSERT";
    EXPECT_NE(out.psql("select 'out.t'::regclass::oid"), oid) << "it was swapped";
    EXPECT_EQ(out.psql(look), before);
    EXPECT_EQ(out.psql("select count(*), sum(v), sum(twice), min(note) from out.t"), "50|150|300|n");
    EXPECT_EQ(out.psql("select count(*) from out.t where id = -1"), "0");
    EXPECT_EQ(out.stagings(), 0);
    EXPECT_EQ(out.psql("select reltuples from pg_class where oid = 'out.t'::regclass"), "50")
        << "readers get good plans at once";
    out.run("drop table out.t");
    admin.exec("drop role reader_role");
}

TEST(PostgresTables, WhatHoldsOnToTheTableIsKept) {
    struct Case {
        const char* setup;
        const char* reason;
        const char* check;
        const char* expected;
    };

    const Case cases[] = {
        {"create view w as select sum(v) as s from out.t", "view w", "select s from w", "40"},
        {"create materialized view w as select * from out.t", "materialized view w", "select count(*) from w", "10"},
        {"create table child (id bigint references out.t); ",
         "child",
         "select count(*) from pg_constraint where confrelid = 'out.t'::regclass",
         "1"},
        {"create table parent (v bigint primary key); insert into parent values (1), (2); alter table out.t add "
         "foreign key (v) references parent",
         "constraint t_v_fkey",
         "select count(*) from pg_constraint where conrelid = 'out.t'::regclass and contype = 'f'",
         "1"},
        {"create function f() returns trigger language plpgsql as 'begin return new; end'; create trigger g before "
         "insert on out.t for each row execute function f()",
         "trigger g",
         "select count(*) from pg_trigger where tgrelid = 'out.t'::regclass",
         "1"},
        {"create publication p for table out.t",
         "publication",
         "select count(*) from pg_publication_tables where tablename = 't'",
         "1"},
        {"create table kid () inherits (out.t); insert into kid values (77, 7)",
         "table kid",
         "select count(*), sum(v) from kid",
         "1|7"},
        {"alter table out.t enable row level security",
         "row-level security",
         "select relrowsecurity from pg_class where oid = 'out.t'::regclass",
         "t"},
        {"alter table out.t add column n serial", "sequence", "select max(n) from out.t", "30"},
        {"create function g(\"out\".t) returns int language sql as 'select 1'",
         "function g",
         "select count(*) from pg_proc where proname = 'g'",
         "1"},
        {"create statistics st on id, v from out.t", "statistics", "select count(*) from pg_statistic_ext", "1"},
        {"create rule r as on update to out.t do also nothing",
         "rule r",
         "select count(*) from pg_rules where tablename = 't'",
         "1"},
        {"alter table out.t alter column v set statistics 50",
         "settings of the column v",
         "select attstattarget from pg_attribute where attrelid = 'out.t'::regclass and attname = 'v'",
         "50"},
        {"grant select (v) on out.t to public",
         "privileges on the column v",
         "select count(*) from pg_attribute where attacl is not null and attrelid = 'out.t'::regclass",
         "1"},
    };
    for (const auto& one : cases) {
        SCOPED_TRACE(one.setup);
        PostgresOutput out;
        out.write({.key = {"id"}}, numbers(10, 1));
        out.run(one.setup);
        const auto oid = out.psql("select 'out.t'::regclass::oid");
        const auto log = out.write({}, numbers(20, 2));
        EXPECT_TRUE(holds(log, "replaced by DELETE and INSERT")) << log;
        EXPECT_TRUE(holds(log, one.reason)) << log;
        EXPECT_EQ(out.psql("select 'out.t'::regclass::oid"), oid);
        EXPECT_EQ(out.psql("select count(*), min(v), max(v) from only out.t"), "20|2|2");
        EXPECT_EQ(out.psql(one.check), one.expected);
        EXPECT_EQ(out.stagings(), 0);
    }
}

TEST(PostgresTables, PartitionedTableIsReplacedAndMerged) {
    PostgresOutput out;
    out.run(
        "create schema out; create table out.t (id bigint primary key, v bigint) partition by range (id);"
        "create table out.low partition of out.t for values from (0) to (10);"
        "create table out.high partition of out.t for values from (10) to (1000)"
    );
    EXPECT_TRUE(holds(out.write({}, numbers(20, 1)), "its partitions"));
    out.write({.mode = "merge", .key = {"id"}}, numbers(10, 2, 15));
    EXPECT_EQ(
        out.psql("select relname, v, count(*) from out.t join pg_class c on c.oid = t.tableoid group by 1, 2 order by "
                 "1 desc, 2"),
        "low|1|10\nhigh|1|5\nhigh|2|10"
    );
    EXPECT_TRUE(holds(out.refusal({.table = "out.w"}, Batch(Schema{{{.name = std::string(70, 'x')}}})), "63 bytes"));
}

TEST(PostgresTables, WidensAndKeepsColumnsThatNoLongerCome) {
    for (const char* mode : {"append", "merge", "replace"}) {
        SCOPED_TRACE(mode);
        PostgresOutput out;
        const OutputOptions options{
            .mode = mode,
            .key = std::string(mode) == "append" ? std::vector<std::string>{} : std::vector<std::string>{"id"}};
        out.write(options, numbers(2, 1));
        Batch wide(Schema{
            {{.name = "new \"one\"", .kind = Kind::decimal, .nullable = false, .precision = 5, .scale = 1},
             {.name = "id", .kind = Kind::int64}}});
        wide.column(0).add_text("1.5");
        wide.column(1).add_int64(9);
        const auto log = out.write(options, wide);
        EXPECT_TRUE(holds(log, "info: out.t gets a new column `new \"one\"` of type numeric(5,1)")) << log;
        EXPECT_EQ(out.psql("select id, v, \"new \"\"one\"\"\" from out.t where id = 9"), "9|NULL|1.5");
        EXPECT_EQ(out.psql("select count(*) from out.t"), std::string(mode) == "replace" ? "1" : "3");
    }
}

TEST(PostgresTables, Refusals) {
    PostgresOutput out;
    out.run(
        "create schema out; create view out.w as select 1 as id; create table out.t (id integer, v text, needed bigint "
        "not null)"
    );
    EXPECT_TRUE(holds(out.refusal({.table = "out.w"}, numbers(1, 1)), "sink.invalid: out.w is there and is not a table")
    );
    EXPECT_TRUE(holds(out.refusal({}, numbers(1, 1)), "column `needed` of out.t is NOT NULL"));
    out.run("alter table out.t drop column needed");
    const auto misfit = out.refusal({}, numbers(1, 1));
    EXPECT_TRUE(holds(misfit, "column `v` is int64 and does not fit out.t.v, which is text")) << misfit;
    EXPECT_TRUE(holds(misfit, "ALTER TABLE \"out\".\"t\" ALTER COLUMN \"v\" TYPE bigint")) << misfit;
    out.run("alter table out.t alter column v type smallint using 1");
    const auto large = out.refusal({}, numbers(1, 40'000));
    EXPECT_TRUE(holds(large, "row 0: column `v` `40000` is too large")) << large;
    const auto no_key = out.refusal({.mode = "merge", .key = {"id"}}, numbers(1, 1));
    EXPECT_TRUE(holds(no_key, "no unique index on exactly (\"id\")")) << no_key;
    for (const char* useless :
         {"create unique index a on out.t (id) where id > 5",
          "create unique index b on out.t ((id + 1))",
          "create unique index c on out.t (id, v)",
          "alter table out.t add constraint d unique (id) deferrable"}) {
        out.run(useless);
        EXPECT_NE(out.refusal({.mode = "merge", .key = {"id"}}, numbers(1, 1)), "") << useless;
    }
    out.run("create unique index on out.t (v, id) include (v)");
    EXPECT_EQ(out.refusal({.mode = "merge", .key = {"id", "v"}}, numbers(1, 1)), "");
    // A DELETE would take the rows of `child` with it.
    out.run(
        "alter table out.t drop constraint d;"
        "create table child (id integer); alter table out.t add constraint k unique (id); alter table child add "
        "foreign key (id) references out.t (id) on delete cascade"
    );
    const auto cascade = out.refusal({}, numbers(1, 1));
    EXPECT_TRUE(holds(cascade, "would change other tables too: constraint child_id_fkey")) << cascade;
    EXPECT_EQ(out.psql("select count(*) from pg_tables where schemaname = 'headrace_staging'"), "1")
        << "of the attempt that was not refused";
}

TEST(PostgresTables, KeyThatIsNull) {
    PostgresOutput out;
    Batch batch(Schema{{{.name = "id", .kind = Kind::string, .nullable = true}}});
    batch.column(0).add_text("a");
    batch.column(0).add_null();
    EXPECT_TRUE(holds(out.refusal({.mode = "merge", .key = {"id"}}, batch), "row 1: column `id` is null"));
    EXPECT_EQ(out.stagings(), 0);
}

TEST(PostgresTables, RoleWithoutRights) {
    PostgresOutput out;
    const auto name = out.value("select current_database() as x");
    auto admin = postgres::Connection::connect({.url = support::servers().postgres().admin_url(name)});
    admin.script("alter database " + name + " owner to postgres");
    const auto problem = out.refusal({.table = "t"}, numbers(1, 1));
    EXPECT_TRUE(holds(problem, "our role may not make it | As the database's owner: CREATE SCHEMA headrace_staging"))
        << problem;
    admin.script(
        "create schema headrace_staging authorization headrace; create table public.t (id bigint, v bigint); grant all "
        "on public.t to headrace"
    );
    // Somebody else's table can be filled, not swapped.
    EXPECT_TRUE(holds(out.write({.table = "t"}, numbers(5, 1)), "its owner is another role"));
    EXPECT_EQ(out.psql("select count(*) from t"), "5");
}

void replace_under_readers(PostgresOutput& out, int times, const OutputOptions& options) {
    constexpr int rows = 700;
    out.write(options, numbers(rows, 0));
    support::TableReader reader(out.url(), rows);
    for (int i = 1; i <= times; ++i) {
        out.write(options, numbers(rows, i));
    }
    EXPECT_EQ(reader.stop(), "");
    EXPECT_GT(reader.reads(), times / 4);
    EXPECT_EQ(out.psql("select count(*), min(v), max(v) from out.t"), fmt::format("{}|{}|{}", rows, times, times));
}

TEST(PostgresTables, ReadersNeverSeeHalfATable) {
    PostgresOutput out;
    replace_under_readers(out, 200, {.key = {"id"}});
}

TEST(PostgresTables, ReadersNeverSeeHalfATableThatAViewHolds) {
    PostgresOutput out;
    out.write({.key = {"id"}}, numbers(700, 0));
    out.run("create view w as select * from out.t");
    replace_under_readers(out, 50, {.key = {"id"}});
}

TEST(PostgresTables, ReadersSeeAMergeWhole) {
    PostgresOutput out;
    replace_under_readers(out, 50, {.mode = "merge", .key = {"id"}});
}

}  // namespace
}  // namespace headrace
