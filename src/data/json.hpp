// JSON text out of columns. The only JSON encoder of the data path.
//   int64, uint64, decimal  exact digits, as numbers          float64  shortest text that reads back the same; NaN/±Inf → null
//   boolean  true/false     string  escaped, invalid UTF-8 → U+FFFD (base/json_text.hpp)    bytes  base64 string
//   date "2026-11-21"   time "13:45:00" or "13:45:00.123456"   timestamp "2026-11-21T18:00:01.102Z" (ms, µs when needed)
//   json  as it is      null  null
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/batch.hpp"

namespace headrace::data {

// Prepared for one schema (keys are escaped once). Cheap to make; holds no reference to a batch.
class JsonEncoder {
public:
    explicit JsonEncoder(const Schema& schema);

    // Appends `{"a":1,"b":"x"}` for the row; the batch must have the encoder's schema.
    void append_object(Buffer<char>& out, const Batch& batch, std::size_t row) const;
    // Appends rows [from, to) separated by ','.
    void append_objects(Buffer<char>& out, const Batch& batch, std::size_t from, std::size_t to) const;

private:
    std::vector<std::string> keys_;  // `{"a":` then `,"b":` …
};

// Appends one value as JSON.
void append_json_value(Buffer<char>& out, const Column& column, std::size_t row);
// Appends one value as plain text (a Redis key or hash field, a set member): strings as they are, numbers as digits,
// times as in JSON without quotes, null as nothing.
void append_plain_value(Buffer<char>& out, const Column& column, std::size_t row);

}  // namespace headrace::data
