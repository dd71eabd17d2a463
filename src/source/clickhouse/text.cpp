#include "source/clickhouse/text.hpp"

#include "data/number_text.hpp"

#include <arpa/inet.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

namespace headrace::source::clickhouse {
namespace {

constexpr std::uint64_t ten_to_19 = 10'000'000'000'000'000'000ULL;

// Divides the number (least limb first) by 10^19 in place; returns the remainder.
template <std::size_t Limbs>
std::uint64_t divide(std::uint64_t (&limbs)[Limbs]) {
    unsigned __int128 rest = 0;
    for (std::size_t i = Limbs; i-- > 0;) {
        const unsigned __int128 part = rest << 64 | limbs[i];
        limbs[i] = static_cast<std::uint64_t>(part / ten_to_19);
        rest = part % ten_to_19;
    }
    return static_cast<std::uint64_t>(rest);
}

template <std::size_t Limbs>
bool is_zero(const std::uint64_t (&limbs)[Limbs]) {
    for (const auto limb : limbs) {
        if (limb != 0) {
            return false;
        }
    }
    return true;
}

template <std::size_t Limbs>
void negate(std::uint64_t (&limbs)[Limbs]) {
    bool carry = true;
    for (auto& limb : limbs) {
        limb = ~limb + (carry ? 1 : 0);
        carry = carry && limb == 0;
    }
}

// All digits of the number, least limb first; consumes it.
template <std::size_t Limbs>
char* write_digits(char* at, std::uint64_t (&limbs)[Limbs]) {
    std::uint64_t parts[Limbs * 2];  // 19 digits each, least first
    std::size_t count = 0;
    do {
        parts[count++] = Limbs == 1 && limbs[0] < ten_to_19 ? std::exchange(limbs[0], 0) : divide(limbs);
    } while (!is_zero(limbs));
    at = data::write_uint(at, parts[--count]);
    while (count > 0) {
        char digits[20];
        const char* end = data::write_uint(digits, parts[--count]);
        const auto length = static_cast<std::size_t>(end - digits);
        std::memset(at, '0', 19 - length);
        std::memcpy(at + 19 - length, digits, length);
        at += 19;
    }
    return at;
}

}  // namespace

template <std::size_t Bytes, bool Signed>
char* write_wide(char* at, const char* from, int scale) {
    constexpr std::size_t limb_count = Bytes < 8 ? 1 : Bytes / 8;
    std::uint64_t limbs[limb_count] = {};
    if constexpr (Bytes == 4) {
        std::int32_t value = 0;
        std::memcpy(&value, from, 4);
        limbs[0] = static_cast<std::uint64_t>(std::int64_t{value});
    } else {
        std::memcpy(limbs, from, Bytes);
    }
    if (Signed && limbs[limb_count - 1] >> 63 != 0) {
        negate(limbs);
        *at++ = '-';
    }
    char digits[80];
    char* const end = write_digits(scale == 0 ? at : digits, limbs);
    if (scale == 0) {
        return end;
    }
    const auto count = static_cast<std::size_t>(end - digits);
    const auto behind = static_cast<std::size_t>(scale);
    if (count > behind) {
        std::memcpy(at, digits, count - behind);
        at += count - behind;
    } else {
        *at++ = '0';
    }
    *at++ = '.';
    const std::size_t zeros = count < behind ? behind - count : 0;
    std::memset(at, '0', zeros);
    std::memcpy(at + zeros, end - (behind - zeros), behind - zeros);
    return at + behind;
}

template char* write_wide<4, true>(char*, const char*, int);
template char* write_wide<8, true>(char*, const char*, int);
template char* write_wide<16, true>(char*, const char*, int);
template char* write_wide<16, false>(char*, const char*, int);
template char* write_wide<32, true>(char*, const char*, int);
template char* write_wide<32, false>(char*, const char*, int);

char* write_uuid(char* at, const char* from) {
    static constexpr char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; ++i) {
        const auto byte = static_cast<unsigned char>(from[i < 8 ? 7 - i : 23 - i]);
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = digits[byte >> 4];
        *at++ = digits[byte & 15];
    }
    return at;
}

char* write_ipv4(char* at, const char* from) {
    for (int i = 3; i >= 0; --i) {
        at = data::write_uint(at, static_cast<unsigned char>(from[i]));
        *at++ = '.';
    }
    return at - 1;
}

char* write_ipv6(char* at, const char* from) {
    in6_addr address;
    std::memcpy(&address, from, sizeof address);
    ::inet_ntop(AF_INET6, &address, at, INET6_ADDRSTRLEN);
    return at + std::strlen(at);
}

double widen(float value) {
    // Up to 6 digits, of them 4 behind the point: n / 10^4 is the only decimal so short that is this float.
    const double scaled = static_cast<double>(value) * 1e4;
    if (std::fabs(scaled) < 1e6) {
        const double near = static_cast<double>(static_cast<std::int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5))) / 1e4;
        if (static_cast<float>(near) == value && (near != 0 || !std::signbit(value))) {
            return near;
        }
    }
    if (!std::isfinite(value)) {
        return static_cast<double>(value);
    }
    char text[40];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    double out = 0;
    std::from_chars(text, end, out);
    return out;
}

}  // namespace headrace::source::clickhouse
