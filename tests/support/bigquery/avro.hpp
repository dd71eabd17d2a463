// The simulator's tables in Avro, as a read session sends them. Values are made from the JSON of the REST API, so that
// both ways tell the same. Private to the simulator.
#pragma once

#include "support/bigquery/table.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::support::bigquery {

void put_long(std::string& out, std::int64_t value);  // zigzag
void put_text(std::string& out, std::string_view bytes);
// Big-endian two's complement with as few bytes as it takes, length first.
void put_decimal(std::string& out, std::string_view digits, unsigned scale);

// Of some columns of a table.
class AvroTable {
public:
    AvroTable(const Table& table, const std::vector<std::size_t>& columns);
    ~AvroTable();

    const std::string& schema() const { return schema_; }

    void append(std::string& out, std::uint64_t row) const;

private:
    struct Node;
    static Node node_of(std::string name, std::string type, std::string mode, std::string_view fields);
    static std::string schema_of(const Node& node, int& number);
    static void put(std::string& out, const Node& node, std::string_view json);

    std::string schema_;
    std::vector<Node> nodes_;
    std::vector<const Column*> columns_;
};

}  // namespace headrace::support::bigquery
