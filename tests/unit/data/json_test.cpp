#include "data/json.hpp"

#include "base/encoding.hpp"
#include "base/json_text.hpp"
#include "data/number_text.hpp"

#include <boost/json.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <iostream>
#include <limits>
#include <random>

namespace headrace::data {
namespace {

std::string json_of(const Column& column, std::size_t row = 0) {
    Buffer<char> out;
    append_json_value(out, column, row);
    return std::string(view(out));
}

std::string plain_of(const Column& column, std::size_t row = 0) {
    Buffer<char> out;
    append_plain_value(out, column, row);
    return std::string(view(out));
}

Column fixed(Kind kind, std::int64_t value) {
    Column column(kind);
    column.add_int64(value);
    return column;
}

Column text(Kind kind, std::string_view value) {
    Column column(kind);
    column.add_text(value);
    return column;
}

std::string json_of(double value) {
    return json_of(fixed(Kind::float64, std::bit_cast<std::int64_t>(value)));
}

TEST(Json, Integers) {
    EXPECT_EQ(json_of(fixed(Kind::int64, INT64_MIN)), "-9223372036854775808");
    EXPECT_EQ(json_of(fixed(Kind::int64, INT64_MAX)), "9223372036854775807");
    EXPECT_EQ(json_of(fixed(Kind::uint64, -1)), "18446744073709551615");
    std::uint64_t value = 1;
    for (int digits = 1; digits <= 20; ++digits, value *= 10) {
        for (const auto v : {value - 1, value, value + 1}) {
            EXPECT_EQ(json_of(fixed(Kind::uint64, static_cast<std::int64_t>(v))), std::to_string(v));
            const auto negative = -static_cast<std::int64_t>(v / 2);
            EXPECT_EQ(json_of(fixed(Kind::int64, negative)), std::to_string(negative));
        }
    }
}

// What JSON.stringify of Node 20 prints.
TEST(Json, Doubles) {
    const std::pair<double, const char*> table[] = {
        {0, "0"},
        {-0.0, "-0"},
        {5, "5"},
        {-5, "-5"},
        {0.1, "0.1"},
        {-0.25, "-0.25"},
        {1234.5, "1234.5"},
        {99.99, "99.99"},
        {0.0001, "0.0001"},
        {0.00001, "0.00001"},
        {0.000001, "0.000001"},
        {1e-7, "1e-7"},
        {1.5e-7, "1.5e-7"},
        {123456789012345680000.0, "123456789012345680000"},
        {1e20, "100000000000000000000"},
        {1e21, "1e+21"},
        {1.5e300, "1.5e+300"},
        {1e100, "1e+100"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {9007199254740993.0, "9007199254740992"},
        {0.30000000000000004, "0.30000000000000004"},
        {1e15, "1000000000000000"},
        {123456789.1234, "123456789.1234"},
        {1.0000000000000002, "1.0000000000000002"},
        {100000, "100000"},
        {99999999999.9999, "99999999999.9999"},
        {4.35, "4.35"},
        {0.5, "0.5"},
        {1.005, "1.005"},
        {2.5e-5, "0.000025"},
        {100.10, "100.1"}};
    for (const auto& [value, expected] : table) {
        EXPECT_EQ(json_of(value), expected);
    }
    EXPECT_EQ(json_of(std::nan("")), "null");
    EXPECT_EQ(json_of(HUGE_VAL), "null");
    EXPECT_EQ(json_of(-HUGE_VAL), "null");
    EXPECT_EQ(plain_of(fixed(Kind::float64, std::bit_cast<std::int64_t>(HUGE_VAL))), "");
}

// Shortest, and the same bits when read back: against the library's shortest text with other layout.
TEST(Json, DoublesReadBackTheSame) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    std::mt19937_64 random(seed);
    const auto check = [](double value) {
        char ours[float_text_max];
        const std::string out(ours, write_float(ours, value));
        ASSERT_LE(out.size(), 25U);
        ASSERT_EQ(std::bit_cast<std::uint64_t>(std::strtod(out.c_str(), nullptr)), std::bit_cast<std::uint64_t>(value))
            << out;
        char shortest[40];
        const std::string reference(
            shortest, std::to_chars(shortest, shortest + 40, value, std::chars_format::scientific).ptr
        );
        const auto digits = [](const std::string& s) {
            std::string d;
            for (const char c : s.substr(0, s.find('e'))) {
                if (c >= '0' && c <= '9') {
                    d += c;
                }
            }
            d.erase(0, std::min(d.find_first_not_of('0'), d.size()));
            while (!d.empty() && d.back() == '0') {
                d.pop_back();
            }
            return d;
        };
        ASSERT_EQ(digits(out), digits(reference)) << out << " vs " << reference;
    };
    for (int i = 0; i < 200'000; ++i) {
        const auto any = std::bit_cast<double>(random());
        if (std::isfinite(any)) {
            check(any);
        }
        check(static_cast<double>(static_cast<std::int64_t>(random()) >> (random() % 63)) / 100);
        check(static_cast<double>(static_cast<std::int64_t>(random()) >> (random() % 63)) / 10'000);
        check(std::nextafter(static_cast<double>(random() % 10'000'000) / 100, random() % 2 == 0 ? 0 : 1e9));
        check(static_cast<double>(random() >> (random() % 63)));
    }
}

TEST(Json, Times) {
    EXPECT_EQ(json_of(fixed(Kind::date, 0)), "\"1970-01-01\"");
    EXPECT_EQ(json_of(fixed(Kind::date, 20'778)), "\"2026-11-21\"");
    EXPECT_EQ(json_of(fixed(Kind::date, -719'528)), "\"0000-01-01\"");
    EXPECT_EQ(json_of(fixed(Kind::date, -719'529)), "\"-0001-12-31\"");
    EXPECT_EQ(json_of(fixed(Kind::date, 2'932'896)), "\"9999-12-31\"");
    EXPECT_EQ(json_of(fixed(Kind::date, 2'932'897)), "\"+10000-01-01\"");
    EXPECT_EQ(json_of(fixed(Kind::date, 11'016)), "\"2000-02-29\"");
    EXPECT_EQ(json_of(fixed(Kind::time, 49'500'000'000)), "\"13:45:00\"");
    EXPECT_EQ(json_of(fixed(Kind::time, 49'500'123'456)), "\"13:45:00.123456\"");
    EXPECT_EQ(json_of(fixed(Kind::time, -1'000'000)), "\"-00:00:01\"");
    EXPECT_EQ(json_of(fixed(Kind::time, 90'000'000'000)), "\"25:00:00\"");
    EXPECT_EQ(json_of(fixed(Kind::timestamp, 1'795'284'001'102'000)), "\"2026-11-21T18:00:01.102Z\"");
    EXPECT_EQ(json_of(fixed(Kind::timestamp, 1'795'284'001'102'003)), "\"2026-11-21T18:00:01.102003Z\"");
    EXPECT_EQ(json_of(fixed(Kind::timestamp, -1)), "\"1969-12-31T23:59:59.999999Z\"");
    EXPECT_EQ(plain_of(fixed(Kind::timestamp, 0)), "1970-01-01T00:00:00.000Z");
    for (const auto extreme : {INT64_MIN, INT64_MIN + 1, INT64_MAX}) {  // no crash, some text
        EXPECT_GT(json_of(fixed(Kind::timestamp, extreme)).size(), 10U);
        EXPECT_GT(json_of(fixed(Kind::date, extreme)).size(), 10U);
        EXPECT_GT(json_of(fixed(Kind::time, extreme)).size(), 10U);
    }
}

TEST(Json, TextKinds) {
    EXPECT_EQ(json_of(text(Kind::decimal, "-12.30")), "-12.30");
    EXPECT_EQ(json_of(text(Kind::json, R"({"a":[1]})")), R"({"a":[1]})");
    EXPECT_EQ(json_of(text(Kind::string, "a\"b")), R"("a\"b")");
    EXPECT_EQ(plain_of(text(Kind::string, "a\"b")), "a\"b");
    for (const std::string bytes : {"", "f", "fo", "foo", "foob", "\xff\x00\x10\x83"}) {
        EXPECT_EQ(json_of(text(Kind::bytes, bytes)), '"' + base64_encode(bytes) + '"');
        EXPECT_EQ(plain_of(text(Kind::bytes, bytes)), base64_encode(bytes));
    }
    Column nulls(Kind::string);
    nulls.add_null();
    EXPECT_EQ(json_of(nulls), "null");
    EXPECT_EQ(plain_of(nulls), "");
    EXPECT_EQ(json_of(fixed(Kind::boolean, 1)), "true");
    EXPECT_EQ(json_of(fixed(Kind::boolean, 0)), "false");
}

TEST(Json, TextsThatNeedNoEscapes) {
    for (const std::size_t size : {0, 1, 15, 16, 17, 128, 129, 1024, 5000}) {
        const std::string padded = std::string(size, 'x') + std::string(buffer_padding, '"');
        Column column(Kind::string);
        column.add_quotable_text(std::string_view(padded).substr(0, size));
        EXPECT_EQ(json_of(column), json_of(text(Kind::string, std::string(size, 'x'))));
        column.truncate(0);
        column.add_text("\"");
        EXPECT_EQ(json_of(column), R"("\"")");
    }
}

TEST(Json, Objects) {
    Schema schema;
    schema.fields = {{"id", Kind::uint64}, {"na\"me", Kind::string, true}};
    Batch batch(schema);
    batch.column(0).add_uint64(1);
    batch.column(1).add_text("Київ");
    batch.column(0).add_uint64(2);
    batch.column(1).add_null();
    const JsonEncoder encoder(schema);
    Buffer<char> out;
    append(out, "[");
    encoder.append_objects(out, batch, 0, 2);
    append(out, "]");
    EXPECT_EQ(view(out), R"([{"id":1,"na\"me":"Київ"},{"id":2,"na\"me":null}])");
    out.clear();
    encoder.append_object(out, batch, 1);
    EXPECT_EQ(view(out), R"({"id":2,"na\"me":null})");
    out.clear();
    encoder.append_objects(out, batch, 1, 1);
    EXPECT_TRUE(out.empty());
}

std::string random_text(std::mt19937_64& random) {
    static const std::string pieces[] = {"a", "Їжак", "€", "😀", "\"", "\\", "\n", "\x02", "long plain text, 25 bytes"};
    std::string out;
    for (auto n = random() % 6; n > 0; --n) {
        out += pieces[random() % std::size(pieces)];
    }
    return random() % 500 == 0 ? std::string(5000, 'x') + out : out;
}

// Rows of all kinds, read back by an independent parser.
TEST(Json, RoundTrip) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    std::mt19937_64 random(seed);
    Schema schema;
    schema.fields = {
        {"i", Kind::int64, true},
        {"u", Kind::uint64, true},
        {"f", Kind::float64, true},
        {"s", Kind::string, true},
        {"b", Kind::bytes, true},
        {"o", Kind::boolean, true},
        {"ключ", Kind::decimal, true}};
    Batch batch(schema);
    const JsonEncoder encoder(schema);
    for (int round = 0; round < 50; ++round) {
        batch.reset(schema);
        const std::size_t rows = 1 + random() % 300;
        for (std::size_t row = 0; row < rows; ++row) {
            for (std::size_t i = 0; i < schema.size(); ++i) {
                auto& column = batch.column(i);
                const auto shifted = random() >> (random() % 64);
                if (random() % 8 == 0) {
                    column.add_null();
                } else if (column.kind() == Kind::string || column.kind() == Kind::bytes) {
                    column.add_text(random_text(random));
                } else if (column.kind() == Kind::decimal) {
                    column.add_text(std::to_string(static_cast<std::int64_t>(shifted)) + ".50");
                } else if (column.kind() == Kind::boolean) {
                    column.add_boolean(random() % 2 == 0);
                } else if (column.kind() == Kind::float64) {
                    const auto value = std::bit_cast<double>(random());
                    column.add_float64(std::isfinite(value) ? value : 0.25);
                } else {
                    column.add_uint64(shifted);
                }
            }
        }
        Buffer<char> out;
        append(out, "[");
        encoder.append_objects(out, batch, 0, rows);
        append(out, "]");
        ASSERT_TRUE(is_json(view(out)));
        // Numbers beyond a double are compared as text below: the parser keeps integers exactly, decimals not.
        const auto parsed = boost::json::parse(boost::json::string_view(out.data(), out.size())).as_array();
        ASSERT_EQ(parsed.size(), rows);
        for (std::size_t row = 0; row < rows; ++row) {
            const auto& object = parsed[row].as_object();
            for (std::size_t i = 0; i < schema.size(); ++i) {
                const auto& column = batch.column(i);
                const auto& value = object.at(schema.fields[i].name);
                if (column.is_null(row)) {
                    ASSERT_TRUE(value.is_null());
                    continue;
                }
                switch (column.kind()) {
                    case Kind::int64:
                        ASSERT_EQ(value.to_number<std::int64_t>(), column.int64(row));
                        break;
                    case Kind::uint64:
                        ASSERT_EQ(value.to_number<std::uint64_t>(), column.uint64(row));
                        break;
                    case Kind::boolean:
                        ASSERT_EQ(value.as_bool(), column.boolean(row));
                        break;
                    case Kind::string:
                        ASSERT_EQ(std::string_view(value.as_string()), column.text(row));
                        break;
                    case Kind::bytes:
                        ASSERT_EQ(base64_decode(std::string_view(value.as_string())), std::string(column.text(row)));
                        break;
                    default:
                        break;  // doubles: Json.DoublesReadBackTheSame
                }
            }
        }
    }
}

TEST(Json, IsJson) {
    for (const char* good :
         {"1", "-0.5e+7", "\"\"", "[]", "{}", " [1, {\"a\" : null}] ", "true", "\"\\u00e9\\n\"", "0", "[[[]]]"}) {
        EXPECT_TRUE(is_json(good)) << good;
    }
    for (const char* bad :
         {"",    " ",       "01",  "1.",  ".5", "+1", "-",          "1e",     "[1,]",      "{\"a\"}", "{a:1}",
          "nul", "\"\\x\"", "\"a", "1 2", "[",  "]",  "{\"a\":1,}", "\"\n\"", "\"\\u12\"", "\xff",    "\"\xd0\""}) {
        EXPECT_FALSE(is_json(bad)) << bad;
    }
    EXPECT_TRUE(is_json(std::string(100, '[') + std::string(100, ']')));
    EXPECT_FALSE(is_json(std::string(100'000, '[')));
    EXPECT_FALSE(is_json(std::string(200, '[') + std::string(200, ']')));
}

}  // namespace
}  // namespace headrace::data
