#include "api/json_writer.hpp"

#include "base/json_text.hpp"

#include <fmt/core.h>

#include <cmath>

namespace headrace::api {

std::string to_millis(Timestamp value) {
    return format_rfc3339(std::chrono::floor<std::chrono::milliseconds>(value));
}

void JsonWriter::separate() {
    if (!fresh_) {
        out_ += ',';
    }
    fresh_ = false;
}

JsonWriter& JsonWriter::begin_object() {
    separate();
    out_ += '{';
    closers_ += '}';
    fresh_ = true;
    return *this;
}

JsonWriter& JsonWriter::begin_array() {
    separate();
    out_ += '[';
    closers_ += ']';
    fresh_ = true;
    return *this;
}

JsonWriter& JsonWriter::end() {
    out_ += closers_.back();
    closers_.pop_back();
    fresh_ = false;
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    separate();
    append_json_string(out_, name);
    out_ += ':';
    fresh_ = true;
    return *this;
}

JsonWriter& JsonWriter::text(std::string_view value) {
    separate();
    append_json_string(out_, value);
    return *this;
}

JsonWriter& JsonWriter::number(std::int64_t value) {
    separate();
    out_ += std::to_string(value);
    return *this;
}

JsonWriter& JsonWriter::real(double value) {
    if (!std::isfinite(value)) {
        return null();
    }
    separate();
    out_ += fmt::format("{}", value);
    return *this;
}

JsonWriter& JsonWriter::boolean(bool value) {
    return raw(value ? "true" : "false");
}

JsonWriter& JsonWriter::null() {
    return raw("null");
}

JsonWriter& JsonWriter::raw(std::string_view json) {
    separate();
    out_ += json;
    return *this;
}

JsonWriter& JsonWriter::time(Timestamp value) {
    return text(std::string_view(to_millis(value)));
}

JsonWriter& JsonWriter::texts(const std::vector<std::string>& values) {
    begin_array();
    for (const auto& value : values) {
        text(value);
    }
    return end();
}

JsonWriter& JsonWriter::text_or_null(const std::optional<std::string>& value) {
    return value ? text(*value) : null();
}

JsonWriter& JsonWriter::time_or_null(const std::optional<Timestamp>& value) {
    return value ? time(*value) : null();
}

}  // namespace headrace::api
