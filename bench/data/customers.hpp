// The bench's rows: 8 columns as in docs/benchmarks.md (UInt64, three strings of which one is Cyrillic in half of the
// rows, Int32, Float64, a flag as UInt8, DateTime), deterministic by index.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace headrace::bench {

struct Customer {
    std::uint64_t user_id;
    std::string email;
    std::string_view city;
    std::string_view segment;
    std::int32_t orders;
    double revenue;
    std::uint8_t is_active;
    std::uint32_t last_seen;  // epoch seconds
};

inline Customer customer(std::uint32_t i) {
    static constexpr std::array<std::string_view, 12> cities{
        "Київ",
        "Lviv",
        "Одеса",
        "Kharkiv",
        "Дніпро",
        "Warsaw",
        "Вінниця",
        "Chernivtsi",
        "Полтава",
        "Rivne",
        "Суми",
        "Uzhhorod"};
    static constexpr std::array<std::string_view, 8> segments{
        "loyal", "churn_risk", "new", "vip", "dormant", "one_time_buyer", "subscriber", "unknown"};
    static constexpr std::array<std::string_view, 8> words{
        "olena", "andrii.koval", "iryna", "m.shevchenko", "taras", "sofia.bondar", "yurii", "kateryna.m"};
    const std::uint32_t hash = (i + 1) * 2654435761U;
    return {
        100'000'000ULL + i,
        std::string(words[hash & 7]) + '.' + std::to_string(hash % 100'000'000) + "@mail" + std::to_string(i % 7) +
            ".example.com",
        cities[hash % 12],
        segments[(hash >> 5) & 7],
        static_cast<std::int32_t>(hash % 97),
        static_cast<double>(hash % 1'000'000) / 100,
        static_cast<std::uint8_t>((hash >> 9) & 1),
        1'735'689'600U + hash % 25'000'000};
}

}  // namespace headrace::bench
