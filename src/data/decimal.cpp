#include "data/decimal.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace headrace::data {
namespace {

constexpr std::size_t most_digits = 1000;
constexpr int most_exponent = 1000;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

void normalise(Decimal& value) {
    const auto first = value.digits.find_first_not_of('0');
    if (first == std::string::npos) {
        value = Decimal();
        return;
    }
    value.digits.erase(0, first);
    const auto last = value.digits.find_last_not_of('0');
    value.scale -= static_cast<int>(value.digits.size() - last - 1);
    value.digits.resize(last + 1);
}

// Of the magnitudes.
int compare_magnitude(const Decimal& a, const Decimal& b) {
    const int a_point = static_cast<int>(a.digits.size()) - a.scale;  // 10^point is above the number
    const int b_point = static_cast<int>(b.digits.size()) - b.scale;
    if (a_point != b_point) {
        return a_point < b_point ? -1 : 1;
    }
    const int order = a.digits.compare(b.digits);  // no trailing zeros: the longer of two with one beginning is larger
    return order < 0 ? -1 : order > 0 ? 1 : 0;
}

}  // namespace

std::optional<Decimal> parse_decimal(std::string_view text) {
    Decimal out;
    if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
        out.negative = text.front() == '-';
        text.remove_prefix(1);
    }
    bool point = false;
    bool any = false;
    std::size_t i = 0;
    for (; i < text.size(); ++i) {
        const char c = text[i];
        if (is_digit(c)) {
            any = true;
            if (out.digits.size() >= most_digits) {
                return std::nullopt;
            }
            out.digits += c;
            out.scale += point ? 1 : 0;
        } else if (c == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (!any) {
        return std::nullopt;
    }
    if (i < text.size()) {
        if (text[i] != 'e' && text[i] != 'E') {
            return std::nullopt;
        }
        auto exponent_text = text.substr(i + 1);
        if (exponent_text.starts_with('+')) {
            exponent_text.remove_prefix(1);
        }
        int exponent = 0;
        const auto [end, error] =
            std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
        if (error != std::errc() || end != exponent_text.data() + exponent_text.size() || exponent_text.empty() ||
            exponent > most_exponent || exponent < -most_exponent) {
            return std::nullopt;
        }
        out.scale -= exponent;
    }
    normalise(out);
    return out;
}

int compare(const Decimal& a, const Decimal& b) {
    if (a.is_zero() || b.is_zero()) {
        const int a_sign = a.is_zero() ? 0 : a.negative ? -1 : 1;
        const int b_sign = b.is_zero() ? 0 : b.negative ? -1 : 1;
        return a_sign < b_sign ? -1 : a_sign > b_sign ? 1 : 0;
    }
    if (a.negative != b.negative) {
        return a.negative ? -1 : 1;
    }
    const int order = compare_magnitude(a, b);
    return a.negative ? -order : order;
}

std::optional<std::string> to_text(const Decimal& value, int scale) {
    if (value.scale > scale) {
        return std::nullopt;
    }
    std::string digits = value.digits;
    digits.append(static_cast<std::size_t>(scale - value.scale), '0');
    if (value.is_zero()) {
        digits.assign(static_cast<std::size_t>(scale), '0');
    }
    const auto behind = static_cast<std::size_t>(scale);
    if (digits.size() <= behind) {
        digits.insert(0, behind - digits.size() + 1, '0');
    }
    if (scale > 0) {
        digits.insert(digits.size() - behind, 1, '.');
    }
    return value.negative ? '-' + digits : digits;
}

std::string to_text(const Decimal& value) {
    return *to_text(value, std::max(value.scale, 0));
}

std::optional<std::int64_t> to_int64(const Decimal& value) {
    if (!value.is_integer() || value.whole_digits() > 19) {
        return std::nullopt;
    }
    const auto text = to_text(value);
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(out) : std::nullopt;
}

std::optional<std::uint64_t> to_uint64(const Decimal& value) {
    if (!value.is_integer() || value.negative || value.whole_digits() > 20) {
        return std::nullopt;
    }
    const auto text = to_text(value);
    std::uint64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(out) : std::nullopt;
}

}  // namespace headrace::data
