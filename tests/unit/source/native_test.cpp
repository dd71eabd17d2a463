// The decoder of ClickHouse's Native format: recorded blocks of every type, cut and damaged at every place.
#include "base/encoding.hpp"
#include "base/error.hpp"
#include "data/json.hpp"
#include "native_golden.hpp"
#include "source/clickhouse/decode.hpp"
#include "source/clickhouse/text.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <iostream>
#include <random>
#include <regex>

namespace headrace::source::clickhouse {
namespace {

// Gives a text out in pieces; each lies in memory of its own, so that reading past it is seen by the sanitizer.
class Pieces {
public:
    Pieces(std::string_view text, std::size_t size) : text_(text), size_(size) {}

    std::string_view operator()() {
        const auto part = text_.substr(0, size_);
        text_.remove_prefix(part.size());
        piece_ = std::make_unique<char[]>(part.size());
        std::memcpy(piece_.get(), part.data(), part.size());
        return {piece_.get(), part.size()};
    }

private:
    std::string_view text_;
    std::size_t size_;
    std::unique_ptr<char[]> piece_;
};

DecodeOptions options(bool old_server = false, std::size_t most = 1 << 20) {
    return {most, old_server};
}

struct Decoded {
    data::Schema schema;
    std::vector<std::vector<std::string>> rows;
    std::uint64_t blocks = 0;
};

Decoded decode(std::string_view bytes, const DecodeOptions& with, std::size_t piece = 1 << 20) {
    auto pieces = std::make_shared<Pieces>(bytes, piece);
    ByteReader in([pieces] { return (*pieces)(); });
    NativeDecoder decoder(in, with);
    data::Batch batch;
    Decoded out;
    while (decoder.next_block(batch)) {
        for (std::size_t row = 0; row < batch.rows(); ++row) {
            out.rows.emplace_back();
            for (std::size_t i = 0; i < batch.width(); ++i) {
                data::Buffer<char> text;
                data::append_json_value(text, batch.column(i), row);
                out.rows.back().emplace_back(data::view(text));
            }
        }
    }
    out.schema = decoder.schema();
    out.blocks = decoder.blocks();
    return out;
}

std::string error_code(std::string_view bytes, const DecodeOptions& with = options()) {
    try {
        decode(bytes, with);
        return "";
    } catch (const Error& error) {
        return error.code();
    }
}

std::string native(const Golden& golden) {
    return *hex_decode(golden.native);
}

bool old_server(const Golden& golden) {
    return golden.server == "18.16";
}

// The server writes 1e21 where JavaScript, and so this program, writes 1e+21.
std::string expected(const Golden& golden, std::size_t row) {
    const std::string text(golden.json[row]);
    const bool is_float = golden.type.find("Float") != std::string_view::npos;
    return is_float ? std::regex_replace(text, std::regex("e([0-9])"), "e+$1") : text;
}

std::string without_blanks(std::string text) {
    return std::regex_replace(text, std::regex(", "), ",");
}

std::string varint(std::uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7) {
        out += static_cast<char>(value | 0x80);
    }
    return out + static_cast<char>(value);
}

std::string text(std::string_view value) {
    return varint(value.size()) + std::string(value);
}

std::string word(std::uint64_t value) {
    return std::string(reinterpret_cast<const char*>(&value), 8);
}

std::string block(std::uint64_t rows, std::string_view type, std::string_view data) {
    return varint(1) + varint(rows) + text("v") + text(type) + std::string(data);
}

TEST(Native, EveryTypeAsTheServerSaysIt) {
    ASSERT_GT(golden().size(), 90U);
    for (const auto& g : golden()) {
        SCOPED_TRACE(std::string(g.server) + " " + std::string(g.type));
        const auto decoded = decode(native(g), options(old_server(g)));
        ASSERT_EQ(decoded.rows.size(), g.json.size());
        for (std::size_t row = 0; row < g.json.size(); ++row) {
            EXPECT_EQ(without_blanks(decoded.rows[row][0]), without_blanks(expected(g, row)));
        }
        EXPECT_EQ(decoded.schema.fields[0].name, "v");
    }
}

TEST(Native, SplitAtEveryByte) {
    for (const auto& g : golden()) {
        const auto bytes = native(g) + native(g);  // two blocks
        const auto whole = decode(bytes, options(old_server(g)));
        EXPECT_EQ(whole.blocks, 2U);
        for (const std::size_t piece : {1, 2, 3, 5, 7, 8, 16, 31}) {
            EXPECT_EQ(decode(bytes, options(old_server(g)), piece).rows, whole.rows)
                << g.type << " pieces of " << piece;
        }
    }
}

TEST(Native, CutAtEveryByteIsIncomplete) {
    for (const auto& g : golden()) {
        const auto bytes = native(g);
        for (std::size_t size = 1; size < bytes.size(); ++size) {
            EXPECT_EQ(error_code(bytes.substr(0, size), options(old_server(g))), "source.incomplete")
                << g.type << " cut at " << size;
            EXPECT_EQ(error_code(bytes + bytes.substr(0, size), options(old_server(g))), "source.incomplete")
                << g.type << " 2nd cut at " << size;
        }
        EXPECT_EQ(error_code("", options()), "");
    }
}

// Error texts of three generations of servers where a block should begin.
TEST(Native, ErrorTextBehindABlockIsNoBlock) {
    for (const std::string_view late :
         {"Code: 395, e.displayText() = DB::Exception: Value passed to 'throwIf' function is non zero, e.what() = "
          "DB::Exception\n",
          "__exception__\r\nCode: 395. DB::Exception: Value passed",
          "\r\n__exception__\r\nabcdefghijklmnop\r\nCode: 395. DB::Exception: no\n"}) {
        for (const auto& g : golden()) {
            EXPECT_EQ(error_code(native(g) + std::string(late), options(old_server(g))), "source.incomplete") << g.type;
        }
        EXPECT_NE(error_code(late), "");
    }
    const auto a = block(1, "UInt8", "\x01");
    EXPECT_EQ(error_code(a + block(1, "Int8", "\x01")), "source.incomplete");
    EXPECT_EQ(error_code(a + varint(2)), "source.incomplete");
    EXPECT_EQ(error_code(a + varint(1) + varint(1) + text("w") + text("UInt8") + "\x01"), "source.incomplete");
}

TEST(Native, BlocksWithoutRows) {
    const auto one = block(1, "String", text("x"));
    const auto none = block(0, "String", "");
    const auto decoded = decode(none + one + none + one + none, options());
    EXPECT_EQ(decoded.rows.size(), 2U);
    EXPECT_EQ(decode(none, options()).schema.fields.size(), 1U);
    EXPECT_EQ(decode(block(0, "Array(LowCardinality(String))", ""), options()).rows.size(), 0U);
}

TEST(Native, HostileLengths) {
    const std::uint64_t huge[] = {
        std::uint64_t{1} << 31, std::uint64_t{1} << 32, std::uint64_t{1} << 60, ~std::uint64_t{0}};
    for (const auto n : huge) {
        SCOPED_TRACE(n);
        for (const auto& g : golden()) {
            EXPECT_EQ(error_code(block(n, g.type, "")), "source.bad_data") << g.type;
        }
        EXPECT_EQ(error_code(block(1, "String", varint(n))), "source.bad_data");
        EXPECT_EQ(error_code(block(1, "Array(UInt8)", word(n))), "source.bad_data");
        EXPECT_EQ(error_code(block(1, "Map(String, Nothing)", word(n))), "source.bad_data");
        EXPECT_EQ(error_code(block(2, "Array(UInt8)", word(5) + word(3))), "source.bad_data");
        EXPECT_EQ(error_code(block(1, "LowCardinality(String)", word(1) + word(0x600) + word(n))), "source.bad_data");
        EXPECT_EQ(
            error_code(block(1, "LowCardinality(String)", word(1) + word(0x600) + word(1) + text("x") + word(n))),
            "source.bad_data"
        );
        EXPECT_EQ(error_code(varint(n) + varint(1)), "source.bad_data");
        EXPECT_EQ(error_code(varint(1) + varint(1) + varint(n)), "source.bad_data");
    }
    EXPECT_EQ(error_code(std::string(11, '\xff')), "source.bad_data");  // a varint without end
    EXPECT_EQ(error_code(varint(0) + varint(0)), "source.bad_data");
}

// One key of 100 kB and one byte per row would become 6.5 GB.
TEST(Native, DictionariesDoNotExplode) {
    const std::string key(100'000, 'x');
    EXPECT_EQ(
        error_code(block(
            65'535,
            "LowCardinality(String)",
            word(1) + word(0x600) + word(1) + text(key) + word(65'535) + std::string(65'535, '\0')
        )),
        "source.bad_data"
    );
    EXPECT_EQ(
        error_code(block(1, "LowCardinality(String)", word(1) + word(0x600) + word(1) + text("x") + word(1) + "\x01")),
        "source.bad_data"
    );                                                                                      // index
    EXPECT_EQ(error_code(block(1, "LowCardinality(String)", word(2))), "source.bad_data");  // version
    EXPECT_EQ(
        error_code(block(1, "LowCardinality(String)", word(1) + word(0x700))), "source.bad_data"
    );  // shared dictionary
    EXPECT_EQ(error_code(block(1, "LowCardinality(String)", word(1) + word(0x604))), "source.bad_data");  // index type
}

TEST(Native, DictionaryInSeveralGranules) {
    const auto granule = [](std::string_view key, std::size_t rows) {
        return word(0x600) + word(1) + text(key) + word(rows) + std::string(rows, '\0');
    };
    const auto decoded =
        decode(block(3, "LowCardinality(String)", word(1) + granule("a", 2) + granule("b", 1)), options());
    EXPECT_EQ(decoded.rows, (std::vector<std::vector<std::string>>{{"\"a\""}, {"\"a\""}, {"\"b\""}}));
    // 65,537 different keys need 32-bit indexes.
    std::string keys, indexes;
    for (std::uint32_t i = 0; i < 70'000; ++i) {
        keys += text(std::to_string(i));
        indexes.append(reinterpret_cast<const char*>(&i), 4);
    }
    const auto wide = decode(
        block(70'000, "LowCardinality(String)", word(1) + word(0x602) + word(70'000) + keys + word(70'000) + indexes),
        options(false, 64 << 20)
    );
    EXPECT_EQ(wide.rows[69'999][0], "\"69999\"");
}

// Servers before 20 write a dictionary for an empty LowCardinality, later ones do not.
TEST(Native, EmptyDictionaryOfOldServers) {
    const auto old_form = word(1) + word(0) + word(0x600) + word(1) + text("") + word(0);
    const auto new_form = word(1) + word(0);
    EXPECT_EQ(decode(block(1, "Array(LowCardinality(String))", old_form), options(true)).rows[0][0], "[]");
    EXPECT_EQ(decode(block(1, "Array(LowCardinality(String))", new_form), options(true)).rows[0][0], "[]");
    EXPECT_EQ(decode(block(1, "Array(LowCardinality(String))", new_form), options(false)).rows[0][0], "[]");
}

TEST(Native, WhatIsUnderANullIsNotJudged) {
    const auto decoded = decode(block(2, "Nullable(Enum8('a' = 1))", std::string("\x01\x00\x63\x01", 4)), options());
    EXPECT_EQ(decoded.rows[0][0], "null");
    EXPECT_EQ(decoded.rows[1][0], "\"a\"");
    EXPECT_EQ(error_code(block(1, "Enum8('a' = 1)", "\x63")), "source.bad_data");
    EXPECT_EQ(decode(block(1, "Nullable(DateTime64(9))", "\x01" + word(1)), options()).rows[0][0], "null");
}

TEST(Native, TimesLoseNothing) {
    EXPECT_EQ(error_code(block(1, "DateTime64(9)", word(1))), "source.bad_data");
    EXPECT_EQ(error_code(block(1, "DateTime64(0)", word(std::uint64_t{1} << 62))), "source.bad_data");
    EXPECT_EQ(
        decode(block(1, "DateTime64(7)", word(static_cast<std::uint64_t>(-10))), options()).rows[0][0],
        "\"1969-12-31T23:59:59.999999Z\""
    );
}

TEST(Native, UnsupportedTypesAreNamed) {
    for (const std::string type :
         {"AggregateFunction(sum, UInt8)",
          "JSON",
          "Variant(UInt8, String)",
          "Dynamic",
          "Object('json')",
          "Foo",
          "",
          "Array(",
          "Nullable(Array(UInt8))",
          "Decimal(77, 2)",
          "FixedString(0)",
          "Tuple(a UInt8, String)",
          "UInt8 x",
          "LowCardinality(Array(UInt8))"}) {
        EXPECT_EQ(error_code(block(1, type, "")), "source.unsupported") << type;
    }
    std::string deep;
    for (int i = 0; i < 1000; ++i) {
        deep += "Array(";
    }
    EXPECT_EQ(error_code(block(1, deep + "UInt8" + std::string(1000, ')'), "")), "source.unsupported");
    try {
        parse_type("AggregateFunction(sum, UInt8)", "total");
        FAIL();
    } catch (const Error& error) {
        EXPECT_NE(error.message().find("`total`"), std::string::npos);
        EXPECT_NE(error.hint().find("finalizeAggregation"), std::string::npos);
    }
}

// Damaged bytes: any Error will do, a crash or a wild allocation will not.
TEST(Native, Mutations) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    std::mt19937 random(seed);
    std::size_t refused = 0;
    constexpr int rounds = 40'000;
    for (int round = 0; round < rounds; ++round) {
        const auto& g = golden()[random() % golden().size()];
        auto bytes = native(g);
        if (random() % 3 == 0) {
            bytes += native(golden()[random() % golden().size()]);
        }
        for (auto n = 1 + random() % 4; n > 0; --n) {
            const auto at = random() % bytes.size();
            switch (random() % 4) {
                case 0:
                    bytes[at] = static_cast<char>(random());
                    break;
                case 1:
                    bytes[at] = static_cast<char>(random() % 2 == 0 ? 0xff : 0);
                    break;
                case 2:
                    bytes.insert(at, random() % 9, static_cast<char>(random()));
                    break;
                default:
                    bytes.erase(at, random() % 5);
                    break;
            }
            if (bytes.empty()) {
                bytes = "x";
            }
        }
        try {
            decode(bytes, options(random() % 2 == 0), 1 + random() % 64);
        } catch (const Error& error) {
            ++refused;
            ASSERT_TRUE(
                error.code() == "source.incomplete" || error.code() == "source.bad_data" ||
                error.code() == "source.unsupported"
            ) << error.what();
        }
    }
    EXPECT_GT(refused, rounds / 4U);
}

TEST(Native, FloatsKeepTheirText) {
    std::mt19937 random(3);
    for (int i = 0; i < 200'000; ++i) {
        const auto bits = static_cast<std::uint32_t>(random());
        float value = 0;
        std::memcpy(&value, &bits, 4);
        if (value != value) {
            continue;
        }
        const double wide = widen(value);
        ASSERT_EQ(static_cast<float>(wide), value);
        const auto price = static_cast<float>(random() % 100'000) / 100;
        ASSERT_EQ(widen(price), static_cast<double>(std::round(static_cast<double>(price) * 100)) / 100);
    }
}

}  // namespace
}  // namespace headrace::source::clickhouse
