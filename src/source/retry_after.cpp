#include "source/retry_after.hpp"

#include "data/time_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace headrace::source {

std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, std::chrono::sys_seconds now) {
    if (value.empty()) {
        return std::nullopt;
    }
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error == std::errc() && end == value.data() + value.size()) {
        return seconds < 0 ? std::nullopt : std::optional(std::chrono::seconds(seconds));
    }
    // "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7), put into the order that parse_timestamp reads.
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (value.size() != 29 || !value.ends_with(" GMT")) {
        return std::nullopt;
    }
    const auto month = months.find(value.substr(8, 3));
    if (month == std::string_view::npos || month % 3 != 0) {
        return std::nullopt;
    }
    const auto text =
        fmt::format("{}-{:02}-{} {}", value.substr(12, 4), month / 3 + 1, value.substr(5, 2), value.substr(17, 8));
    const auto when = data::parse_timestamp(text);
    if (!when) {
        return std::nullopt;
    }
    return std::max(std::chrono::seconds(*when / 1'000'000) - now.time_since_epoch(), std::chrono::seconds(0));
}

}  // namespace headrace::source
