// Dates and times as text, straight into memory that the caller has reserved; the forms of data/json.hpp. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace headrace::data {

inline constexpr std::size_t time_text_max = 40;

// Each returns the end of what it wrote. Every int64 is good: years outside 0..9999 get a sign.
char* write_date(char* out, std::int64_t days);  // 2026-11-21
char* write_time(
    char* out,
    std::int64_t microseconds
);  // 13:45:00, 13:45:00.123456; outside a day: "-00:00:01", "25:00:00"
char* write_timestamp(char* out, std::int64_t microseconds);  // 2026-11-21T18:00:01.102Z, or .102003Z

// The strict way back; nullopt for anything else and for days that do not exist.
std::optional<std::int64_t> parse_date(std::string_view text);  // YYYY-MM-DD → days
std::optional<std::int64_t> parse_time(std::string_view text);  // hh:mm:ss[.f{1,6}] → microseconds
// RFC 3339, or "YYYY-MM-DD hh:mm:ss[.f]" and "YYYY-MM-DD" taken as UTC. More than 6 decimals only when the rest is
// zero.
std::optional<std::int64_t> parse_timestamp(std::string_view text);  // → microseconds

}  // namespace headrace::data
