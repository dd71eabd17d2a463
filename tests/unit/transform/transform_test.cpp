#include "base/error.hpp"
#include "data/json.hpp"
#include "transform/transforms.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace headrace::transform {
namespace {

pipeline::Rejects no_rejects;  // bad rows throw

using data::Batch;
using data::Kind;
using data::Schema;

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::unique_ptr<pipeline::Transform> make(const std::string& name, pipeline::Part part) {
    part.type = name;
    for (const auto& type : types()) {
        if (type.name == name) {
            return type.make(part);
        }
    }
    throw std::runtime_error("no such step");
}

std::unique_ptr<pipeline::Transform> make(const std::string& name, const std::string& value) {
    pipeline::Part part;
    part.options.values["value"] = value;
    return make(name, part);
}

std::unique_ptr<pipeline::Transform> make(const std::string& name, const std::vector<std::string>& list) {
    pipeline::Part part;
    part.options.lists["value"] = list;
    return make(name, part);
}

// Six rows; the last one is all null.
Batch sample() {
    Schema schema;
    schema.fields = {
        {"id", Kind::int64, true},
        {"big", Kind::uint64, true},
        {"price", Kind::decimal, true, 12, 2},
        {"ratio", Kind::float64, true},
        {"city", Kind::string, true},
        {"active", Kind::boolean, true},
        {"day", Kind::date, true},
        {"seen", Kind::timestamp, true},
        {"doc", Kind::json, true},
        {"at", Kind::time, true}};
    Batch batch(schema);
    const char* prices[] = {"-0.01", "0.00", "9.99", "10.00", "123456789012345678901234.50"};
    const char* cities[] = {"Lviv", "Київ", "it's", "", "Odesa"};
    const std::int64_t ids[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    const std::uint64_t bigs[] = {0, 1, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX};
    const double ratios[] = {-1.5, -0.0, 0.25, 1e300, std::nan("")};
    for (std::size_t i = 0; i < 5; ++i) {
        batch.column(0).add_int64(ids[i]);
        batch.column(1).add_uint64(bigs[i]);
        batch.column(2).add_text(prices[i]);
        batch.column(3).add_float64(ratios[i]);
        batch.column(4).add_text(cities[i]);
        batch.column(5).add_boolean(i % 2 == 0);
        batch.column(6).add_int64(static_cast<std::int64_t>(i));
        batch.column(7).add_int64(static_cast<std::int64_t>(i) * 43'200'000'000);
        batch.column(8).add_text("{}");
        batch.column(9).add_int64(static_cast<std::int64_t>(i) * 3'600'000'000);
    }
    for (std::size_t i = 0; i < schema.size(); ++i) {
        batch.column(i).add_null();
    }
    return batch;
}

std::string code_of(const std::function<void()>& work) {
    try {
        work();
        return "";
    } catch (const Error& error) {
        return error.code();
    }
}

// Which rows stay, as digits.
std::string kept(const std::string& filter) {
    auto batch = sample();
    batch.add({"row", Kind::int64});
    for (std::int64_t row = 0; row < 6; ++row) {
        batch.column(10).add_int64(row);
    }
    const auto step = make("filter", filter);
    step->prepare(batch.schema());
    const auto out = step->apply(batch, no_rejects);
    EXPECT_EQ(out, 6 - batch.rows());
    std::string rows;
    for (std::size_t row = 0; row < batch.rows(); ++row) {
        rows += std::to_string(batch.column(10).int64(row));
    }
    return rows;
}

TEST(Filter, Numbers) {
    EXPECT_EQ(kept("id > 0"), "34");
    EXPECT_EQ(kept("id >= 0"), "234");
    EXPECT_EQ(kept("id = -1"), "1");
    EXPECT_EQ(kept("id < 0.5"), "012");
    EXPECT_EQ(kept("id > 0.5"), "34");
    EXPECT_EQ(kept("id > -0.5"), "234");
    EXPECT_EQ(kept("id <= -0.5"), "01");
    EXPECT_EQ(kept("id = 0.5"), "");
    EXPECT_EQ(kept("id != 0.5"), "01234");
    EXPECT_EQ(kept("id = 9223372036854775807"), "4");
    EXPECT_EQ(kept("id < 9223372036854775807"), "0123");  // a double could not tell
    EXPECT_EQ(kept("id < 99999999999999999999999999999"), "01234");
    EXPECT_EQ(kept("id > -1e40"), "01234");
    EXPECT_EQ(kept("big > 18446744073709551614"), "4");
    EXPECT_EQ(kept("big >= 9223372036854775808"), "234");
    EXPECT_EQ(kept("big > -1"), "01234");
    EXPECT_EQ(kept("price > 0"), "234");
    EXPECT_EQ(kept("price >= 9.990"), "234");
    EXPECT_EQ(kept("price > 123456789012345678901234.49"), "4");
    EXPECT_EQ(kept("price = 0"), "1");
    EXPECT_EQ(kept("ratio < 0"), "0");
    EXPECT_EQ(kept("ratio = 0"), "1");
    EXPECT_EQ(kept("ratio != 0.25"), "0134");  // NaN is unequal to everything
    EXPECT_EQ(kept("ratio >= -1e308"), "0123");
    EXPECT_EQ(kept("id in (1, -1, 7)"), "13");
    EXPECT_EQ(kept("id not in (1, -1)"), "024");
    EXPECT_EQ(kept("id < big"), "01234");
}

TEST(Filter, OtherKinds) {
    EXPECT_EQ(kept("city = 'Київ'"), "1");
    EXPECT_EQ(kept("city = 'it''s'"), "2");
    EXPECT_EQ(kept("city <> ''"), "0124");
    EXPECT_EQ(kept("city >= 'M'"), "124");
    EXPECT_EQ(kept("active"), "024");
    EXPECT_EQ(kept("not active"), "13");
    EXPECT_EQ(kept("active = false"), "13");
    EXPECT_EQ(kept("day > '1970-01-02'"), "234");
    EXPECT_EQ(kept("seen >= '1970-01-01T12:00:00Z'"), "1234");
    EXPECT_EQ(kept("seen = '1970-01-02'"), "2");
    EXPECT_EQ(kept("at < '02:00:00'"), "01");
    EXPECT_EQ(kept("doc is null"), "5");
    EXPECT_EQ(kept("`city` is not null AND \"id\" IS NOT NULL"), "01234");
}

// SQL's rules for unknown.
TEST(Filter, NullsAndLogic) {
    EXPECT_EQ(kept("id > 0 or id <= 0"), "01234");
    EXPECT_EQ(kept("not (id > 0)"), "012");
    EXPECT_EQ(kept("id > 0 or city is null"), "345");
    EXPECT_EQ(kept("not (id > 0 and city is not null)"), "0125");  // unknown and no = no
    EXPECT_EQ(kept("id = 1 or id = 0 and price < 0"), "3");        // and binds closer
    EXPECT_EQ(kept("(id = 1 or id = 0) and price < 10"), "2");
    EXPECT_EQ(kept("not not active"), "024");
    EXPECT_EQ(kept("id = id"), "01234");
}

TEST(Filter, Refusals) {
    const auto schema = sample().schema();
    for (const std::string bad :
         {"",
          "id >",
          "id > 'x'",
          "id >> 1",
          "nope = 1",
          "city = 5",
          "city = Lviv",
          "id = null",
          "id is",
          "(id > 1",
          "id > 1)",
          "id > 1 id",
          "5 > id",
          "city",
          "active = 1",
          "day > 'x'",
          "day > 5",
          "doc = '{}'",
          "id in ()",
          "id in (1",
          "id not 1",
          "id = 1 and",
          "'x",
          "id = 1e",
          "id = 1x",
          "price = city",
          "id ! 1",
          "and",
          "not",
          "seen > '2026-02-30'"}) {
        EXPECT_EQ(code_of([&] { make("filter", bad)->prepare(schema); }), "pipeline.invalid") << bad;
    }
    EXPECT_EQ(code_of([&] { make("filter", std::string(10'000, '(') + "id > 1"); }), "pipeline.invalid");
    std::string many = "id = 0";
    for (int i = 0; i < 1000; ++i) {
        many += " or id = 0";
    }
    EXPECT_EQ(code_of([&] { make("filter", many); }), "pipeline.invalid");
    try {
        make("filter", "id > 0 nad active");
    } catch (const Error& error) {
        EXPECT_NE(error.message().find("at character 8: expected and, or, or the end, found `nad`"), std::string::npos)
            << error.message();
    }
}

// One value through `cast`, as plain text; "" when it was refused.
std::string cast(data::Field from, const std::function<void(data::Column&)>& add, const std::string& type) {
    Schema schema;
    from.name = "v";
    schema.fields = {from};
    Batch batch(schema);
    add(batch.column(0));
    const auto step = make("cast", std::vector<std::string>{"v", type});
    const auto out = step->prepare(schema);
    try {
        step->apply(batch, no_rejects);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), "transform.value");
        return "refused";
    }
    EXPECT_EQ(batch.schema(), out);
    data::Buffer<char> text;
    data::append_plain_value(text, batch.column(0), 0);
    return std::string(data::view(text));
}

std::string cast_text(const std::string& value, const std::string& type, Kind from = Kind::string) {
    return cast(
        {"v", from}, [&](data::Column& c) { c.add_text(value); }, type
    );
}

std::string cast_double(double value, const std::string& type) {
    return cast(
        {"v", Kind::float64}, [&](data::Column& c) { c.add_float64(value); }, type
    );
}

std::string cast_bits(Kind from, std::int64_t value, const std::string& type) {
    return cast(
        {"v", from}, [&](data::Column& c) { c.add_int64(value); }, type
    );
}

TEST(Cast, ExactOrRefused) {
    EXPECT_EQ(cast_text("9223372036854775807", "int64"), "9223372036854775807");
    EXPECT_EQ(cast_text("9223372036854775808", "int64"), "refused");
    EXPECT_EQ(cast_text("1.0", "int64"), "1");
    EXPECT_EQ(cast_text("1.5", "int64"), "refused");
    EXPECT_EQ(cast_text("", "int64"), "refused");
    EXPECT_EQ(cast_text(" 1", "int64"), "refused");
    EXPECT_EQ(cast_text("-1", "uint64"), "refused");
    EXPECT_EQ(cast_bits(Kind::int64, -1, "uint64"), "refused");
    EXPECT_EQ(cast_bits(Kind::uint64, -1, "int64"), "refused");
    EXPECT_EQ(cast_bits(Kind::uint64, 5, "int64"), "5");
    EXPECT_EQ(cast_bits(Kind::int64, 9'007'199'254'740'993, "float64"), "refused");
    EXPECT_EQ(cast_bits(Kind::int64, 9'007'199'254'740'992, "float64"), "9007199254740992");
    EXPECT_EQ(cast_text("0.1", "float64"), "0.1");
    EXPECT_EQ(cast_text("0.30000000000000004", "float64"), "0.30000000000000004");
    EXPECT_EQ(cast_text("3.141592653589793238", "float64"), "refused");
    EXPECT_EQ(cast_double(0.1, "decimal(10,2)"), "0.10");
    EXPECT_EQ(cast_double(0.125, "decimal(10,2)"), "refused");
    EXPECT_EQ(cast_double(1e300, "decimal(10,2)"), "refused");
    EXPECT_EQ(cast_double(std::nan(""), "decimal(10,2)"), "refused");
    EXPECT_EQ(cast_double(HUGE_VAL, "string"), "refused");
    EXPECT_EQ(cast_double(2.0, "int64"), "2");
    EXPECT_EQ(cast_double(2.5, "int64"), "refused");
    EXPECT_EQ(cast_text("12.30", "decimal(4,1)", Kind::decimal), "12.3");
    EXPECT_EQ(cast_text("12.34", "decimal(4,1)", Kind::decimal), "refused");
    EXPECT_EQ(cast_text("1234", "decimal(4,1)", Kind::decimal), "refused");
    EXPECT_EQ(cast_text("true", "boolean"), "true");
    EXPECT_EQ(cast_text("yes", "boolean"), "refused");
    EXPECT_EQ(cast_bits(Kind::int64, 1, "boolean"), "true");
    EXPECT_EQ(cast_bits(Kind::int64, 2, "boolean"), "refused");
    EXPECT_EQ(cast_text("2026-11-21", "date"), "2026-11-21");
    EXPECT_EQ(cast_text("2026-11-31", "date"), "refused");
    EXPECT_EQ(cast_bits(Kind::timestamp, 86'400'000'000, "date"), "1970-01-02");
    EXPECT_EQ(cast_bits(Kind::timestamp, 86'400'000'001, "date"), "refused");
    EXPECT_EQ(cast_bits(Kind::date, 1, "timestamp"), "1970-01-02T00:00:00.000Z");
    EXPECT_EQ(cast_bits(Kind::date, INT64_MAX, "timestamp"), "refused");
    EXPECT_EQ(cast_text("{\"a\":1}", "json"), "{\"a\":1}");
    EXPECT_EQ(cast_text("{a:1}", "json"), "refused");
    EXPECT_EQ(cast_bits(Kind::date, 0, "json"), "\"1970-01-01\"");
    EXPECT_EQ(cast_text("\xff", "string", Kind::bytes), "refused");
    EXPECT_EQ(cast_bits(Kind::boolean, 1, "int64"), "1");
}

TEST(Cast, NullsAndRefusals) {
    auto batch = sample();
    auto step = make("cast", std::vector<std::string>{"id", "string"});
    EXPECT_TRUE(step->prepare(batch.schema()).fields[0].nullable);
    step->apply(batch, no_rejects);
    EXPECT_TRUE(batch.column(0).is_null(5));
    EXPECT_EQ(batch.column(0).text(0), "-9223372036854775808");
    step = make("cast", std::vector<std::string>{"day", "string!"});
    EXPECT_FALSE(step->prepare(batch.schema()).fields[6].nullable);
    batch.first_row = 100;
    try {
        step->apply(batch, no_rejects);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.message(), "row 106, column `day`: is null");
    }
    EXPECT_EQ(code_of([] { make("cast", std::vector<std::string>{"id", "integer"}); }), "pipeline.invalid");
    EXPECT_EQ(
        code_of([&] {
            make("cast", std::vector<std::string>{"seen", "int64"})->prepare(sample().schema());
        }),
        "pipeline.invalid"
    );
    EXPECT_EQ(
        code_of([&] {
            make("cast", std::vector<std::string>{"nope", "int64"})->prepare(sample().schema());
        }),
        "pipeline.invalid"
    );
}

TEST(Columns, RenameDropSelectLimit) {
    auto batch = sample();
    auto step = make("rename", std::vector<std::string>{"id", "key", "city", "id"});
    auto schema = step->prepare(batch.schema());
    step->apply(batch, no_rejects);
    EXPECT_EQ(batch.schema(), schema);
    EXPECT_EQ(schema.fields[4].name, "id");
    step = make("select", std::vector<std::string>{"id", "key"});
    schema = step->prepare(batch.schema());
    step->apply(batch, no_rejects);
    EXPECT_EQ(batch.schema(), schema);
    EXPECT_EQ(batch.column(0).text(0), "Lviv");
    step = make("drop", std::vector<std::string>{"id"});
    schema = step->prepare(batch.schema());
    step->apply(batch, no_rejects);
    EXPECT_EQ(batch.schema(), schema);
    EXPECT_EQ(batch.width(), 1U);
    EXPECT_EQ(batch.rows(), 6U);
    step = make("limit", std::string("8"));
    EXPECT_EQ(step->prepare(batch.schema()), batch.schema());
    EXPECT_EQ(step->apply(batch, no_rejects), 0U);
    EXPECT_EQ(step->apply(batch, no_rejects), 4U);
    EXPECT_EQ(batch.rows(), 2U);
    EXPECT_EQ(step->apply(batch, no_rejects), 2U);
    const auto in = sample().schema();
    EXPECT_EQ(
        code_of([&] {
            make("rename", std::vector<std::string>{"id", "city"})->prepare(in);
        }),
        "pipeline.invalid"
    );
    EXPECT_EQ(code_of([&] { make("rename", std::vector<std::string>{"nope", "x"})->prepare(in); }), "pipeline.invalid");
    EXPECT_EQ(code_of([&] { make("select", std::vector<std::string>{"id", "id"})->prepare(in); }), "pipeline.invalid");
    EXPECT_EQ(code_of([&] { make("limit", std::string("-1")); }), "pipeline.invalid");
}

TEST(Set, ConstantsTakeTheColumnsKind) {
    auto batch = sample();
    const auto step = make(
        "set",
        std::vector<std::string>{
            "brand",
            "OVAGO",
            "weight",
            "5",
            "flag",
            "true",
            "code",
            "'007'",
            "none",
            "null",
            "price",
            "1.5",
            "city",
            "5"}
    );
    const auto schema = step->prepare(batch.schema());
    step->apply(batch, no_rejects);
    EXPECT_EQ(batch.schema(), schema);
    const data::JsonEncoder encoder(schema);
    data::Buffer<char> out;
    encoder.append_object(out, batch, 5);
    EXPECT_EQ(
        data::view(out),
        R"({"id":null,"big":null,"price":1.50,"ratio":null,"city":"5","active":null,"day":null,"seen":null,"doc":null,"at":null,)"
        R"("brand":"OVAGO","weight":5,"flag":true,"code":"007","none":null})"
    );
    EXPECT_EQ(
        code_of([&] {
            make("set", std::vector<std::string>{"id", "x"})->prepare(sample().schema());
        }),
        "pipeline.invalid"
    );
    EXPECT_EQ(
        code_of([&] {
            make("set", std::vector<std::string>{"new", "1", "new", "2"})->prepare(sample().schema());
        }),
        "pipeline.invalid"
    );
}

}  // namespace
}  // namespace headrace::transform
