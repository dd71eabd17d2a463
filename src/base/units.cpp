#include "base/units.hpp"

#include <fmt/core.h>

#include <charconv>

namespace headrace {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

}  // namespace

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
    static constexpr Unit units[] = {
        {"", 1},
        {"B", 1},
        {"kB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"KiB", 1 << 10},
        {"MiB", 1 << 20},
        {"GiB", 1 << 30}};
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) {
        return std::nullopt;
    }
    std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
    while (!rest.empty() && rest.front() == ' ') {
        rest.remove_prefix(1);
    }
    for (const auto& unit : units) {
        if (rest == unit.name) {
            if (value > (std::uint64_t{1} << 62) / unit.factor) {
                return std::nullopt;
            }
            return value * unit.factor;
        }
    }
    return std::nullopt;
}

std::string format_bytes(std::uint64_t bytes) {
    static constexpr const char* names[] = {"B", "kB", "MB", "GB", "TB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1000 && unit < 4) {
        value /= 1000;
        ++unit;
    }
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, names[unit]);
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    static constexpr Unit units[] = {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
    std::uint64_t total = 0;
    std::size_t next_unit = 0;
    if (text.empty()) {
        return std::nullopt;
    }
    while (!text.empty()) {
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || value > 1'000'000'000) {
            return std::nullopt;
        }
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        const auto letters = std::min(text.find_first_not_of("dhms"), text.size());
        const auto name = text.substr(0, letters);
        while (next_unit < 5 && units[next_unit].name != name) {
            ++next_unit;
        }
        if (next_unit == 5) {
            return std::nullopt;
        }
        total += value * units[next_unit++].factor;
        text.remove_prefix(letters);
    }
    return std::chrono::milliseconds(total);
}

std::string format_duration(std::chrono::milliseconds span) {
    auto ms = span.count();
    if (ms < 1000) {
        return fmt::format("{}ms", ms);
    }
    if (ms < 10'000) {
        return fmt::format("{:.1f}s", static_cast<double>(ms) / 1000);
    }
    const auto s = ms / 1000;
    if (s < 60) {
        return fmt::format("{}s", s);
    }
    if (s < 3600) {
        return fmt::format("{}m{:02d}s", s / 60, s % 60);
    }
    return fmt::format("{}h{:02d}m", s / 3600, s / 60 % 60);
}

}  // namespace headrace
