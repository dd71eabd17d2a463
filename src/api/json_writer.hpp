// Writes JSON text member by member into one string. The caller keeps the nesting right; commas come by themselves.
#pragma once

#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::api {

class JsonWriter {
public:
    JsonWriter& begin_object();
    JsonWriter& begin_array();
    JsonWriter& end();  // of the innermost object or array

    JsonWriter& key(std::string_view name);
    JsonWriter& text(std::string_view value);
    JsonWriter& number(std::int64_t value);
    JsonWriter& real(double value);  // not finite: null
    JsonWriter& boolean(bool value);
    JsonWriter& null();
    JsonWriter& raw(std::string_view json);  // one whole value
    JsonWriter& time(Timestamp value);       // RFC 3339, UTC, milliseconds
    JsonWriter& texts(const std::vector<std::string>& values);
    JsonWriter& text_or_null(const std::optional<std::string>& value);
    JsonWriter& time_or_null(const std::optional<Timestamp>& value);

    const std::string& str() const { return out_; }

    std::string take() { return std::move(out_); }

private:
    void separate();

    std::string out_;
    std::string closers_;  // of what is open
    bool fresh_ = true;    // no comma before the next value
};

std::string to_millis(Timestamp value);  // 2026-11-21T18:00:01.102Z

}  // namespace headrace::api
