// RowBinaryWithNamesAndTypes: every type as ClickHouse 26.7 wrote it, split and cut at every byte, and hostile lengths.
#include "base/encoding.hpp"
#include "base/error.hpp"
#include "data/json.hpp"
#include "native_golden.hpp"
#include "row_binary_golden.hpp"
#include "source/clickhouse/decode.hpp"

#include <gtest/gtest.h>

#include <random>
#include <regex>

namespace headrace::source::clickhouse {
namespace {

struct RowsRead {
    std::vector<std::string> rows;  // of the first column, as JSON
    std::string code;
    std::uint64_t batches = 0;
    std::size_t largest = 0;
};

RowsRead decode_rows(std::string_view bytes, std::size_t piece = 1 << 20, std::size_t most = 8u << 20) {
    ByteReader in([rest = bytes, piece, kept = std::string()]() mutable {
        kept = rest.substr(0, piece);  // a place of its own: reads beyond it would be seen by the sanitizer
        rest.remove_prefix(kept.size());
        return std::string_view(kept);
    });
    RowBinaryDecoder decoder(in, {.max_block_bytes = most, .empty_dictionaries = false});
    RowsRead out;
    try {
        for (data::Batch batch; decoder.next_block(batch);) {
            out.largest = std::max(out.largest, batch.bytes());
            for (std::size_t row = 0; row < batch.rows(); ++row) {
                data::Buffer<char> text;
                data::append_json_value(text, batch.column(0), row);
                out.rows.emplace_back(data::view(text));
            }
        }
    } catch (const Error& error) {
        out.code = error.code();
    }
    out.batches = decoder.blocks();
    return out;
}

std::string row_binary(std::size_t i) {
    return *hex_decode(row_binary_golden.at(i));
}

std::string head_of(std::string_view type) {
    return std::string("\x01\x01v", 3) + static_cast<char>(type.size()) + std::string(type);
}

TEST(RowBinary, EveryTypeAsTheServerSaysIt) {
    ASSERT_EQ(golden().size(), row_binary_golden.size());
    for (std::size_t i = 0; i < golden().size(); ++i) {
        const auto& g = golden()[i];
        SCOPED_TRACE(std::string(g.server) + " " + std::string(g.type));
        const auto seen = decode_rows(row_binary(i));
        if (g.type == "Tuple()") {
            EXPECT_EQ(seen.code, "source.unsupported") << "its rows take no bytes";
            continue;
        }
        EXPECT_EQ(seen.code, "");
        ASSERT_EQ(seen.rows.size(), g.json.size());
        const bool is_float = g.type.find("Float") != std::string_view::npos;
        for (std::size_t row = 0; row < seen.rows.size(); ++row) {
            auto wanted = std::regex_replace(std::string(g.json[row]), std::regex(", "), ",");
            wanted = is_float ? std::regex_replace(wanted, std::regex("e([0-9])"), "e+$1") : wanted;
            EXPECT_EQ(std::regex_replace(seen.rows[row], std::regex(", "), ","), wanted);
        }
    }
}

TEST(RowBinary, SplitAndCutAtEveryByte) {
    for (std::size_t i = 0; i < golden().size(); ++i) {
        SCOPED_TRACE(golden()[i].type);
        const auto bytes = row_binary(i);
        const auto whole = decode_rows(bytes);
        for (const std::size_t piece : {1, 2, 3, 5, 7, 8, 16, 31}) {
            EXPECT_EQ(decode_rows(bytes, piece).rows, whole.rows);
        }
        for (std::size_t size = 1; size < bytes.size(); ++size) {
            const auto cut = decode_rows(bytes.substr(0, size));
            EXPECT_TRUE(cut.code == "source.incomplete" || cut.rows.size() < whole.rows.size()) << "cut at " << size;
        }
    }
    EXPECT_EQ(decode_rows("").code, "");
}

TEST(RowBinary, ManyRowsMakeSmallBatches) {
    std::string bytes = head_of("UInt8");
    bytes.append(500'000, '\x07');
    const auto seen = decode_rows(bytes);
    EXPECT_EQ(seen.code, "");
    EXPECT_EQ(seen.rows.size(), 500'000u);
    EXPECT_GE(seen.batches, 3u);
    EXPECT_LE(seen.largest, 2 * data::target_batch_bytes);
}

TEST(RowBinary, NullsAndListsWithinEachOther) {
    // Array(Nullable(UInt8)): [1, NULL], []; a null has no value behind it.
    const auto list = decode_rows(head_of("Array(Nullable(UInt8))") + std::string("\x02\x00\x01\x01\x00", 5));
    EXPECT_EQ(list.rows, (std::vector<std::string>{"[1,null]", "[]"})) << list.code;
    const auto tuple =
        decode_rows(head_of("Tuple(a Nullable(String), b Array(UInt8))") + std::string("\x01\x01\x05\x00\x01x\x00", 7));
    EXPECT_EQ(tuple.rows, (std::vector<std::string>{R"({"a":null,"b":[5]})", R"({"a":"x","b":[]})"})) << tuple.code;
}

TEST(RowBinary, HostileLengths) {
    const std::string huge("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
    for (const char* type : {"String", "Array(UInt8)", "Array(Tuple())", "Map(String, UInt8)"}) {
        EXPECT_EQ(decode_rows(head_of(type) + huge).code, "source.bad_data") << type;
    }
    EXPECT_EQ(decode_rows(huge).code, "source.bad_data");
    EXPECT_EQ(decode_rows(std::string("\x00", 1)).code, "source.bad_data");
    EXPECT_EQ(decode_rows(head_of("Tuple(Tuple())") + "more").code, "source.unsupported");
    EXPECT_EQ(decode_rows(head_of("AggregateFunction(sum, UInt8)")).code, "source.unsupported");
}

// Any bytes at all are an answer or an error, and never more memory than allowed.
TEST(RowBinary, Mutations) {
    const auto seed = std::random_device()();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    for (int round = 0; round < 200; ++round) {
        for (std::size_t i = 0; i < row_binary_golden.size(); ++i) {
            auto bytes = row_binary(i);
            bytes[random() % bytes.size()] = static_cast<char>(random());
            decode_rows(bytes, 1 + random() % 40, 1u << 20);
        }
    }
}

}  // namespace
}  // namespace headrace::source::clickhouse
