#include "support/bigquery/table.hpp"

#include "data/time_text.hpp"

#include <fmt/format.h>

namespace headrace::support::bigquery {
namespace {

// splitmix64: the same value for the same row, in any order.
std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

std::string day_text(std::int64_t days) {
    char space[data::time_text_max];
    return {space, data::write_date(space, days)};
}

constexpr std::string_view countries[] = {"UA", "PL", "DE", "FR", "ES", "IT", "GB", "US"};
constexpr std::string_view kinds[] = {"Fare", "Hotel", "Lounge", "Bag", "Seat", "Transfer", "Cover"};

struct Sample {
    std::string_view name;
    std::string_view type;
    std::string_view json;  // of the value
    std::string_view mode = "NULLABLE";
    std::string_view fields = "";
};

constexpr std::string_view point_fields =
    R"([{"name":"x","type":"INTEGER"},{"name":"label","type":"STRING"},{"name":"at","type":"TIMESTAMP"}])";

constexpr Sample samples[] = {
    {"int64", "INTEGER", R"("-9223372036854775808")"},
    {"float64", "FLOAT", R"("0.1")"},
    {"float_big", "FLOAT", R"("1.7976931348623157E308")"},
    {"float_nan", "FLOAT", R"("NaN")"},
    {"float_inf", "FLOAT", R"("-Infinity")"},
    {"numeric", "NUMERIC", R"("-99999999999999999999999999999.999999999")"},
    {"bignumeric", "BIGNUMERIC", R"("578960446186580977117854925043439539266.34992332820282019728792003956564819967")"},
    {"bool", "BOOLEAN", R"("true")"},
    {"string", "STRING", R"("Київ \"quoted\" \\ \u2028 \n line")"},
    {"bytes", "BYTES", R"("AAH/")"},
    {"date_low", "DATE", R"("0001-01-01")"},
    {"date_high", "DATE", R"("9999-12-31")"},
    {"datetime", "DATETIME", R"("2026-11-21T18:00:01.102003")"},
    {"time", "TIME", R"("23:59:59.999999")"},
    {"timestamp", "TIMESTAMP", R"("1795284001102003")"},
    {"timestamp_old", "TIMESTAMP", R"("-62135596800000000")"},
    {"json", "JSON", R"("{\"a\":[1,null,\"x\"]}")"},
    {"geography", "GEOGRAPHY", "\"POINT(30.5 50.4)\""},
    {"interval", "INTERVAL", R"("1-2 3 4:5:6.789")"},
    {"range", "RANGE", "\"[2026-01-01, UNBOUNDED)\""},
    {"record", "RECORD", R"({"f":[{"v":"1"},{"v":"one"},{"v":"1795284001000000"}]})", "NULLABLE", point_fields},
    {"list", "INTEGER", R"([{"v":"1"},{"v":"2"}])", "REPEATED"},
    {"list_empty", "STRING", "[]", "REPEATED"},
    {"records",
     "RECORD",
     R"([{"v":{"f":[{"v":"1"},{"v":null},{"v":null}]}},{"v":{"f":[{"v":"2"},{"v":"b"},{"v":null}]}}])",
     "REPEATED",
     point_fields},
    {"unknown", "HOLOGRAM", R"("as it is")"},
};

}  // namespace

Table mixed_table(std::string name, std::uint64_t rows, std::uint64_t salt) {
    Table out{std::move(name), rows, {}};
    const auto draw = [salt](std::uint64_t row, std::uint64_t column) { return mix(row * 8 + column + (salt << 32)); };
    const auto add = [&](std::string column, std::string type, std::function<void(std::string&, std::uint64_t)> value) {
        out.columns.push_back({std::move(column), std::move(type), "NULLABLE", "", std::move(value)});
    };
    using Text = std::string;
    const auto into = [](Text& text) { return std::back_inserter(text); };
    add("id", "INTEGER", [into](Text& text, auto row) { fmt::format_to(into(text), "\"{}\"", row + 1); });
    add("name", "STRING", [=](Text& text, auto row) {
        fmt::format_to(into(text), "\"{} {:06}\"", kinds[draw(row, 1) % std::size(kinds)], draw(row, 1) % 1'000'000);
    });
    add("country", "STRING", [=](Text& text, auto row) {
        if (draw(row, 2) % 16 == 0) {
            text += "null";
        } else {
            fmt::format_to(into(text), "\"{}\"", countries[draw(row, 2) % std::size(countries)]);
        }
    });
    add("amount", "NUMERIC", [=](Text& text, auto row) {
        fmt::format_to(into(text), "\"{}.{:02}\"", draw(row, 3) % 100'000, draw(row, 3) / 7 % 100);
    });
    add("ratio", "FLOAT", [=](Text& text, auto row) {
        fmt::format_to(into(text), "\"{}\"", static_cast<double>(draw(row, 4) % 100'000) / 100'000);
    });
    add("active", "BOOLEAN", [=](Text& text, auto row) { text += draw(row, 5) % 4 == 0 ? "\"false\"" : "\"true\""; });
    add("day", "DATE", [=](Text& text, auto row) {
        fmt::format_to(into(text), "\"{}\"", day_text(static_cast<std::int64_t>(18'000 + draw(row, 6) % 2'500)));
    });
    add("updated_at", "TIMESTAMP", [=](Text& text, auto row) {
        fmt::format_to(into(text), "\"{}\"", 1'700'000'000'000'000 + draw(row, 7) % 90'000'000'000'000);
    });
    return out;
}

Table every_type_table(std::string name) {
    Table out{std::move(name), 2, {}};
    for (const auto& sample : samples) {
        out.columns.push_back(
            {std::string(sample.name),
             std::string(sample.type),
             std::string(sample.mode),
             std::string(sample.fields),
             [sample](std::string& text, std::uint64_t row) {
                 text += row == 0 ? sample.json : sample.mode == "REPEATED" ? "[]" : "null";
             }}
        );
    }
    return out;
}

std::string field_json(const Column& column) {
    return fmt::format(
        R"({{"name":"{}","type":"{}","mode":"{}"{}}})",
        column.name,
        column.type,
        column.mode,
        column.type == "RANGE"  ? R"(,"rangeElementType":{"type":"DATE"})"
        : column.fields.empty() ? ""
                                : ",\"fields\":" + column.fields
    );
}

}  // namespace headrace::support::bigquery
