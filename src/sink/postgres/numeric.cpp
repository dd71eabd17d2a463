#include "sink/postgres/numeric.hpp"

#include "sink/postgres/big_endian.hpp"

#include <algorithm>

namespace headrace::sink::postgres_sink {
namespace {

constexpr unsigned base = 10'000;
constexpr std::size_t base_digits = 4;
constexpr std::uint16_t sign_negative = 0x4000;
constexpr std::size_t scale_max = 0x3fff;

bool all_digits(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Number of digits, weight of the first one (in powers of the base), sign, digits behind the point that are shown.
char* put_head(char* out, std::size_t count, int weight, bool negative, std::size_t scale) {
    out = put16(out, static_cast<std::uint16_t>(count));
    out = put16(out, static_cast<std::uint16_t>(count == 0 ? 0 : weight));
    out = put16(out, negative && count > 0 ? sign_negative : 0);
    return put16(out, static_cast<std::uint16_t>(scale));
}

std::uint16_t digit_at(std::string_view text, std::size_t from, std::size_t count) {
    unsigned value = 0;
    for (std::size_t i = 0; i < base_digits; ++i) {
        value = value * 10 + (i < count ? static_cast<unsigned>(text[from + i] - '0') : 0);
    }
    return static_cast<std::uint16_t>(value);
}

}  // namespace

int digits_of(std::uint64_t magnitude) {
    int digits = 1;
    for (; magnitude >= 10; magnitude /= 10) {
        ++digits;
    }
    return digits;
}

char* write_numeric(char* out, bool negative, std::uint64_t magnitude) {
    std::uint16_t digits[5];
    std::size_t count = 0;
    for (; magnitude > 0; magnitude /= base) {
        digits[count++] = static_cast<std::uint16_t>(magnitude % base);  // the last one first
    }
    std::size_t zeros = 0;
    while (zeros < count && digits[zeros] == 0) {
        ++zeros;
    }
    out = put_head(out, count - zeros, static_cast<int>(count) - 1, negative, 0);
    for (std::size_t i = count; i > zeros; --i) {
        out = put16(out, digits[i - 1]);
    }
    return out;
}

char* write_numeric(char* out, std::string_view text, const NumericLimits* limits) {
    const bool negative = text.starts_with('-');
    text.remove_prefix(negative ? 1 : 0);
    const auto point = text.find('.');
    auto whole = text.substr(0, point);
    const auto fraction = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
    if ((whole.empty() && fraction.empty()) || fraction.size() > scale_max || !all_digits(whole) ||
        !all_digits(fraction)) {
        return nullptr;
    }
    whole.remove_prefix(std::min(whole.find_first_not_of('0'), whole.size()));
    const auto significant = fraction.find_last_not_of('0') + 1;  // npos + 1 is 0
    if (limits != nullptr && (static_cast<int>(whole.size()) > std::max(limits->whole, 0) ||
                              static_cast<int>(significant) > std::max(limits->scale, 0))) {
        return nullptr;
    }
    // Digits of the base, first those before the point (the first may be short), then those behind it.
    char* const digits = out + 8;
    char* at = digits;
    int weight = static_cast<int>((whole.size() + base_digits - 1) / base_digits) - 1;
    for (std::size_t from = 0; from < whole.size();) {
        const auto rest = (whole.size() - from) % base_digits;
        const auto count = rest == 0 ? base_digits : rest;
        unsigned value = 0;
        for (std::size_t i = 0; i < count; ++i) {
            value = value * 10 + static_cast<unsigned>(whole[from + i] - '0');
        }
        at = put16(at, static_cast<std::uint16_t>(value));
        from += count;
    }
    for (std::size_t from = 0; from < significant; from += base_digits) {
        const auto digit = digit_at(fraction, from, std::min(base_digits, significant - from));
        if (digit == 0 && at == digits) {
            --weight;  // 0.00001234: zeros right behind the point are weight, not digits
            continue;
        }
        at = put16(at, digit);
    }
    while (at > digits && at[-1] == 0 && at[-2] == 0) {
        at -= 2;
    }
    put_head(out, static_cast<std::size_t>(at - digits) / 2, weight, negative, fraction.size());
    return at;
}

}  // namespace headrace::sink::postgres_sink
