// The schema of a read session (Avro's, as JSON), laid beside the columns that BigQuery names for the same result: how
// each value is written in a row, and what it becomes. Pure.
//
// Errors: source.incomplete (transient) when the columns are others; source.unsupported (permanent) for a form that
// this decoder does not know; source.bad_data (permanent) for text that is no schema.
#pragma once

#include "source/bigquery/schema.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::source::bigquery::storage {

// How a value is written.
enum class Form : std::uint8_t { integer, float64, float32, boolean, text, bytes, decimal, record, array, range };

struct AvroType {
    Form form = Form::text;
    bool nullable = false;
    std::uint8_t null_branch = 0;  // of the union
    std::uint8_t scale = 0;        // decimal
    Type type;                     // what it becomes; of an array: its element
    std::vector<AvroType> parts;   // fields of a record, both bounds of a range, the element of an array
};

// One for each of `columns`, in their order.
std::vector<AvroType> lay_beside(const Columns& columns, std::string_view schema);

}  // namespace headrace::source::bigquery::storage
