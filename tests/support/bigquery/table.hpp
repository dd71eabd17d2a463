// Tables that the simulator serves: columns with a generator of values, rows rendered as the REST API writes them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::support::bigquery {

struct Column {
    std::string name;
    std::string type = "STRING";
    std::string mode = "NULLABLE";
    std::string fields;  // JSON list of the fields of a RECORD; ""
    // Appends the JSON of the value of row `row`: "\"text\"", "null", …
    std::function<void(std::string& out, std::uint64_t row)> value;
    // The same in Avro, for large tables; empty: it is made from the JSON, which is right and slow.
    std::function<void(std::string& out, std::uint64_t row)> avro = {};
};

struct Table {
    std::string name;  // "project.dataset.table"
    std::uint64_t rows = 0;
    std::vector<Column> columns;
};

// Eight columns as dashboards have them, about 100 bytes a row: id INT64, name, country STRING, amount NUMERIC, ratio
// FLOAT64, active BOOL, day DATE, updated_at TIMESTAMP. `salt` makes other values.
Table mixed_table(std::string name, std::uint64_t rows, std::uint64_t salt = 0);
// One row: a column for every type there is, and one of NULL for each.
Table every_type_table(std::string name);

// {"name":"id","type":"INTEGER","mode":"NULLABLE"}
std::string field_json(const Column& column);

}  // namespace headrace::support::bigquery
