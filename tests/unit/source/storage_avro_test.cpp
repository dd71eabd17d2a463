// Avro rows of a read session into columns: every type, and bytes that are none.
#include "base/error.hpp"
#include "data/json.hpp"
#include "source/bigquery/answer.hpp"
#include "source/bigquery/storage/avro_decimal.hpp"
#include "source/bigquery/storage/avro_rows.hpp"
#include "support/bigquery/avro.hpp"

#include <gtest/gtest.h>

namespace headrace::source::bigquery::storage {
namespace {

using support::bigquery::AvroTable;
using support::bigquery::put_long;
using support::bigquery::put_text;

constexpr std::size_t no_end = std::size_t{1} << 40;

Columns columns_of(std::string_view fields) {
    return *source::bigquery::parse_envelope(R"({"schema":{"fields":[)" + std::string(fields) + "]}}").columns;
}

std::string field(std::string_view name, std::string_view type) {
    return R"({"name":")" + std::string(name) + R"(","type":)" + std::string(type) + "}";
}

std::string record(std::string_view fields) {
    return R"({"type":"record","name":"__root__","fields":[)" + std::string(fields) + "]}";
}

struct Decoded {
    std::string rows;
    std::string code;
    std::string message;
};

Decoded decode(const Columns& columns, const std::string& schema, std::string_view bytes, std::uint64_t rows = 1) {
    Decoded out;
    try {
        AvroRows decoder(columns, schema);
        data::Batch batch(schema_of(columns));
        // The exact bytes, so that a sanitizer sees one step too far.
        const std::string exact(bytes);
        decoder.begin(exact, rows, 0);
        EXPECT_TRUE(decoder.decode(batch, no_end));
        const data::JsonEncoder encoder(batch.schema());
        data::Buffer<char> text;
        encoder.append_objects(text, batch, 0, batch.rows());
        out.rows = data::view(text);
    } catch (const Error& error) {
        out.code = error.code();
        out.message = error.message();
    }
    return out;
}

struct Sample {
    support::bigquery::Table table;
    std::string schema;
    std::string bytes;
    Columns columns;
};

Sample sample(support::bigquery::Table table) {
    std::vector<std::size_t> all;
    std::string fields;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
        all.push_back(i);
        fields += (i == 0 ? "" : ",") + field_json(table.columns[i]);
    }
    Sample out{std::move(table), "", "", columns_of(fields)};
    const AvroTable avro(out.table, all);
    out.schema = avro.schema();
    for (std::uint64_t row = 0; row < out.table.rows; ++row) {
        avro.append(out.bytes, row);
    }
    return out;
}

TEST(StorageAvro, CutAtEveryByteNothingIsTakenForARow) {
    for (const auto& one :
         {sample(support::bigquery::every_type_table("t")), sample(support::bigquery::mixed_table("t", 5))}) {
        ASSERT_EQ(decode(one.columns, one.schema, one.bytes, one.table.rows).code, "");
        for (std::size_t cut = 0; cut < one.bytes.size(); ++cut) {
            const auto got = decode(one.columns, one.schema, one.bytes.substr(0, cut), one.table.rows);
            EXPECT_TRUE(got.code == "source.bad_data" || got.code == "source.incomplete") << cut << " " << got.code;
        }
        EXPECT_EQ(decode(one.columns, one.schema, one.bytes + "x", one.table.rows).code, "source.incomplete");
        EXPECT_EQ(decode(one.columns, one.schema, one.bytes, one.table.rows - 1).code, "source.incomplete");
        EXPECT_EQ(decode(one.columns, one.schema, one.bytes, one.table.rows + 1).code, "source.incomplete");
    }
}

TEST(StorageAvro, AnyByteChangedIsAValueOrAnError) {
    const auto one = sample(support::bigquery::every_type_table("t"));
    for (std::size_t at = 0; at < one.bytes.size(); ++at) {
        for (const char byte : {'\0', '\1', '\2', '\4', '\x7f', '\x80', '\xff'}) {
            auto bytes = one.bytes;
            bytes[at] = byte;
            const auto got = decode(one.columns, one.schema, bytes, one.table.rows);
            EXPECT_TRUE(got.code.empty() || got.code == "source.bad_data" || got.code == "source.incomplete")
                << at << " " << got.code;
        }
    }
}

struct Hostile {
    std::string type;    // BigQuery's
    std::string schema;  // Avro's
    std::string bytes;
    std::string_view says;
};

TEST(StorageAvro, HostileBytesAreNamed) {
    using namespace std::string_literals;
    const auto number = [](std::int64_t value) {
        std::string out;
        put_long(out, value);
        return out;
    };
    const auto text = [](std::string_view value) {
        std::string out;
        put_text(out, value);
        return out;
    };
    const std::string list = R"({"type":"array","items":"long"})";
    const std::vector<Hostile> all = {
        {"INTEGER", "\"long\"", std::string(11, '\xff'), "more than 64 bits"},
        {"INTEGER", "\"long\"", std::string(9, '\xff') + "\x02", "more than 64 bits"},
        {"INTEGER", R"(["null","long"])", number(2) + number(1), "no branch 2"},
        {"INTEGER", R"(["null","long"])", number(-1) + number(1), "no branch -1"},
        {"STRING", "\"string\"", number(-1), "a negative length"},
        {"STRING", "\"string\"", number(1), "longer than what is left"},
        {"STRING", "\"string\"", number(INT64_MAX) + "x", "longer than what is left"},
        {"STRING", "\"string\"", text("\xc3"), "not UTF-8"},
        {"STRING", "\"string\"", text("eight byt\xff"), "not UTF-8"},
        {"JSON", "\"string\"", text("{"), "no JSON"},
        {"BOOLEAN", "\"boolean\"", "\2", "neither 0 nor 1"},
        {"DATE", R"({"type":"int","logicalType":"date"})", number(2'932'897), "2932897 is no DATE"},
        {"TIME", R"({"type":"long","logicalType":"time-micros"})", number(-1), "-1 is no TIME"},
        {"TIMESTAMP", R"({"type":"long","logicalType":"timestamp-micros"})", number(INT64_MAX), "is no TIMESTAMP"},
        {"NUMERIC", R"({"type":"bytes","logicalType":"decimal","scale":9})", text(std::string(33, 'x')), "32 bytes"},
        {"INTEGER\",\"mode\":\"REPEATED", list, number(INT64_MIN), "too many elements"},
        {"INTEGER\",\"mode\":\"REPEATED", list, number(INT64_MAX), "ends within a row"},
        {"RECORD\",\"mode\":\"REPEATED\",\"fields\":[],\"x\":\"",
         R"({"type":"array","items":{"type":"record","name":"r","fields":[]}})",
         number(INT64_MAX) + "x",
         "take no room"},
    };
    for (const auto& one : all) {
        SCOPED_TRACE(one.type + " " + std::string(one.says));
        const auto got =
            decode(columns_of(field("c", "\"" + one.type + "\"")), record(field("c", one.schema)), one.bytes);
        EXPECT_EQ(got.code, "source.bad_data");
        EXPECT_NE(got.message.find(one.says), std::string::npos) << got.message;
        EXPECT_TRUE(got.message.starts_with("row 1, column `c`: ")) << got.message;
    }
}

TEST(StorageAvro, NullMayBeTheSecondBranchAndListsMayComeInBlocks) {
    const auto columns = columns_of(field("a", "\"INTEGER\"") + R"(,{"name":"b","type":"INTEGER","mode":"REPEATED"})");
    const auto schema =
        record(field("a", R"(["long","null"])") + "," + field("b", R"(["null",{"type":"array","items":"long"}])"));
    std::string bytes;
    for (const auto value : {0, 7, 1, 2, 1, 2, -1, 1, 3, 0}) {  // 7, [1, 2] and [3] with its size
        put_long(bytes, value);
    }
    for (const auto value : {1, 0}) {  // NULL, NULL
        put_long(bytes, value);
    }
    EXPECT_EQ(decode(columns, schema, bytes, 2).rows, R"({"a":7,"b":[1,2,3]},{"a":null,"b":[]})");
}

TEST(StorageAvro, OtherColumnsAndOtherFormsAreRefused) {
    const auto columns = columns_of(field("a", "\"INTEGER\""));
    const auto code = [&](const std::string& schema) { return decode(columns, schema, std::string(1, '\2')).code; };
    EXPECT_EQ(code(record(field("a", "\"long\""))), "");
    EXPECT_EQ(code(record(field("b", "\"long\""))), "source.incomplete");
    EXPECT_EQ(code(record("")), "source.incomplete");
    EXPECT_EQ(code(record(field("a", "\"long\"") + "," + field("b", "\"long\""))), "source.incomplete");
    EXPECT_EQ(code(record(field("a", "\"string\""))), "source.unsupported");
    EXPECT_EQ(code(record(field("a", R"(["null","long","string"])"))), "source.unsupported");
    EXPECT_EQ(code(record(field("a", R"(["string","long"])"))), "source.unsupported");
    EXPECT_EQ(code(record(field("a", R"({"type":"long","logicalType":"timestamp-micros"})"))), "source.unsupported");
    EXPECT_EQ(code("{"), "source.bad_data");
    EXPECT_EQ(code("\"long\""), "source.bad_data");
    std::string deep = "\"long\"";
    for (int i = 0; i < 1000; ++i) {
        deep = R"({"type":)" + deep + "}";
    }
    EXPECT_NE(code(record(field("a", deep))), "");
}

TEST(StorageAvro, NullInARequiredColumnIsRefused) {
    const auto columns = columns_of(R"({"name":"a","type":"INTEGER","mode":"REQUIRED"})");
    EXPECT_EQ(decode(columns, record(field("a", R"(["null","long"])")), std::string(1, '\0')).code, "source.bad_data");
}

TEST(StorageAvro, DecimalsBecomeTheTextThatBigQueryWrites) {
    const auto text = [](std::string_view digits, unsigned scale) {
        std::string bytes;
        support::bigquery::put_decimal(bytes, digits, scale);
        char space[source::bigquery::storage::decimal_text_max];
        // Behind the length, which is one byte.
        return std::string(space, source::bigquery::storage::write_decimal(space, bytes.substr(1), scale));
    };
    for (const std::string digits :
         {"0",
          "1",
          "-1",
          "0.1",
          "-0.000000001",
          "127",
          "128",
          "-128",
          "-129",
          "1.5",
          "1000",
          "999999999999999999",
          "1000000000000000000",
          "18446744073709551615",
          "18446744073709551616",
          "-99999999999999999999999999999.999999999",
          "99999999999999999999999999999.999999999"}) {
        EXPECT_EQ(text(digits, 9), digits);
        EXPECT_EQ(text(digits, 38), digits);
    }
    for (const std::string digits :
         {"578960446186580977117854925043439539266.34992332820282019728792003956564819967",
          "-578960446186580977117854925043439539266.34992332820282019728792003956564819968",
          "0.00000000000000000000000000000000000001"}) {
        EXPECT_EQ(text(digits, 38), digits);
    }
    EXPECT_EQ(text("1.500", 9), "1.5");
    EXPECT_EQ(text("-0.0", 9), "0");
    char space[source::bigquery::storage::decimal_text_max];
    EXPECT_EQ(std::string(space, source::bigquery::storage::write_decimal(space, "", 9)), "0");
    EXPECT_EQ(source::bigquery::storage::write_decimal(space, std::string(33, '\0'), 9), nullptr);
}

TEST(StorageAvro, ABatchIsNotMuchLargerThanAsked) {
    const auto one = sample(support::bigquery::mixed_table("t", 5000));
    AvroRows decoder(one.columns, one.schema);
    data::Batch batch(schema_of(one.columns));
    decoder.begin(one.bytes, 5000, 0);
    EXPECT_FALSE(decoder.decode(batch, 100'000));
    EXPECT_GT(batch.bytes(), 100'000U);
    EXPECT_LT(batch.bytes(), 500'000U);
    const auto first = batch.rows();
    EXPECT_TRUE(decoder.decode(batch, no_end));
    EXPECT_EQ(batch.rows(), 5000U);
    EXPECT_LT(first, 5000U);
}

}  // namespace
}  // namespace headrace::source::bigquery::storage
