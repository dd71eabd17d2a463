#include "source/bigquery/storage/avro_decimal.hpp"

#include "data/number_text.hpp"

#include <cstdint>
#include <cstring>

namespace headrace::source::bigquery::storage {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::size_t most_bytes = 32;
constexpr std::uint64_t chunk = 1'000'000'000'000'000'000;  // 10^18
constexpr unsigned chunk_digits = 18;

struct Magnitude {
    std::uint64_t limbs[4] = {};  // the lowest first
    bool negative = false;
};

Magnitude magnitude_of(std::string_view bytes) {
    Magnitude out;
    out.negative = !bytes.empty() && static_cast<signed char>(bytes.front()) < 0;
    if (bytes.size() <= 8) {
        std::uint64_t value = out.negative ? ~std::uint64_t{0} : 0;
        for (const char c : bytes) {
            value = value << 8 | static_cast<std::uint8_t>(c);
        }
        out.limbs[0] = out.negative ? 0 - value : value;
        return out;
    }
    std::uint8_t all[most_bytes];
    std::memset(all, out.negative ? 0xff : 0, sizeof all);
    std::memcpy(all + most_bytes - bytes.size(), bytes.data(), bytes.size());
    for (unsigned i = 0; i < 4; ++i) {
        std::uint64_t limb = 0;
        for (unsigned k = 0; k < 8; ++k) {
            limb = limb << 8 | all[(3 - i) * 8 + k];
        }
        out.limbs[i] = limb;
    }
    if (out.negative) {
        bool carry = true;
        for (auto& limb : out.limbs) {
            limb = ~limb + (carry ? 1 : 0);
            carry = carry && limb == 0;
        }
    }
    return out;
}

// Divides by 10^18; returns the rest.
std::uint64_t divide(Magnitude& value) {
    std::uint64_t rest = 0;
    for (int i = 3; i >= 0; --i) {
        const Wide part = static_cast<Wide>(rest) << 64 | value.limbs[i];
        value.limbs[i] = static_cast<std::uint64_t>(part / chunk);
        rest = static_cast<std::uint64_t>(part % chunk);
    }
    return rest;
}

// Right-aligned before `end`; returns the first digit. No digit at all for zero.
char* write_digits(char* end, Magnitude value) {
    char* at = end;
    if ((value.limbs[1] | value.limbs[2] | value.limbs[3]) == 0 && value.limbs[0] != 0) {  // most are small
        char space[data::integer_text_max + 12];
        const auto size = static_cast<std::size_t>(data::write_uint(space, value.limbs[0]) - space);
        std::memcpy(at - size, space, size);
        return at - size;
    }
    while ((value.limbs[1] | value.limbs[2] | value.limbs[3]) != 0 || value.limbs[0] >= chunk) {
        auto rest = divide(value);
        for (unsigned i = 0; i < chunk_digits; ++i, rest /= 10) {
            *--at = static_cast<char>('0' + rest % 10);
        }
    }
    for (auto rest = value.limbs[0]; rest != 0; rest /= 10) {
        *--at = static_cast<char>('0' + rest % 10);
    }
    return at;
}

}  // namespace

char* write_decimal(char* out, std::string_view bytes, unsigned scale) {
    if (bytes.size() > most_bytes) {
        return nullptr;
    }
    const auto value = magnitude_of(bytes);
    char space[decimal_text_max];
    char* end = space + sizeof space;
    char* digits = write_digits(end, value);
    if (digits == end) {
        *out = '0';
        return out + 1;
    }
    while (static_cast<std::size_t>(end - digits) <= scale) {
        *--digits = '0';
    }
    if (value.negative) {
        *out++ = '-';
    }
    const auto whole = static_cast<std::size_t>(end - digits) - scale;
    std::memcpy(out, digits, whole);
    out += whole;
    while (scale > 0 && end[-1] == '0') {
        --end;
        --scale;
    }
    if (scale > 0) {
        *out++ = '.';
        std::memcpy(out, end - scale, scale);
        out += scale;
    }
    return out;
}

}  // namespace headrace::source::bigquery::storage
