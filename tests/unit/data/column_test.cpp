#include "data/batch.hpp"
#include "data/decimal.hpp"
#include "data/time_text.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <optional>
#include <random>
#include <vector>

namespace headrace::data {
namespace {

using Model = std::vector<std::optional<std::string>>;

Column column_of(Kind kind, const Model& model) {
    Column column(kind);
    for (const auto& value : model) {
        if (!value) {
            column.add_null();
        } else if (is_var(kind)) {
            column.add_text(*value);
        } else {
            column.add_int64(std::stoll(*value));
        }
    }
    return column;
}

void expect_same(const Column& column, const Model& model) {
    ASSERT_EQ(column.size(), model.size());
    for (std::size_t row = 0; row < model.size(); ++row) {
        ASSERT_EQ(column.is_null(row), !model[row].has_value()) << row;
        if (model[row]) {
            ASSERT_EQ(
                is_var(column.kind()) ? std::string(column.text(row)) : std::to_string(column.int64(row)), *model[row]
            ) << row;
        }
    }
}

// filter, truncate, append_rows and appending after each of them, against a plain vector.
TEST(Column, AgainstModel) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    std::mt19937_64 random(seed);
    for (int round = 0; round < 2'000; ++round) {
        const Kind kind = round % 2 == 0 ? Kind::string : Kind::int64;
        const auto make = [&] {
            Model model;
            for (auto n = random() % 150; n > 0; --n) {
                if (random() % 3 == 0) {
                    model.emplace_back();
                } else {
                    model.emplace_back(std::to_string(random() % 100'000));
                }
            }
            return model;
        };
        auto model = make();
        auto column = column_of(kind, model);
        for (int step = 0; step < 4; ++step) {
            switch (random() % 3) {
                case 0: {
                    std::vector<std::uint8_t> keep(model.size() + 1);
                    Model kept;
                    for (std::size_t i = 0; i < model.size(); ++i) {
                        keep[i] = random() % 2;
                        if (keep[i] != 0) {
                            kept.push_back(model[i]);
                        }
                    }
                    column.filter(keep.data());
                    model = kept;
                    break;
                }
                case 1: {
                    const auto rows = random() % (model.size() + 1);
                    column.truncate(rows);
                    model.resize(rows);
                    break;
                }
                default: {
                    const auto other = make();
                    const auto from = random() % (other.size() + 1);
                    const auto to = from + random() % (other.size() - from + 1);
                    column.append_rows(column_of(kind, other), from, to);
                    model.insert(
                        model.end(),
                        other.begin() + static_cast<std::ptrdiff_t>(from),
                        other.begin() + static_cast<std::ptrdiff_t>(to)
                    );
                }
            }
            expect_same(column, model);
        }
    }
}

// Whatever is done to a column, it never says that a text needs no escapes which does.
TEST(Column, KnowsTextsThatNeedNoEscapes) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    std::mt19937_64 random(seed);
    int known = 0;
    for (int round = 0; round < 2'000; ++round) {
        Column column(Kind::string);
        Column other(Kind::string);
        const bool only_quotable = round % 2 == 0;
        const auto add = [&](Column& to) {
            const auto what = random() % 4;
            if (what == 0) {
                to.add_null();
            } else if (what == 1 && !only_quotable) {
                to.add_text(std::string(random() % 40, '"'));
            } else if (what == 2 && !only_quotable) {
                const std::string text(random() % 40, '\\');
                to.var_bytes().append(text.data(), text.size());
                to.var_ends().push_back(static_cast<std::uint32_t>(to.var_bytes().size()));
                to.added_var(1);
            } else {
                const std::string text(random() % 200, 'x');
                to.add_quotable_text({(text + std::string(buffer_padding, ' ')).data(), text.size()});
            }
        };
        for (int step = 0; step < 30; ++step) {
            switch (random() % 12) {
                case 0: {
                    std::vector<std::uint8_t> keep(column.size() + 1);
                    for (auto& one : keep) {
                        one = random() % 2;
                    }
                    column.filter(keep.data());
                    break;
                }
                case 1:
                    column.truncate(random() % (column.size() + 1));
                    break;
                case 2:
                    column.append_rows(other, other.size() / 2, other.size());
                    break;
                case 3:
                    column.clear();
                    break;
                case 4:
                    add(other);
                    break;
                default:
                    add(column);
            }
            bool needs_none = true;
            for (std::size_t row = 0; row < column.size(); ++row) {
                needs_none = needs_none && column.text(row).find_first_of("\"\\") == std::string_view::npos;
            }
            ASSERT_TRUE(needs_none || !column.quotable());
            ASSERT_TRUE(column.quotable() || !only_quotable);
            known += column.quotable() ? 1 : 0;
        }
    }
    EXPECT_GT(known, 30'000);
}

TEST(Batch, ColumnsStayInStep) {
    Schema schema;
    schema.fields = {{"a", Kind::int64}, {"b", Kind::string}, {"c", Kind::date}};
    Batch batch(schema);
    batch.column(0).add_int64(1);
    batch.column(1).add_text("x");
    batch.column(2).add_int64(3);
    batch.select({2, 0});
    EXPECT_EQ(batch.width(), 2U);
    EXPECT_EQ(batch.schema().fields[0].name, "c");
    EXPECT_EQ(batch.column(1).int64(0), 1);
    batch.add({"d", Kind::string}).add_text("new");
    batch.rename(2, "e");
    batch.drop(0);
    EXPECT_EQ(batch.schema().fields[1].name, "e");
    EXPECT_EQ(batch.column(1).text(0), "new");
    Column replacement(Kind::boolean);
    replacement.add_boolean(true);
    batch.replace(0, {"a", Kind::boolean}, std::move(replacement));
    EXPECT_TRUE(batch.column(0).boolean(0));
    batch.reset(schema);
    EXPECT_EQ(batch.rows(), 0U);
    EXPECT_EQ(batch.schema(), schema);
    EXPECT_EQ(batch.column(1).kind(), Kind::string);
}

TEST(Schema, TypesAndHash) {
    EXPECT_EQ(parse_type("decimal(12,2)!")->scale, 2);
    EXPECT_EQ(parse_type("decimal( 12 , 2 )")->precision, 12);
    EXPECT_FALSE(parse_type("int64!")->nullable);
    EXPECT_TRUE(parse_type("int64")->nullable);
    for (const char* bad :
         {"",
          "int",
          "int64(3)",
          "decimal(",
          "decimal(2,3)",
          "decimal(0)",
          "decimal(1,1,1)",
          "decimal(x)",
          "decimal(300,1)"}) {
        EXPECT_FALSE(parse_type(bad)) << bad;
    }
    EXPECT_EQ(type_text(*parse_type("decimal(12,2)!")), "decimal(12,2)!");
    Schema a;
    a.fields = {{"x", Kind::int64}};
    auto b = a;
    EXPECT_EQ(a.hash(), b.hash());
    EXPECT_EQ(a.hash().size(), 16U);
    b.fields[0].nullable = true;
    EXPECT_NE(a.hash(), b.hash());
    b = a;
    b.fields[0].name = "y";
    EXPECT_NE(a.hash(), b.hash());
}

TEST(Decimal, ParseCompareText) {
    for (const char* bad : {"", "-", "1..2", "1e", "1e1001", " 1", "1 ", "0x1", "nan", "--1", "."}) {
        EXPECT_FALSE(parse_decimal(bad)) << bad;
    }
    EXPECT_EQ(*parse_decimal("1200"), *parse_decimal("1.2e3"));
    EXPECT_EQ(*parse_decimal("-0.00"), *parse_decimal("0"));
    EXPECT_EQ(*to_text(*parse_decimal("12.3"), 2), "12.30");
    EXPECT_EQ(*to_text(*parse_decimal("-0.05"), 2), "-0.05");
    EXPECT_EQ(*to_text(*parse_decimal("0"), 2), "0.00");
    EXPECT_EQ(*to_text(*parse_decimal("1200"), 0), "1200");
    EXPECT_FALSE(to_text(*parse_decimal("0.005"), 2));
    const char* ordered[] = {
        "-100.5", "-100", "-0.3", "0", "0.0000001", "0.29", "0.3", "1", "9", "10", "99999999999999999999999.5", "1e40"};
    for (std::size_t i = 0; i < std::size(ordered); ++i) {
        for (std::size_t k = 0; k < std::size(ordered); ++k) {
            EXPECT_EQ(
                compare(*parse_decimal(ordered[i]), *parse_decimal(ordered[k])),
                i < k   ? -1
                : i > k ? 1
                        : 0
            ) << ordered[i]
              << ' ' << ordered[k];
        }
    }
    EXPECT_EQ(to_int64(*parse_decimal("-9223372036854775808")), INT64_MIN);
    EXPECT_FALSE(to_int64(*parse_decimal("9223372036854775808")));
    EXPECT_EQ(to_uint64(*parse_decimal("18446744073709551615")), UINT64_MAX);
    EXPECT_FALSE(to_uint64(*parse_decimal("18446744073709551616")));
    EXPECT_FALSE(to_int64(*parse_decimal("1.5")));
}

TEST(TimeText, ReadsWhatItWrites) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 20'000; ++i) {
        char out[time_text_max];
        const auto micros = static_cast<std::int64_t>(random() % 250'000'000'000'000'000ULL) - 60'000'000'000'000'000LL;
        EXPECT_EQ(parse_timestamp({out, write_timestamp(out, micros)}), micros) << std::string(out, 30);
        const auto days = static_cast<std::int64_t>(random() % 3'600'000) - 719'528;
        if (days <= 2'932'896) {
            EXPECT_EQ(parse_date({out, write_date(out, days)}), days);
        }
        const auto time = static_cast<std::int64_t>(random() % 86'400'000'000);
        EXPECT_EQ(parse_time({out, write_time(out, time)}), time);
    }
    EXPECT_EQ(parse_timestamp("2026-11-21T18:00:01.102+02:00"), 1'795'276'801'102'000);
    EXPECT_EQ(parse_timestamp("2026-11-21 18:00:01"), 1'795'284'001'000'000);
    EXPECT_EQ(parse_timestamp("2026-11-21"), 1'795'219'200'000'000);
    for (const char* bad :
         {"",
          "2026-02-30",
          "2026-13-01",
          "2026-1-01",
          "2026-11-21T25:00:00Z",
          "2026-11-21T18:00:01.1234567Z",
          "2026-11-21T18:00:01.Z",
          "2026-11-21x",
          "2026-11-21T18:00:01+2",
          "2025-02-29"}) {
        EXPECT_FALSE(parse_timestamp(bad)) << bad;
    }
}

}  // namespace
}  // namespace headrace::data
