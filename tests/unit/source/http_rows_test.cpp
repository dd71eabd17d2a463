// Rows of JSON into columns: every type, every way to a value, cut at every byte.
#include "base/error.hpp"
#include "data/json.hpp"
#include "source/http/page.hpp"
#include "source/http/values.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace headrace::source::http {
namespace {

Columns columns(const std::vector<std::pair<std::string, std::string>>& declared) {
    Columns out;
    for (const auto& [name, text] : declared) {
        auto column = parse_column(name, text);
        EXPECT_TRUE(column) << name << ": " << text;
        out.push_back(std::move(*column));
    }
    return out;
}

struct HttpReading {
    Columns columns;
    std::string rows = "";  // pointer
    bool single = false;
    PageBounds bounds = {};
    std::size_t step = 1 << 20;  // bytes of a piece

    // The rows as JSON.
    std::string read(std::string_view body, std::string_view value = "") {
        RowDecoder decoder(columns, single);
        PageReader reader(decoder, *parse_path(rows), single, bounds);
        data::Batch batch(schema_of(columns));
        reader.begin([&] {
            const auto piece = body.substr(0, step);
            body.remove_prefix(piece.size());
            return piece;
        });
        while (reader.next()) {
            decoder.append(batch);
        }
        const data::JsonEncoder encoder(batch.schema());
        data::Buffer<char> out;
        encoder.append_objects(out, batch, 0, batch.rows());
        found = value.empty() ? std::nullopt : reader.value_at(value);
        return {out.data(), out.size()};
    }

    std::string code(std::string_view body) {
        try {
            read(body);
            return "";
        } catch (const Error& error) {
            message = error.message();
            return error.code();
        }
    }

    std::optional<std::string> found = std::nullopt;
    std::string message = "";
};

TEST(HttpColumns, TypeAndPointer) {
    const auto plan = parse_column("x", "decimal(12, 2)! /a~1b/[type=e/mail]/0");
    ASSERT_TRUE(plan);
    EXPECT_EQ(data::type_text(plan->field), "decimal(12,2)!");
    ASSERT_EQ(plan->path.size(), 3);
    EXPECT_EQ(plan->path[0].name, "a/b");
    EXPECT_EQ(plan->path[1].key, "type");
    EXPECT_EQ(plan->path[1].value, "e/mail");
    EXPECT_EQ(plan->path[2].index, 0);
    EXPECT_EQ(parse_column("x", "int64")->path, (std::vector<Step>{{"x", std::nullopt, {}, {}}}));
    EXPECT_TRUE(parse_column("x", "json .")->path.empty());
    for (const auto* wrong : {"", "int46", "int64 a/b", "string /a~2", "list(3)", "string /[=x]", "string /[x]"}) {
        EXPECT_FALSE(parse_column("x", wrong)) << wrong;
    }
}

TEST(HttpRows, EveryType) {
    HttpReading reading{columns(
        {{"i", "int64"},
         {"u", "uint64"},
         {"f", "float64"},
         {"d", "decimal"},
         {"b", "boolean"},
         {"s", "string"},
         {"y", "bytes"},
         {"day", "date"},
         {"t", "time"},
         {"z", "timestamp"},
         {"e", "epoch"},
         {"m", "epoch_ms"},
         {"j", "json"},
         {"l", "list"}}
    )};
    EXPECT_EQ(
        reading.read(R"([
  {"i":-9223372036854775808,"u":18446744073709551615,"f":0.1,"d":12345678901234567890.123456789012345678,"b":true,
   "s":"a\u00e9\ud83d\ude42\n\"","y":"aGk=","day":"2026-11-22","t":"13:45:00","z":"2026-11-22T08:00:00Z",
   "e":1700000000,"m":1700000000123,"j":{"a":[1,2]},"l":[1],"unknown":{"x":[{}]}},
  {"i":"42","u":1e3,"f":"2.5","d":"1e2","b":"false","s":17,"e":"1.5","m":null,"j":null},
  {}
])"),
        "{\"i\":-9223372036854775808,\"u\":18446744073709551615,\"f\":0.1,\"d\":12345678901234567890."
        "123456789012345678,"
        "\"b\":true,\"s\":\"aé🙂\\n\\\"\",\"y\":\"aGk=\",\"day\":\"2026-11-22\",\"t\":\"13:45:00\","
        "\"z\":\"2026-11-22T08:00:00.000Z\",\"e\":\"2023-11-14T22:13:20.000Z\",\"m\":\"2023-11-14T22:13:20.123Z\","
        "\"j\":{\"a\":[1,2]},\"l\":[1]},"
        "{\"i\":42,\"u\":1000,\"f\":2.5,\"d\":100,\"b\":false,\"s\":\"17\",\"y\":null,\"day\":null,\"t\":null,\"z\":"
        "null,"
        "\"e\":\"1970-01-01T00:00:01.500Z\",\"m\":null,\"j\":null,\"l\":null},"
        "{\"i\":null,\"u\":null,\"f\":null,\"d\":null,\"b\":null,\"s\":null,\"y\":null,\"day\":null,\"t\":null,\"z\":"
        "null,"
        "\"e\":null,\"m\":null,\"j\":null,\"l\":null}"
    );
}

TEST(HttpRows, IntegersNeverPassThroughADouble) {
    HttpReading reading{columns({{"i", "int64"}})};
    EXPECT_EQ(
        reading.read(R"([{"i":9007199254740993},{"i":"9007199254740993"},{"i":9007199254740993.0}])"),
        R"({"i":9007199254740993},{"i":9007199254740993},{"i":9007199254740993})"
    );
}

TEST(HttpRows, ValuesThatDoNotFit) {
    const std::pair<const char*, const char*> wrong[] = {
        {"int64", "9223372036854775808"},
        {"int64", "1.5"},
        {"int64", "true"},
        {"int64", "\"\""},
        {"int64", "[1]"},
        {"uint64", "-1"},
        {"float64", "1e999"},
        {"boolean", "1"},
        {"decimal(4,2)", "1.234"},
        {"decimal(4,2)", "123"},
        {"date", "\"2026-02-30\""},
        {"timestamp", "1700000000"},
        {"bytes", "\"%\""},
        {"string", "{}"},
        {"int64!", "null"},
        {"epoch", "\"x\""},
        {"list", "1"},
        {"string /x/y", "\"text\""}};
    for (const auto& [type, value] : wrong) {
        HttpReading reading{columns({{"x", type}})};
        EXPECT_EQ(reading.code("[{\"x\":" + std::string(value) + "}]"), "source.bad_data") << type << ' ' << value;
        EXPECT_NE(reading.message.find("row 1: column `x`"), std::string::npos) << reading.message;
    }
}

TEST(HttpRows, WaysToAValue) {
    HttpReading reading{columns(
        {{"town", "string /address/town"},
         {"mail", "string /channels/[type=email]/value"},
         {"sms", "string /channels/[type=sms]/value"},
         {"first", "string /channels/0/value"},
         {"field", "string /fields/[id=7]/value"},
         {"whole", "json ."}}
    )};
    EXPECT_EQ(
        reading.read(
            R"([{"channels":[{"value":"1","type":"sms"},{"type":"email","value":"a"},{"type":"email","value":"b"}],)"
            R"("fields":[{"id":6,"value":"no"},{"id":7,"value":"yes"}],"address":{"x":1,"town":"Lviv"}}])"
        ),
        R"({"town":"Lviv","mail":"a","sms":"1","first":"1","field":"yes","whole":{"channels":[{"value":"1","type":"sms"},)"
        R"({"type":"email","value":"a"},{"type":"email","value":"b"}],"fields":[{"id":6,"value":"no"},)"
        R"({"id":7,"value":"yes"}],"address":{"x":1,"town":"Lviv"}}})"
    );
    EXPECT_EQ(
        reading.read(R"([{"address":null,"channels":[],"fields":null}])"),
        R"({"town":null,"mail":null,"sms":null,"first":null,"field":null,"whole":{"address":null,"channels":[],"fields":null}})"
    );
}

TEST(HttpRows, WhatIsTakenFromAChosenElement) {
    HttpReading reading{columns({{"x", "string /list/[k=1]/x"}, {"deep", "string /other/[k=1]/a/b"}})};
    const auto x_of = [&](const std::string& element) { return reading.read(R"([{"list":[)" + element + "]}]"); };
    const auto long_text = std::string(300, 'l');
    EXPECT_EQ(x_of(R"({"x":"before","k":1})"), R"({"x":"before","deep":null})");
    EXPECT_EQ(x_of(R"({"k":1,"x":"first","x":"last"})"), R"({"x":"last","deep":null})");
    EXPECT_EQ(x_of(R"({"k":1,"\u0078":"a name in escapes"})"), R"({"x":"a name in escapes","deep":null})");
    EXPECT_EQ(x_of(R"({"k":1,"x":"\u0078\"\n"})"), R"({"x":"x\"\n","deep":null})");
    EXPECT_EQ(x_of(R"({"k":1,"x":")" + long_text + "\"}"), R"({"x":")" + long_text + R"(","deep":null})");
    EXPECT_EQ(x_of(R"({"k":1,"x":null})"), R"({"x":null,"deep":null})");
    std::string many = R"({"k":1)";
    for (int i = 0; i < 1000; ++i) {
        many += ",\"m" + std::to_string(i) + "\":0";
    }
    EXPECT_EQ(x_of(many + R"(,"x":"behind many"})"), R"({"x":"behind many","deep":null})");
    EXPECT_EQ(
        reading.read(R"([{"list":[{"k":1,"x":"a"}],"other":[{"a":{"b":"no"}},{"a":{"b":"yes"},"k":1}]},{"list":[]}])"),
        R"({"x":"a","deep":"yes"},{"x":null,"deep":null})"
    );
}

TEST(HttpRows, ALoneElementIsAListWhereThatWasAsked) {
    const auto declared = columns({{"mail", "string /channels/[type=email]/value"}, {"all", "list /channels"}});
    const std::string body = R"({"channels":{"type":"email","value":"a"}})";
    HttpReading reading{declared, "", true};
    EXPECT_EQ(reading.read(body), R"({"mail":"a","all":[{"type":"email","value":"a"}]})");
    EXPECT_EQ(reading.read("[" + body + "," + body + "]").size(), 2 * reading.read(body).size() + 1);
    HttpReading strict{declared};
    EXPECT_EQ(strict.code(body), "source.bad_data");
    EXPECT_EQ(strict.code("[" + body + "]"), "source.bad_data");
    EXPECT_NE(strict.message.find("a list is expected"), std::string::npos) << strict.message;
}

constexpr std::string_view sample =
    "\xef\xbb\xbf"
    R"( { "meta" : {"n":[1,{"rows":[9]}],"t":"\\\"]"} , "data":{"x":1,"rows" : [ {"id":1,"s":"a]},{\""} , )"
    R"({"id":12.0e1,"s":null},{"s":"\u00e9\ud800x","id":-3} ],"y":true},"next":"c 1","total":3} )";
constexpr std::string_view sample_rows = R"({"id":1,"s":"a]},{\""},{"id":120,"s":null},{"id":-3,"s":"é)"
                                         "\xef\xbf\xbd"
                                         R"(x"})";

TEST(HttpPage, PiecesOfAnySizeGiveTheSameRows) {
    HttpReading reading{columns({{"id", "int64!"}, {"s", "string"}}), "/data/rows"};
    for (std::size_t step = 1; step <= sample.size(); ++step) {
        reading.step = step;
        ASSERT_EQ(reading.read(sample, "/next"), sample_rows) << "pieces of " << step;
        EXPECT_EQ(reading.found, "c 1");
    }
    reading.read(sample, "/total");
    EXPECT_EQ(reading.found, "3");
    reading.read(sample, "/data/y");
    EXPECT_EQ(reading.found, "true");
    reading.read(sample, "/absent");
    EXPECT_EQ(reading.found, std::nullopt);
}

// Whatever is missing at the end, it is noticed: blanks alone may be.
TEST(HttpPage, CutAtEveryByte) {
    HttpReading reading{columns({{"id", "int64!"}, {"s", "string"}}), "/data/rows"};
    const auto whole = sample.find_last_not_of(' ') + 1;
    for (std::size_t size = 0; size < whole; ++size) {
        for (const std::size_t step : {std::size_t{1}, std::size_t{7}, sample.size()}) {
            reading.step = step;
            ASSERT_EQ(reading.code(sample.substr(0, size)), "source.incomplete") << size << ": " << reading.message;
        }
    }
    EXPECT_EQ(reading.code(sample.substr(0, whole)), "");
}

TEST(HttpPage, WhatIsNoPage) {
    HttpReading reading{columns({{"id", "int64"}})};
    const std::pair<std::string, const char*> wrong[] = {
        {"null", "source.bad_data"},
        {"\"text\"", "source.bad_data"},
        {"{}", "source.bad_data"},
        {"[{\"id\":1},]", "source.bad_data"},
        {"[,]", "source.bad_data"},
        {"[{\"id\":1} {\"id\":2}]", "source.bad_data"},
        {"[{\"id\":1}}", "source.bad_data"},
        {"[{\"id\":1]]", "source.bad_data"},
        {"[{\"id\" 1}]", "source.bad_data"},
        {"[{\"id\":01}]", "source.bad_data"},
        {"[{\"id\":1,}]", "source.bad_data"},
        {"[{\"a\":tru}]", "source.bad_data"},
        {"[{\"a\":\"\\x\"}]", "source.bad_data"},
        {"[{\"a\":\"\t\"}]", "source.bad_data"},
        {"[{\"a\":\"\xff\"}]", "source.bad_data"},
        {std::string("[{\"a\":\"\0\"}]", 11), "source.bad_data"},
        {"[]x", "source.bad_data"},
        {"[] []", "source.bad_data"},
        {"<html>", "source.bad_data"},
        {"", "source.incomplete"},
        {"[", "source.incomplete"},
        {"[]", ""},
        {" [ ] ", ""}};
    for (const auto& [body, code] : wrong) {
        for (const std::size_t step : {std::size_t{1}, std::size_t{100}}) {
            reading.step = step;
            EXPECT_EQ(reading.code(body), code) << body << ": " << reading.message;
        }
    }
    reading.rows = "/data";
    EXPECT_EQ(reading.code(R"({"error":"too late"})"), "source.bad_data");
    EXPECT_NE(reading.message.find("too late"), std::string::npos) << reading.message;
}

TEST(HttpPage, Bounds) {
    const auto deep = [](int levels) {
        return "[{\"a\":" + std::string(static_cast<std::size_t>(levels), '[') +
               std::string(static_cast<std::size_t>(levels), ']') + "}]";
    };
    HttpReading reading{columns({{"a", "json"}})};
    EXPECT_EQ(reading.code(deep(90)), "");
    EXPECT_EQ(reading.code(deep(200)), "source.limit");
    EXPECT_EQ(reading.code("[" + std::string(100'000, '[')), "source.limit");
    reading.rows = "/r";
    EXPECT_EQ(reading.code("{\"a\":" + std::string(100'000, '[')), "source.limit");
    reading.rows = "";
    reading.bounds = {200 * 1024, 1 << 20};
    reading.step = 16 * 1024;
    EXPECT_EQ(reading.code("[{\"a\":\"" + std::string(190 * 1024, 'x') + "\"}]"), "");
    EXPECT_EQ(reading.code("[{\"a\":\"" + std::string(210 * 1024, 'x') + "\"}]"), "source.limit");
    EXPECT_NE(reading.message.find("max_row_bytes"), std::string::npos) << reading.message;
    EXPECT_EQ(reading.code("[" + std::string(2 << 20, ' ') + "]"), "source.limit");
    EXPECT_NE(reading.message.find("max_page_bytes"), std::string::npos) << reading.message;
}

}  // namespace
}  // namespace headrace::source::http
