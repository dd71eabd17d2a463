// The columns of a result as BigQuery describes them, and the columns that they become here. Pure.
#pragma once

#include "data/schema.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace headrace::source::bigquery {

// How a value is written in a page and what it becomes. `text` also stands for every type that is not known.
enum class Shape : std::uint8_t {
    integer,
    floating,
    decimal,
    boolean,
    text,
    bytes,
    date,
    time,
    timestamp,
    json,
    record
};

struct Type {
    std::string name;
    std::string word;  // BigQuery's own name, for messages
    Shape shape = Shape::text;
    bool repeated = false;
    bool required = false;
    std::uint8_t precision = 0;  // decimal only
    std::uint8_t scale = 0;
    std::vector<Type> fields;  // record only

    bool operator==(const Type&) const = default;
};

using Columns = std::vector<Type>;

data::Field field_of(const Type& type);  // lists and records become json
data::Schema schema_of(const Columns& columns);

}  // namespace headrace::source::bigquery
