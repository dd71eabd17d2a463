#include "support/bigquery/avro.hpp"

#include "base/encoding.hpp"
#include "data/time_text.hpp"

#include <boost/json.hpp>

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace headrace::support::bigquery {
namespace {

namespace json = boost::json;

std::int64_t need(std::optional<std::int64_t> value, std::string_view text) {
    if (!value) {
        throw std::runtime_error("the simulator cannot write this in Avro: " + std::string(text));
    }
    return *value;
}

void put_double(std::string& out, double value) {
    char space[sizeof value];
    std::memcpy(space, &value, sizeof value);
    out.append(space, sizeof space);
}

}  // namespace

void put_long(std::string& out, std::int64_t value) {
    auto bits = static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
    for (; bits >= 0x80; bits >>= 7) {
        out += static_cast<char>(bits | 0x80);
    }
    out += static_cast<char>(bits);
}

void put_text(std::string& out, std::string_view bytes) {
    put_long(out, static_cast<std::int64_t>(bytes.size()));
    out += bytes;
}

void put_decimal(std::string& out, std::string_view digits, unsigned scale) {
    std::uint8_t number[33] = {};  // the lowest byte first; one more than the widest, for the sign
    const auto push = [&](unsigned digit) {
        unsigned carry = digit;
        for (auto& byte : number) {
            carry += byte * 10U;
            byte = static_cast<std::uint8_t>(carry);
            carry >>= 8;
        }
    };
    const bool negative = digits.starts_with('-');
    const auto point = std::min(digits.find('.'), digits.size());
    for (const char c : digits) {
        if (c >= '0' && c <= '9') {
            push(static_cast<unsigned>(c - '0'));
        }
    }
    for (auto fraction = digits.size() - std::min(point + 1, digits.size()); fraction < scale; ++fraction) {
        push(0);
    }
    if (negative) {
        unsigned carry = 1;
        for (auto& byte : number) {
            carry += static_cast<std::uint8_t>(~byte);
            byte = static_cast<std::uint8_t>(carry);
            carry >>= 8;
        }
    }
    std::size_t size = sizeof number;
    const std::uint8_t fill = number[size - 1];  // all bits are the sign
    while (size > 1 && number[size - 1] == fill && (number[size - 2] & 0x80) == (fill & 0x80)) {
        --size;
    }
    put_long(out, static_cast<std::int64_t>(size));
    for (auto i = size; i > 0; --i) {
        out += static_cast<char>(number[i - 1]);
    }
}

struct AvroTable::Node {
    std::string name;
    std::string type;
    std::string mode;
    std::vector<Node> fields;
};

AvroTable::~AvroTable() = default;

AvroTable::AvroTable(const Table& table, const std::vector<std::size_t>& columns) {
    schema_ = R"({"type":"record","name":"__root__","fields":[)";
    int number = 0;
    for (const auto i : columns) {
        const auto& column = table.columns[i];
        nodes_.push_back(node_of(column.name, column.type, column.mode, column.fields));
        columns_.push_back(&column);
        schema_ += number++ == 0 ? "" : ",";
        schema_ += schema_of(nodes_.back(), number);
    }
    schema_ += "]}";
}

AvroTable::Node AvroTable::node_of(std::string name, std::string type, std::string mode, std::string_view fields) {
    Node out{std::move(name), std::move(type), std::move(mode), {}};
    if (fields.empty()) {
        return out;
    }
    const auto list = json::parse(fields);
    for (const auto& field : list.as_array()) {
        const auto& object = field.as_object();
        const auto text = [&](std::string_view member, std::string_view otherwise) {
            const auto* value = object.if_contains(member);
            return value != nullptr ? std::string(value->as_string()) : std::string(otherwise);
        };
        const auto* inner = object.if_contains("fields");
        out.fields.push_back(
            node_of(text("name", ""), text("type", ""), text("mode", "NULLABLE"), inner ? json::serialize(*inner) : "")
        );
    }
    return out;
}

// {"name":…,"type":…}
std::string AvroTable::schema_of(const Node& node, int& number) {
    const auto& type = node.type;
    const auto logical = [](std::string_view base, std::string_view name) {
        return fmt::format(R"({{"type":"{}","logicalType":"{}"}})", base, name);
    };
    std::string form = type == "INTEGER"      ? "\"long\""
                       : type == "FLOAT"      ? "\"double\""
                       : type == "BOOLEAN"    ? "\"boolean\""
                       : type == "BYTES"      ? "\"bytes\""
                       : type == "STRING"     ? "\"string\""
                       : type == "DATE"       ? logical("int", "date")
                       : type == "TIME"       ? logical("long", "time-micros")
                       : type == "TIMESTAMP"  ? logical("long", "timestamp-micros")
                       : type == "NUMERIC"    ? R"({"type":"bytes","logicalType":"decimal","precision":38,"scale":9})"
                       : type == "BIGNUMERIC" ? R"({"type":"bytes","logicalType":"decimal","precision":77,"scale":38})"
                                              : fmt::format(R"({{"type":"string","sqlType":"{}"}})", type);
    if (type == "RANGE") {
        const auto bound = fmt::format(R"(["null",{}])", logical("int", "date"));
        form = fmt::format(
            R"({{"type":"record","name":"range_{}","sqlType":"RANGE","fields":[{{"name":"start","type":{}}},{{"name":"end","type":{}}}]}})",
            ++number,
            bound,
            bound
        );
    } else if (type == "RECORD") {
        form = fmt::format(R"({{"type":"record","name":"record_{}","fields":[)", ++number);
        for (const auto& field : node.fields) {
            form += (form.back() == '[' ? "" : ",") + schema_of(field, number);
        }
        form += "]}";
    }
    if (node.mode == "REPEATED") {
        form = fmt::format(R"({{"type":"array","items":{}}})", form);
    } else if (node.mode == "NULLABLE") {
        form = fmt::format(R"(["null",{}])", form);
    }
    return fmt::format(R"({{"name":"{}","type":{}}})", node.name, form);
}

// `text` is the JSON of the value in the REST API.
void AvroTable::put(std::string& out, const Node& node, std::string_view text) {
    const auto value = json::parse(text);
    if (node.mode == "REPEATED") {
        auto element = node;
        element.mode = "REQUIRED";
        const auto& list = value.as_array();
        // In two blocks, the second with its size, as a writer may do it.
        const auto first = list.size() > 1 ? list.size() - 1 : list.size();
        if (first > 0) {
            put_long(out, static_cast<std::int64_t>(first));
        }
        for (std::size_t i = 0; i < first; ++i) {
            put(out, element, json::serialize(list[i].as_object().at("v")));
        }
        if (first < list.size()) {
            std::string last;
            put(last, element, json::serialize(list.back().as_object().at("v")));
            put_long(out, -1);
            put_text(out, last);
        }
        put_long(out, 0);
        return;
    }
    if (node.mode == "NULLABLE") {
        put_long(out, value.is_null() ? 0 : 1);
        if (value.is_null()) {
            return;
        }
    }
    if (node.type == "RECORD") {
        const auto& cells = value.as_object().at("f").as_array();
        for (std::size_t i = 0; i < node.fields.size(); ++i) {
            put(out, node.fields[i], json::serialize(cells.at(i).as_object().at("v")));
        }
        return;
    }
    const std::string plain(value.as_string());
    const auto& type = node.type;
    if (type == "INTEGER" || type == "TIMESTAMP") {
        put_long(out, std::stoll(plain));
    } else if (type == "FLOAT") {
        put_double(out, std::strtod(plain.c_str(), nullptr));
    } else if (type == "BOOLEAN") {
        out += plain == "true" ? '\1' : '\0';
    } else if (type == "BYTES") {
        put_text(out, base64_decode(plain).value());
    } else if (type == "DATE") {
        put_long(out, need(data::parse_date(plain), plain));
    } else if (type == "TIME") {
        put_long(out, need(data::parse_time(plain), plain));
    } else if (type == "NUMERIC" || type == "BIGNUMERIC") {
        put_decimal(out, plain, type == "NUMERIC" ? 9 : 38);
    } else if (type == "RANGE") {  // "[2026-01-01, UNBOUNDED)"
        const auto comma = plain.find(", ");
        for (const auto& bound : {plain.substr(1, comma - 1), plain.substr(comma + 2, plain.size() - comma - 3)}) {
            const bool open = bound == "UNBOUNDED";
            put_long(out, open ? 0 : 1);
            if (!open) {
                put_long(out, need(data::parse_date(bound), bound));
            }
        }
    } else {
        put_text(out, plain);
    }
}

void AvroTable::append(std::string& out, std::uint64_t row) const {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (columns_[i]->avro) {
            columns_[i]->avro(out, row);
            continue;
        }
        text.clear();
        columns_[i]->value(text, row);
        put(out, nodes_[i], text);
    }
}

}  // namespace headrace::support::bigquery
