// Sizes and durations as people write them in files: "64MiB", "512kB", "10m", "1h30m", "250ms".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace {

// Bytes: plain number, or with B, kB/MB/GB (1000) or KiB/MiB/GiB (1024). nullopt when not understood or above 2^62.
std::optional<std::uint64_t> parse_bytes(std::string_view text);
std::string format_bytes(std::uint64_t bytes);  // "46.8 MB", decimal units

// Durations: one or more of ms, s, m, h, d, largest first. A bare number is refused: units are not guessed.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
std::string format_duration(std::chrono::milliseconds span);  // "1m10s", "250ms"

}  // namespace headrace
