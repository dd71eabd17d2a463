#include "support/bigquery/table.hpp"

#include "data/time_text.hpp"
#include "support/bigquery/avro.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>

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

constexpr char there = 2;  // Avro: the second branch of ["null", T]

// Positive; as few bytes as it takes, as put_decimal() writes it.
void put_small_decimal(std::string& out, std::uint64_t value) {
    const int size = std::bit_width(value) / 8 + 1;  // one more bit, for the sign
    put_long(out, size);
    for (int i = size - 1; i >= 0; --i) {
        out += static_cast<char>(value >> (8 * i) & 0xff);
    }
}

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

std::uint64_t draw(std::uint64_t salt, std::uint64_t row, std::uint64_t column) {
    return mix(row * 8 + column + (salt << 32));
}

// The columns of mixed_table(): each value as JSON and as Avro.
class Mixed {
public:
    using Value = std::function<void(std::string&, std::uint64_t)>;

    Mixed(Table& table, std::uint64_t salt) : table_(table), salt_(salt) {}

    void add_id_and_texts();
    void add_numbers();
    void add_bool_and_times();

private:
    void add(std::string name, std::string type, Value value, Value avro) {
        table_.columns.push_back({std::move(name), std::move(type), "NULLABLE", "", std::move(value), std::move(avro)});
    }

    // An integer on both wires.
    template <class Make>
    void add_integer(std::string name, std::string type, Make make) {
        add(
            std::move(name),
            std::move(type),
            [make](std::string& out, auto row) { fmt::format_to(std::back_inserter(out), "\"{}\"", make(row)); },
            [make](std::string& out, auto row) {
                out += there;
                put_long(out, static_cast<std::int64_t>(make(row)));
            }
        );
    }

    Table& table_;
    std::uint64_t salt_;
};

void Mixed::add_id_and_texts() {
    add_integer("id", "INTEGER", [](auto row) { return row + 1; });
    const auto kind = [=, salt = salt_](auto row) { return kinds[draw(salt, row, 1) % std::size(kinds)]; };
    const auto write_name = [=, salt = salt_](std::string& out, auto row) {
        fmt::format_to(std::back_inserter(out), "{} {:06}", kind(row), draw(salt, row, 1) % 1'000'000);
    };
    add(
        "name",
        "STRING",
        [=](std::string& out, auto row) {
            out += '"';
            write_name(out, row);
            out += '"';
        },
        [=](std::string& out, auto row) {
            out += there;
            put_long(out, static_cast<std::int64_t>(kind(row).size() + 7));
            write_name(out, row);
        }
    );
    const auto country = [salt = salt_](auto row) {
        const auto number = draw(salt, row, 2);
        return number % 16 == 0 ? std::string_view() : countries[number % std::size(countries)];
    };
    add(
        "country",
        "STRING",
        [=](std::string& out, auto row) {
            const auto value = country(row);
            out += value.empty() ? std::string("null") : fmt::format("\"{}\"", value);
        },
        [=](std::string& out, auto row) {
            const auto value = country(row);
            out += value.empty() ? '\0' : there;
            if (!value.empty()) {
                put_text(out, value);
            }
        }
    );
}

void Mixed::add_numbers() {
    const auto cents = [salt = salt_](auto row) {
        return draw(salt, row, 3) % 100'000 * 100 + draw(salt, row, 3) / 7 % 100;
    };
    add(
        "amount",
        "NUMERIC",
        [=](std::string& out, auto row) {  // BigQuery writes no zeros at the end
            const auto value = cents(row);
            fmt::format_to(std::back_inserter(out), "\"{}", value / 100);
            if (value % 10 != 0) {
                fmt::format_to(std::back_inserter(out), ".{:02}", value % 100);
            } else if (value % 100 != 0) {
                fmt::format_to(std::back_inserter(out), ".{}", value % 100 / 10);
            }
            out += '"';
        },
        [=](std::string& out, auto row) {
            out += there;
            put_small_decimal(out, cents(row) * 10'000'000);
        }
    );
    const auto ratio = [salt = salt_](auto row) { return static_cast<double>(draw(salt, row, 4) % 100'000) / 100'000; };
    add(
        "ratio",
        "FLOAT",
        [=](std::string& out, auto row) { fmt::format_to(std::back_inserter(out), "\"{}\"", ratio(row)); },
        [=](std::string& out, auto row) {
            const auto bits = std::bit_cast<std::array<char, 8>>(ratio(row));
            out += there;
            out.append(bits.data(), bits.size());
        }
    );
}

void Mixed::add_bool_and_times() {
    const auto active = [salt = salt_](auto row) { return draw(salt, row, 5) % 4 != 0; };
    add(
        "active",
        "BOOLEAN",
        [=](std::string& out, auto row) { out += active(row) ? "\"true\"" : "\"false\""; },
        [=](std::string& out, auto row) {
            out += there;
            out += active(row) ? '\1' : '\0';
        }
    );
    const auto day = [salt = salt_](auto row) {
        return static_cast<std::int64_t>(18'000 + draw(salt, row, 6) % 2'500);
    };
    add(
        "day",
        "DATE",
        [=](std::string& out, auto row) { fmt::format_to(std::back_inserter(out), "\"{}\"", day_text(day(row))); },
        [=](std::string& out, auto row) {
            out += there;
            put_long(out, day(row));
        }
    );
    add_integer("updated_at", "TIMESTAMP", [salt = salt_](auto row) {
        return 1'700'000'000'000'000 + draw(salt, row, 7) % 90'000'000'000'000;
    });
}

}  // namespace

Table mixed_table(std::string name, std::uint64_t rows, std::uint64_t salt) {
    Table out{std::move(name), rows, {}};
    Mixed columns(out, salt);
    columns.add_id_and_texts();
    columns.add_numbers();
    columns.add_bool_and_times();
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
             },
             {}}
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
