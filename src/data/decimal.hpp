// Exact decimal numbers as digits: for comparing and for changing precision without a double. Pure value type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::data {

// (negative ? -1 : 1) × digits × 10^-scale, in normal form: no leading zeros, no trailing zeros, zero is "" with scale
// 0. scale is negative for 1200 (digits "12", scale -2).
struct Decimal {
    bool negative = false;
    std::string digits;
    int scale = 0;

    bool is_zero() const { return digits.empty(); }

    bool is_integer() const { return scale <= 0; }

    // Digits before the point; 0 for 0.5.
    int whole_digits() const {
        return static_cast<int>(digits.size()) > scale ? static_cast<int>(digits.size()) - scale : 0;
    }

    bool operator==(const Decimal&) const = default;
};

// "-12.30", "+5", ".5", "1.5e-7": nothing else, no blanks. nullopt also beyond 1000 digits or an exponent beyond ±1000.
std::optional<Decimal> parse_decimal(std::string_view text);

int compare(const Decimal& a, const Decimal& b);  // -1, 0, 1

// With exactly `scale` digits behind the point; nullopt when digits would be lost.
std::optional<std::string> to_text(const Decimal& value, int scale);
std::string to_text(const Decimal& value);  // as many digits as needed

// nullopt when it is not whole or does not fit.
std::optional<std::int64_t> to_int64(const Decimal& value);
std::optional<std::uint64_t> to_uint64(const Decimal& value);

}  // namespace headrace::data
