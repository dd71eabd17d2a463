#include "base/error.hpp"
#include "check/checks.hpp"
#include "check/keys.hpp"

#include <gtest/gtest.h>

namespace headrace::check {
namespace {

pipeline::Rejects no_rejects;  // bad rows throw

using data::Batch;
using data::Kind;

std::unique_ptr<pipeline::Check>
make(const std::string& name, const std::string& value, const std::vector<std::string>& list = {}) {
    pipeline::Part part;
    part.type = name;
    if (!list.empty()) {
        part.options.lists["value"] = list;
    }
    part.options.values[list.empty() ? "value" : "max_keys"] = value;
    for (const auto& type : types()) {
        if (type.name == name) {
            return type.make(part);
        }
    }
    throw std::runtime_error("no such check");
}

std::string code_of(const std::function<void()>& work) {
    try {
        work();
        return "";
    } catch (const Error& error) {
        return error.code();
    }
}

std::string verdict(const std::string& name, const std::string& value, std::uint64_t rows, std::int64_t before) {
    return code_of([&] { make(name, value)->verdict(rows, before); });
}

TEST(Check, Rows) {
    EXPECT_EQ(verdict("min_rows", "10", 9, -1), "check.min_rows");
    EXPECT_EQ(verdict("min_rows", "10", 10, -1), "");
    EXPECT_EQ(verdict("min_rows", "0", 0, -1), "");
    EXPECT_EQ(verdict("max_drop", "50%", 50, 100), "");
    EXPECT_EQ(verdict("max_drop", "50%", 49, 100), "check.max_drop");
    EXPECT_EQ(verdict("max_drop", "50%", 1'000, 100), "");
    EXPECT_EQ(verdict("max_drop", "0%", 99, 100), "check.max_drop");
    EXPECT_EQ(verdict("max_drop", "12.5%", 875, 1000), "");
    EXPECT_EQ(verdict("max_drop", "12.5%", 874, 1000), "check.max_drop");
    EXPECT_EQ(verdict("max_drop", "50%", 0, -1), "");  // nothing to compare with
    EXPECT_EQ(verdict("max_drop", "50%", 0, 0), "");
    EXPECT_EQ(verdict("rows_change_max", "50%", 150, 100), "");
    EXPECT_EQ(verdict("rows_change_max", "50%", 151, 100), "check.rows_change");
    EXPECT_EQ(verdict("rows_change_max", "50%", 49, 100), "check.rows_change");
    EXPECT_EQ(verdict("rows_change_max", "200%", 300, 100), "");
    EXPECT_EQ(verdict("rows_change_max", "50%", UINT64_MAX, INT64_MAX), "check.rows_change");
    for (const char* bad : {"", "50", "%", "-1%", "50 %", "50%%", "nan%", "1e9%"}) {
        EXPECT_EQ(code_of([&] { make("max_drop", bad); }), "pipeline.invalid") << bad;
    }
    EXPECT_EQ(code_of([&] { make("min_rows", "-1"); }), "pipeline.invalid");
}

Batch pairs(const std::vector<std::pair<std::string, std::int64_t>>& rows) {
    data::Schema schema;
    schema.fields = {{"a", Kind::string, true}, {"b", Kind::int64, true}};
    Batch batch(schema);
    for (const auto& [a, b] : rows) {
        if (a == "null") {
            batch.column(0).add_null();
        } else {
            batch.column(0).add_text(a);
        }
        batch.column(1).add_int64(b);
    }
    return batch;
}

TEST(Check, NotNull) {
    const auto check = make("not_null", "", {"b", "a"});
    auto batch = pairs({{"x", 1}, {"y", 2}});
    check->prepare(batch.schema());
    check->see(batch, no_rejects);
    batch = pairs({{"x", 1}, {"null", 2}});
    batch.first_row = 10;
    try {
        check->see(batch, no_rejects);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), "check.not_null");
        EXPECT_EQ(error.message(), "`a` is null in row 12");
    }
    EXPECT_EQ(code_of([&] { make("not_null", "", {"c"})->prepare(batch.schema()); }), "pipeline.invalid");
}

TEST(Check, Unique) {
    const auto run = [](const std::vector<std::string>& columns,
                        const std::vector<std::pair<std::string, std::int64_t>>& rows) {
        const auto check = make("unique", "100", columns);
        const auto batch = pairs(rows);
        check->prepare(batch.schema());
        return code_of([&] {
            for (std::size_t i = 0; i < rows.size(); ++i) {  // one row at a time: the set outlives a batch
                check->see(pairs({rows[i]}), no_rejects);
            }
        });
    };
    EXPECT_EQ(run({"a"}, {{"x", 1}, {"y", 1}}), "");
    EXPECT_EQ(run({"a"}, {{"x", 1}, {"y", 1}, {"x", 2}}), "check.unique");
    EXPECT_EQ(run({"a", "b"}, {{"x", 1}, {"y", 1}, {"x", 2}}), "");
    EXPECT_EQ(run({"b", "a"}, {{"x", 1}, {"y", 1}, {"x", 1}}), "check.unique");
    EXPECT_EQ(run({"a"}, {{"", 1}, {"null", 1}}), "");
    EXPECT_EQ(run({"a"}, {{"null", 1}, {"null", 2}}), "check.unique");
    std::vector<std::pair<std::string, std::int64_t>> many;
    for (int i = 0; i < 101; ++i) {
        many.emplace_back(std::to_string(i), i);
    }
    EXPECT_EQ(run({"a"}, many), "check.unique_limit");
}

TEST(KeySet, RemembersAll) {
    KeySet set;
    for (int i = 0; i < 300'000; ++i) {
        ASSERT_TRUE(set.insert(std::to_string(i)));
    }
    for (int i = 0; i < 300'000; i += 7) {
        ASSERT_FALSE(set.insert(std::to_string(i)));
    }
    EXPECT_EQ(set.size(), 300'000U);
    EXPECT_LT(set.memory(), 300'000U * 31);
}

}  // namespace
}  // namespace headrace::check
