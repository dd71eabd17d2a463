// Short ways to the members of a small JSON document. Private to this connector; heavy (simdjson): sources only.
#pragma once

#include <simdjson.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::source::bigquery::dom {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

inline std::optional<element> member(const element& of, std::string_view name) {
    element found;
    const bool good = of.is_object() && of.at_key(name).get(found) == simdjson::SUCCESS && !found.is_null();
    return good ? std::optional(found) : std::nullopt;
}

// "" when it is absent or no string.
inline std::string text(const element& of, std::string_view name) {
    const auto found = member(of, name);
    std::string_view out;
    return found && found->get(out) == simdjson::SUCCESS ? std::string(out) : std::string();
}

// BigQuery writes 64-bit numbers as strings; emulators as numbers.
inline std::optional<std::uint64_t> number(const element& of, std::string_view name) {
    const auto found = member(of, name);
    if (!found) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    if (found->get(value) == simdjson::SUCCESS) {
        return value;
    }
    std::string_view digits;
    if (found->get(digits) != simdjson::SUCCESS || digits.empty()) {
        return std::nullopt;
    }
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() ? std::optional(value) : std::nullopt;
}

inline bool flag(const element& of, std::string_view name) {
    const auto found = member(of, name);
    bool value = false;
    return found && found->get(value) == simdjson::SUCCESS && value;
}

inline std::optional<array> list(const element& of, std::string_view name) {
    const auto found = member(of, name);
    array out;
    return found && found->get(out) == simdjson::SUCCESS ? std::optional(out) : std::nullopt;
}

}  // namespace headrace::source::bigquery::dom
