// JSON text out of columns. The only JSON encoder of the data path.
//   int64, uint64, decimal  exact digits, as numbers          float64  shortest text that reads back the same; NaN/±Inf
//   → null boolean  true/false     string  escaped, invalid UTF-8 → U+FFFD (base/json_text.hpp)    bytes  base64 string
//   date "2026-11-21"   time "13:45:00" or "13:45:00.123456"   timestamp "2026-11-21T18:00:01.102Z" (ms, µs when
//   needed) json  as it is      null  null
#pragma once

#include "data/batch.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace headrace::data {

// Prepared for one schema (keys are escaped once). Cheap to make; holds no reference to a batch. Const use from several
// threads is fine.
class JsonEncoder {
public:
    explicit JsonEncoder(const Schema& schema);

    // Appends `{"a":1,"b":"x"}` for the row; the batch must have the encoder's schema.
    void append_object(Buffer<char>& out, const Batch& batch, std::size_t row) const;
    // Appends rows [from, to) separated by ','.
    void append_objects(Buffer<char>& out, const Batch& batch, std::size_t from, std::size_t to) const;

private:
    Buffer<char> keys_;                    // `{"a":` then `,"b":` … in a row
    std::vector<std::uint32_t> key_ends_;  // where each ends in keys_
};

// Appends one value as JSON.
void append_json_value(Buffer<char>& out, const Column& column, std::size_t row);
// Appends text as a JSON string.
void append_json_text(Buffer<char>& out, std::string_view text);
// Appends one value as plain text (a Redis key or hash field, a set member): strings as they are, numbers as digits,
// times as in JSON without quotes, bytes as base64, NaN and infinities and null as nothing.
void append_plain_value(Buffer<char>& out, const Column& column, std::size_t row);

// True when `text` is exactly one JSON value (RFC 8259, UTF-8, at most 128 levels deep).
bool is_json(std::string_view text);

}  // namespace headrace::data
