#include "data/number_text.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

namespace headrace::data {
namespace {

struct Pairs {
    char text[200] = {};

    constexpr Pairs() {
        for (int i = 0; i < 100; ++i) {
            text[2 * i] = static_cast<char>('0' + i / 10);
            text[2 * i + 1] = static_cast<char>('0' + i % 10);
        }
    }
};

constexpr Pairs pairs;

constexpr std::uint64_t powers[20] = {
    1,
    10,
    100,
    1'000,
    10'000,
    100'000,
    1'000'000,
    10'000'000,
    100'000'000,
    1'000'000'000,
    10'000'000'000,
    100'000'000'000,
    1'000'000'000'000,
    10'000'000'000'000,
    100'000'000'000'000,
    1'000'000'000'000'000,
    10'000'000'000'000'000,
    100'000'000'000'000'000,
    1'000'000'000'000'000'000,
    10'000'000'000'000'000'000ULL};

unsigned digit_count(std::uint64_t value) {
    // 1233 / 4096 is a little more than log10(2): an estimate that is right or one too high.
    const auto bits = static_cast<unsigned>(std::bit_width(value | 1));
    const unsigned estimate = bits * 1233 >> 12;
    return estimate + (value >= powers[estimate] ? 1 : 0);
}

void put_pair(char* at, std::uint64_t value) {
    std::memcpy(at, pairs.text + 2 * value, 2);
}

// Shortest digits and the decimal exponent, from the library, in JavaScript's layout.
char* write_float_general(char* out, double value) {
    char text[40];
    const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
    const char* from = text;
    if (*from == '-') {
        *out++ = *from++;
    }
    char digits[24];
    int count = 0;
    for (; from != end && *from != 'e'; ++from) {
        if (*from != '.') {
            digits[count++] = *from;
        }
    }
    int exponent = 0;
    std::from_chars(from + (from[1] == '+' ? 2 : 1), end, exponent);
    const int point = exponent + 1;  // digits before the decimal point
    const auto copy = [&](int begin, int to) { out = std::copy(digits + begin, digits + to, out); };
    if (point > 21 || point <= -6) {
        copy(0, 1);
        if (count > 1) {
            *out++ = '.';
            copy(1, count);
        }
        *out++ = 'e';
        *out++ = exponent < 0 ? '-' : '+';
        return write_uint(out, static_cast<std::uint64_t>(std::abs(exponent)));
    }
    if (point <= 0) {
        *out++ = '0';
        *out++ = '.';
        out = std::fill_n(out, -point, '0');
        copy(0, count);
    } else if (count <= point) {
        copy(0, count);
        out = std::fill_n(out, point - count, '0');
    } else {
        copy(0, point);
        *out++ = '.';
        copy(point, count);
    }
    return out;
}

}  // namespace

char* write_two_digits(char* out, unsigned value) {
    put_pair(out, value);
    return out + 2;
}

char* write_uint(char* out, std::uint64_t value) {
    if (value < 100) {
        if (value < 10) {
            *out = static_cast<char>('0' + value);
            return out + 1;
        }
        put_pair(out, value);
        return out + 2;
    }
    char* const end = out + digit_count(value);
    char* at = end;
    while (value > 0xffffffff) {  // 64-bit divisions only while they are needed
        at -= 2;
        put_pair(at, value % 100);
        value /= 100;
    }
    auto small = static_cast<std::uint32_t>(value);
    while (small >= 100) {
        at -= 2;
        put_pair(at, small % 100);
        small /= 100;
    }
    if (small >= 10) {
        put_pair(at - 2, small);
    } else {
        at[-1] = static_cast<char>('0' + small);
    }
    return end;
}

char* write_int(char* out, std::int64_t value) {
    auto magnitude = static_cast<std::uint64_t>(value);
    if (value < 0) {
        *out++ = '-';
        magnitude = 0 - magnitude;
    }
    return write_uint(out, magnitude);
}

// Fast path: prices, counts, ratios: n / 10^4 with |n| < 10^15. Both n and 10^4 are exact doubles and IEEE division
// rounds correctly, so n / 10^4 == value says that the decimal text of n / 10^4 reads back as value. Two decimals of at
// most 15 digits are never the same double, so that text without its trailing zeros is also the shortest.
char* write_float(char* out, double value) {
    const double scaled = value * 1e4;
    if (!(std::fabs(scaled) < 1e15) || (value == 0 && std::signbit(value))) {
        return write_float_general(out, value);
    }
    const auto n = static_cast<std::int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
    if (static_cast<double>(n) / 1e4 != value) {
        return write_float_general(out, value);
    }
    if (n < 0) {
        *out++ = '-';
    }
    const auto magnitude = static_cast<std::uint64_t>(n < 0 ? -n : n);
    const std::uint64_t whole = magnitude / 10'000;
    const auto rest = static_cast<unsigned>(magnitude % 10'000);
    out = write_uint(out, whole);
    if (rest == 0) {
        return out;
    }
    *out++ = '.';
    put_pair(out, rest / 100);
    put_pair(out + 2, rest % 100);
    out += rest % 100 == 0 ? 2 : 4;
    return out[-1] == '0' ? out - 1 : out;
}

}  // namespace headrace::data
