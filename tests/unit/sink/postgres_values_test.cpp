// The bytes of a binary COPY, against the layout in the manual of Postgres; that Postgres reads them the same way is
// tested in tests/integration/postgres_sink_test.cpp.
#include "base/encoding.hpp"
#include "base/error.hpp"
#include "sink/postgres/copy_encoder.hpp"
#include "sink/postgres/numeric.hpp"
#include "sink/postgres/text_repair.hpp"

#include <gtest/gtest.h>

namespace headrace::sink::postgres_sink {
namespace {

using data::Batch;
using data::Kind;
using data::Schema;

std::string numeric(std::string_view text, std::optional<NumericLimits> limits = std::nullopt) {
    std::string room(numeric_size_max(text.size()), '\xAA');
    const char* end = write_numeric(room.data(), text, limits ? &*limits : nullptr);
    return end == nullptr ? "refused" : hex_encode({room.data(), static_cast<std::size_t>(end - room.data())});
}

std::string numeric(bool negative, std::uint64_t magnitude) {
    std::string room(numeric_integer_size_max, '\xAA');
    const char* end = write_numeric(room.data(), negative, magnitude);
    return hex_encode({room.data(), static_cast<std::size_t>(end - room.data())});
}

// count, weight, sign, scale, digits of base 10,000
TEST(PostgresNumeric, DigitsWeightAndScale) {
    EXPECT_EQ(
        numeric("0"),
        "0000"
        "0000"
        "0000"
        "0000"
    );
    EXPECT_EQ(
        numeric("-0.00"),
        "0000"
        "0000"
        "0000"
        "0002"
    );
    EXPECT_EQ(
        numeric("12.30"),
        "0002"
        "0000"
        "0000"
        "0002"
        "000c"
        "0bb8"
    );
    EXPECT_EQ(
        numeric("-12.30"),
        "0002"
        "0000"
        "4000"
        "0002"
        "000c"
        "0bb8"
    );
    EXPECT_EQ(
        numeric("10000"),
        "0001"
        "0001"
        "0000"
        "0000"
        "0001"
    );
    EXPECT_EQ(
        numeric("0.5"),
        "0001"
        "ffff"
        "0000"
        "0001"
        "1388"
    );
    EXPECT_EQ(
        numeric(".5"),
        "0001"
        "ffff"
        "0000"
        "0001"
        "1388"
    );
    EXPECT_EQ(
        numeric("0.00001234"),
        "0001"
        "fffe"
        "0000"
        "0008"
        "04d2"
    );
    EXPECT_EQ(
        numeric("100000000.00000001"),
        "0005"
        "0002"
        "0000"
        "0008"
        "0001"
        "0000"
        "0000"
        "0000"
        "0001"
    );
    EXPECT_EQ(
        numeric("0012345"),
        "0002"
        "0001"
        "0000"
        "0000"
        "0001"
        "0929"
    );
    EXPECT_EQ(
        numeric("5."),
        "0001"
        "0000"
        "0000"
        "0000"
        "0005"
    );
}

TEST(PostgresNumeric, Integers) {
    EXPECT_EQ(
        numeric(false, 0),
        "0000"
        "0000"
        "0000"
        "0000"
    );
    EXPECT_EQ(
        numeric(true, 7),
        "0001"
        "0000"
        "4000"
        "0000"
        "0007"
    );
    EXPECT_EQ(
        numeric(false, 10'000),
        "0001"
        "0001"
        "0000"
        "0000"
        "0001"
    );
    EXPECT_EQ(
        numeric(false, UINT64_MAX),
        "0005"
        "0004"
        "0000"
        "0000"
        "0734"
        "1a58"
        "02e1"
        "03bb"
        "064f"
    );
    EXPECT_EQ(digits_of(0), 1);
    EXPECT_EQ(digits_of(9'999), 4);
    EXPECT_EQ(digits_of(UINT64_MAX), 20);
}

TEST(PostgresNumeric, NothingIsRoundedOrGuessed) {
    const NumericLimits money{.whole = 4, .scale = 2};
    EXPECT_NE(numeric("9999.99", money), "refused");
    EXPECT_NE(numeric("0009999.9900", money), "refused");
    EXPECT_EQ(numeric("10000", money), "refused");
    EXPECT_EQ(numeric("0.001", money), "refused");
    for (const char* bad : {"", "-", ".", "1e5", "+1", "1.2.3", "NaN", " 1", "--1"}) {
        EXPECT_EQ(numeric(bad), "refused") << bad;
    }
}

std::string repaired(std::string_view text) {
    std::string out;
    append_repaired(out, text);
    return out;
}

std::string repaired_json(std::string_view text) {
    std::string out;
    append_repaired_json(out, text);
    return out;
}

TEST(PostgresText, Repair) {
    EXPECT_TRUE(is_storable("plain ascii, long enough for words"));
    EXPECT_TRUE(is_storable("Дніпро 東京 🚀"));
    EXPECT_TRUE(is_storable(""));
    using namespace std::string_view_literals;
    for (const auto bad : {"\xff"sv, "a\0b"sv, "12345678\0"sv, "\xed\xa0\x80"sv, "abc\xc3"sv, "\xf4\x90\x80\x80"sv}) {
        EXPECT_FALSE(is_storable(bad)) << hex_encode(bad);
        EXPECT_TRUE(is_storable(repaired(bad))) << hex_encode(bad);
    }
    EXPECT_EQ(
        repaired("a\0b"sv),
        "a\xEF\xBF\xBD"
        "b"
    );
    EXPECT_EQ(
        repaired("ok\xff"
                 "Ж"),
        "ok\xEF\xBF\xBDЖ"
    );
    EXPECT_EQ(repaired("\xe2\x82"), "\xEF\xBF\xBD") << "one maximal part, one sign";
}

TEST(PostgresText, RepairOfJson) {
    for (const char* good : {R"({"a":"\u00e4"})", R"(["\ud83d\ude80"])", R"("\\u0000")", R"("a\"\\")", "{}", "12"}) {
        EXPECT_TRUE(is_storable_json(good)) << good;
        EXPECT_EQ(repaired_json(good), good);
    }
    EXPECT_FALSE(is_storable_json(R"("\u0000")"));
    EXPECT_EQ(repaired_json(R"("a\u0000\\u0000")"), R"("a\ufffd\\u0000")");
    EXPECT_EQ(repaired_json(R"("\ud83dx")"), R"("\ufffdx")");
    EXPECT_EQ(repaired_json(R"("\ud83d\u0041")"), R"("\ufffd\u0041")");
    EXPECT_EQ(repaired_json(R"("\ude80")"), R"("\ufffd")");
    EXPECT_EQ(repaired_json(R"("\uD83D\uDE80\u0000")"), R"("\uD83D\uDE80\ufffd")");
}

struct Encoded {
    std::string bytes;
    std::string problem;
    std::uint64_t repaired = 0;
};

// One column, one value for each call of `add`.
Encoded encode(CopyColumn column, Kind kind, const std::function<void(data::Column&)>& add) {
    Batch batch(Schema{{{.name = "c", .kind = kind, .nullable = true}}});
    add(batch.column(0));
    batch.first_row = 40;
    Encoded out;
    column.name = "c";
    CopyEncoder encoder({column}, [&](std::string_view piece) { out.bytes += piece; });
    try {
        encoder.write(batch);
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "sink.invalid");
        out.problem = e.message();
        return out;
    }
    encoder.finish();
    EXPECT_EQ(encoder.bytes(), out.bytes.size());
    out.repaired = encoder.repaired(0);
    return out;
}

constexpr std::size_t head_size = 19;

std::string body(const Encoded& encoded) {
    if (!encoded.problem.empty()) {
        return encoded.problem;
    }
    return hex_encode(std::string_view(encoded.bytes).substr(head_size, encoded.bytes.size() - head_size - 2));
}

std::string number(Wire wire, Kind kind, std::int64_t value, std::optional<NumericLimits> limits = std::nullopt) {
    return body(encode({.name = {}, .wire = wire, .limits = limits, .never_null = false}, kind, [&](data::Column& c) {
        c.add_int64(value);
    }));
}

TEST(PostgresCopy, HeaderRowsAndTrailer) {
    const auto all = encode({.name = {}, .wire = Wire::int8}, Kind::int64, [](data::Column& c) {
        c.add_int64(-2);
        c.add_null();
    });
    EXPECT_EQ(
        hex_encode(all.bytes),
        "5047434f50590aff0d0a00"
        "00000000"
        "00000000"
        "0001"
        "00000008"
        "fffffffffffffffe"
        "0001"
        "ffffffff"
        "ffff"
    );
}

TEST(PostgresCopy, FixedKinds) {
    EXPECT_EQ(
        number(Wire::boolean, Kind::boolean, 1),
        "0001"
        "00000001"
        "01"
    );
    EXPECT_EQ(
        number(Wire::int2, Kind::int64, -32768),
        "0001"
        "00000002"
        "8000"
    );
    EXPECT_EQ(
        number(Wire::int4, Kind::int64, 2147483647),
        "0001"
        "00000004"
        "7fffffff"
    );
    EXPECT_EQ(
        number(Wire::int8, Kind::uint64, INT64_MAX),
        "0001"
        "00000008"
        "7fffffffffffffff"
    );
    EXPECT_EQ(
        number(Wire::numeric, Kind::int64, INT64_MIN),
        "0001"
        "00000012"
        "0005"
        "0004"
        "4000"
        "0000"
        "039a"
        "0d2c"
        "0170"
        "1565"
        "16b0"
    );
    EXPECT_EQ(
        number(Wire::float8, Kind::float64, std::bit_cast<std::int64_t>(-0.0)),
        "0001"
        "00000008"
        "8000000000000000"
    );
    EXPECT_EQ(
        number(Wire::date, Kind::date, 10'957),
        "0001"
        "00000004"
        "00000000"
    ) << "2000-01-01";
    EXPECT_EQ(
        number(Wire::date, Kind::date, 0),
        "0001"
        "00000004"
        "ffffd533"
    );
    EXPECT_EQ(
        number(Wire::time, Kind::time, 1),
        "0001"
        "00000008"
        "0000000000000001"
    );
    EXPECT_EQ(
        number(Wire::timestamp, Kind::timestamp, 946'684'800'000'001),
        "0001"
        "00000008"
        "0000000000000001"
    );
}

TEST(PostgresCopy, WhatDoesNotFitIsNamed) {
    EXPECT_EQ(number(Wire::int2, Kind::int64, 32768), "row 40: column `c` `32768` is too large for the table's column");
    EXPECT_EQ(
        number(Wire::int4, Kind::int64, -2147483649),
        "row 40: column `c` `-2147483649` is too large for the table's column"
    );
    EXPECT_EQ(
        number(Wire::int8, Kind::uint64, -1), "row 40: column `c` `18446744073709551615` is too large for a bigint"
    );
    EXPECT_EQ(
        number(Wire::numeric, Kind::int64, 1000, NumericLimits{.whole = 3, .scale = 2}),
        "row 40: column `c` `1000` is no number that the table's column keeps exactly"
    );
    EXPECT_EQ(number(Wire::date, Kind::date, INT64_MAX).substr(0, 20), "row 40: column `c` `");
    EXPECT_EQ(number(Wire::time, Kind::time, -1), "row 40: column `c` `-00:00:00.000001` is no time of a day");
    EXPECT_NE(number(Wire::timestamp, Kind::timestamp, INT64_MIN).find("outside of the timestamps"), std::string::npos);
    const auto null = encode(
        {.name = {}, .wire = Wire::int8, .limits = std::nullopt, .never_null = true},
        Kind::int64,
        [](data::Column& c) {
            c.add_int64(1);
            c.add_null();
        }
    );
    EXPECT_EQ(null.problem, "row 41: column `c` is null, and the table's column must have a value");
}

TEST(PostgresCopy, Texts) {
    const auto text = [](Wire wire, Kind kind, std::string_view value) {
        return encode({.name = {}, .wire = wire}, kind, [&](data::Column& c) { c.add_text(value); });
    };
    EXPECT_EQ(
        body(text(Wire::text, Kind::string, "ab")),
        "0001"
        "00000002"
        "6162"
    );
    EXPECT_EQ(
        body(text(Wire::bytea, Kind::bytes, "\xff")),
        "0001"
        "00000001"
        "ff"
    );
    EXPECT_EQ(
        body(text(Wire::jsonb, Kind::json, "{}")),
        "0001"
        "00000003"
        "017b7d"
    );
    EXPECT_EQ(
        body(text(Wire::json, Kind::json, "{}")),
        "0001"
        "00000002"
        "7b7d"
    );
    EXPECT_EQ(text(Wire::text, Kind::string, "x\xff").repaired, 1u);
    EXPECT_EQ(text(Wire::jsonb, Kind::json, R"("\u0000")").repaired, 1u);
    EXPECT_EQ(text(Wire::bytea, Kind::bytes, "x\xff").repaired, 0u);
}

// Each value alone is broken, the column's bytes as a whole are not.
TEST(PostgresCopy, CharacterCutByTheBoundaryOfTwoValues) {
    const auto cut = encode({.name = {}, .wire = Wire::text}, Kind::string, [](data::Column& c) {
        c.add_text("\xd0");
        c.add_text("\x96");
        c.add_text("");
        c.add_text("good");
    });
    EXPECT_EQ(cut.repaired, 2u);
    EXPECT_NE(body(cut).find("efbfbd"), std::string::npos);
}

TEST(PostgresCopy, PiecesAreBounded) {
    Batch batch(Schema{{{.name = "t", .kind = Kind::string}}});
    for (int i = 0; i < 2000; ++i) {
        batch.column(0).add_text(std::string(2000, 'x'));
    }
    std::size_t largest = 0;
    std::size_t total = 0;
    CopyEncoder encoder({{.name = "t", .wire = Wire::text}}, [&](std::string_view piece) {
        largest = std::max(largest, piece.size());
        total += piece.size();
    });
    encoder.write(batch);
    encoder.finish();
    EXPECT_EQ(total, 19 + 2000 * (2 + 4 + 2000) + 2);
    EXPECT_LE(largest, 600u * 1024);
}

}  // namespace
}  // namespace headrace::sink::postgres_sink
