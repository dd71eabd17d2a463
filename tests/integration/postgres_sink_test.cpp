// The postgres sink on a real server: every type, append, merge, keys.
#include "support/postgres_output.hpp"
#include "support/servers.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace headrace {
namespace {

using data::Batch;
using data::Kind;
using data::Schema;
using support::holds;
using support::numbers;
using support::OutputOptions;
using support::PostgresOutput;

TEST(PostgresSink, EveryKindAsPsqlShowsIt) {
    const Schema schema{
        {{.name = "b", .kind = Kind::boolean, .nullable = true},
         {.name = "i", .kind = Kind::int64, .nullable = true},
         {.name = "u", .kind = Kind::uint64, .nullable = true},
         {.name = "f", .kind = Kind::float64, .nullable = true},
         {.name = "d", .kind = Kind::decimal, .nullable = true, .precision = 20, .scale = 4},
         {.name = "n", .kind = Kind::decimal, .nullable = true},
         {.name = "s", .kind = Kind::string, .nullable = true},
         {.name = "y", .kind = Kind::bytes, .nullable = true},
         {.name = "dt", .kind = Kind::date, .nullable = true},
         {.name = "t", .kind = Kind::time, .nullable = true},
         {.name = "ts", .kind = Kind::timestamp, .nullable = true},
         {.name = "j", .kind = Kind::json, .nullable = true}}};
    Batch batch(schema);
    const auto row = [&](bool b,
                         std::int64_t i,
                         std::uint64_t u,
                         double f,
                         std::string_view d,
                         std::string_view n,
                         std::string_view s,
                         std::string_view y,
                         std::int64_t dt,
                         std::int64_t t,
                         std::int64_t ts,
                         std::string_view j) {
        std::size_t c = 0;
        batch.column(c++).add_boolean(b);
        batch.column(c++).add_int64(i);
        batch.column(c++).add_uint64(u);
        batch.column(c++).add_float64(f);
        for (const auto& text : {d, n, s, y}) {
            batch.column(c++).add_text(text);
        }
        for (const auto number : {dt, t, ts}) {
            batch.column(c++).add_int64(number);
        }
        batch.column(c).add_text(j);
    };
    using namespace std::string_view_literals;
    row(true,
        INT64_MIN,
        UINT64_MAX,
        0.1,
        "-9999999999999999.9999",
        "123456789012345678901234567890.000000000000000000012340",
        "Київ 東京 🚀 'quote' \\ \"x\"",
        "\0\x01\xff"sv,
        -2'451'545 + 10'957,
        0,
        -210'866'803'200'000'000,
        R"({"a": [1, "\u00e4"]})");
    row(false, INT64_MAX, 0, -0.0, "0.0000", "-0.1", "", "", 0, 86'399'999'999, -1, "null");
    row(true,
        0,
        10'000,
        std::numeric_limits<double>::quiet_NaN(),
        "1.5",
        "0",
        "a\0b\xff"sv,
        "text",
        2'145'031'948 + 10'957,
        86'400'000'000,
        253'402'300'799'999'999,
        R"(["\u0000", "\ud83d", 12345678901234567890.123])");
    row(false,
        -1,
        1,
        -std::numeric_limits<double>::infinity(),
        "-1",
        "1000000000000",
        "x",
        "y",
        20'000,
        45'296'123'456,
        INT64_MAX,
        R"("\\u0000")");
    for (std::size_t c = 0; c < batch.width(); ++c) {
        batch.column(c).add_null();
    }
    PostgresOutput out;
    const auto log = out.write({}, batch);
    EXPECT_EQ(
        out.psql("select b, i, u, f, d, n, s, y, dt, t, ts, j from out.t"),
        "t|-9223372036854775808|18446744073709551615|0.1|-9999999999999999.9999|123456789012345678901234567890."
        "000000000000000000012340|Київ 東京 🚀 'quote' \\ \"x\"|\\x0001ff|4714-11-24 BC|00:00:00|4714-11-24 "
        "00:00:00+00 BC|"
        "{\"a\": [1, \"ä\"]}\n"
        "f|9223372036854775807|0|-0|0.0000|-0.1||\\x|1970-01-01|23:59:59.999999|1969-12-31 23:59:59.999999+00|null\n"
        "t|0|10000|NaN|1.5000|0|a\xEF\xBF\xBD"
        "b\xEF\xBF\xBD|\\x74657874|5874897-12-31|24:00:00|9999-12-31 "
        "23:59:59.999999+00|[\"\xEF\xBF\xBD\", \"\xEF\xBF\xBD\", 12345678901234567890.123]\n"
        "f|-1|1|-Infinity|-1.0000|1000000000000|x|\\x79|2024-10-04|12:34:56.123456|294247-01-10 04:00:54.775807+00|"
        "\"\\\\u0000\"\n"
        "NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL"
    );
    EXPECT_EQ(
        out.psql("select string_agg(format_type(atttypid, atttypmod), ' ' order by attnum) from pg_attribute where "
                 "attrelid = 'out.t'::regclass and attnum > 0"),
        "boolean bigint numeric(20,0) double precision numeric(20,4) numeric text bytea date time without time zone "
        "timestamp with time zone jsonb"
    );
    EXPECT_TRUE(holds(log, "info: the table out.t is not there")) << log;
    EXPECT_TRUE(holds(log, "warn: 1 value of `s` held bytes")) << log;
    EXPECT_TRUE(holds(log, "warn: 1 value of `j` held bytes")) << log;
}

// Each value is asked for in another way than it was sent: through text, and through arithmetic of Postgres.
TEST(PostgresSink, RandomValuesComeBack) {
    std::mt19937_64 random(support::seed());
    Batch batch(Schema{
        {{.name = "n", .kind = Kind::int64},
         {.name = "d", .kind = Kind::decimal},
         {.name = "f", .kind = Kind::float64},
         {.name = "ts", .kind = Kind::timestamp},
         {.name = "s", .kind = Kind::string}}});
    std::vector<std::string> expected;
    for (int i = 0; i < 3000; ++i) {
        std::string decimal = random() % 2 ? "-" : "";
        for (std::size_t digits = 1 + random() % 40; digits > 0; --digits) {
            decimal += static_cast<char>('0' + (random() % 3 == 0 ? random() % 10 : 0));
        }
        if (random() % 3 != 0) {
            decimal += '.';
            for (std::size_t digits = 1 + random() % 40; digits > 0; --digits) {
                decimal += static_cast<char>('0' + (random() % 3 == 0 ? random() % 10 : 0));
            }
        }
        auto f = std::bit_cast<double>(random());
        f = std::isfinite(f) ? f : 1.5;
        const auto ts = static_cast<std::int64_t>(random() % 500'000'000'000'000'000) - 200'000'000'000'000'000;
        std::string s;
        for (std::size_t length = random() % 60; length > 0; --length) {
            s += std::string_view("a\\'\"\n\tЖ東🚀|{}$").substr(random() % 8, 1).front() & 0x7f;
        }
        batch.column(0).add_int64(i);
        batch.column(1).add_text(decimal);
        batch.column(2).add_float64(f);
        batch.column(3).add_int64(ts);
        batch.column(4).add_text(s);
        expected.push_back(fmt::format("{}|{}|{}|{}", decimal, std::bit_cast<std::uint64_t>(f), ts, s));
    }
    PostgresOutput out;
    out.write({.table = "t", .mode = "append"}, batch);
    const auto rows = out.db().exec(
        "select d::text as d, f, (extract(epoch from ts) * 1000000)::bigint as ts, s, d - $1::numeric as zero from t "
        "order by n",
        {"0"}
    );
    ASSERT_EQ(rows.rows(), expected.size());
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        const auto f = std::strtod(std::string(rows.text(i, "f")).c_str(), nullptr);
        const auto sent = expected[i].substr(0, expected[i].find('|'));
        ASSERT_EQ(
            out.value(fmt::format("select ('{}'::numeric::text = '{}')::text as x", sent, rows.text(i, "d"))), "true"
        ) << sent
          << " became " << rows.text(i, "d") << ", seed " << support::seed();
        ASSERT_EQ(
            fmt::format("{}|{}|{}|{}", sent, std::bit_cast<std::uint64_t>(f), rows.text(i, "ts"), rows.text(i, "s")),
            expected[i]
        ) << "seed "
          << support::seed();
        if (i > 300) {
            i += 20;
        }
    }
}

TEST(PostgresSink, AppendAddsAndMergeUpdates) {
    PostgresOutput out;
    out.write({.mode = "append"}, numbers(3, 1));
    out.write({.mode = "append"}, numbers(2, 2));
    EXPECT_EQ(out.psql("select id, v from out.t order by v, id"), "0|1\n1|1\n2|1\n0|2\n1|2");
    const OutputOptions merge{.table = "out.m", .mode = "merge", .key = {"id"}};
    out.write(merge, numbers(3, 1));
    EXPECT_EQ(
        out.psql("select pg_get_constraintdef(oid), conname from pg_constraint where conrelid = 'out.m'::regclass"),
        "PRIMARY KEY (id)|m_pkey"
    );
    out.run("create table before as select ctid as place, id from out.m");
    auto second = numbers(1, 1, 1);
    second.append_rows(numbers(2, 5, 2), 0, 2);
    out.write(merge, second);
    EXPECT_EQ(out.psql("select id, v from out.m order by id"), "0|1\n1|1\n2|5\n3|5");
    EXPECT_EQ(out.psql("select id from out.m join before using (id) where m.ctid = place order by id"), "0\n1")
        << "what is the same is not written again";
    EXPECT_EQ(out.stagings(), 0);
    // A result without rows changes nothing.
    out.write(merge, numbers(0, 0));
    out.write({.mode = "append"}, numbers(0, 0));
    EXPECT_EQ(out.psql("select count(*) from out.m"), "4");
    EXPECT_EQ(out.stagings(), 0);
}

TEST(PostgresSink, OfRowsWithOneKeyTheLastOneStays) {
    PostgresOutput out;
    auto twice = numbers(1000, 1);
    twice.append_rows(numbers(300, 2, 100), 0, 300);
    twice.append_rows(numbers(10, 3, 100), 0, 10);
    for (const char* mode : {"merge", "merge", "replace"}) {
        const auto log = out.write({.mode = mode, .key = {"id"}}, twice);
        EXPECT_TRUE(holds(log, "warn: 310 of 1310 rows share a key")) << log;
        EXPECT_EQ(
            out.psql("select v, count(*), min(id), max(id) from out.t group by v order by v"),
            "1|700|0|999\n2|290|110|399\n3|10|100|109"
        );
        out.run("update out.t set v = 9 where id % 3 = 0");
    }
    out.run("create view w as select * from out.t");
    const auto log = out.write({.mode = "replace", .key = {"id"}}, twice);
    EXPECT_TRUE(holds(log, "warn: 310 of 1310")) << log;
    EXPECT_EQ(out.psql("select count(*), sum(v) from w"), "1000|1310");
}

}  // namespace
}  // namespace headrace
