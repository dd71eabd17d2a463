// Numbers in network order, straight into memory that the caller has reserved.
#pragma once

#include <cstdint>
#include <cstring>

namespace headrace::sink::postgres_sink {

inline char* put16(char* out, std::uint16_t value) {
    value = __builtin_bswap16(value);
    std::memcpy(out, &value, sizeof value);
    return out + sizeof value;
}

inline char* put32(char* out, std::uint32_t value) {
    value = __builtin_bswap32(value);
    std::memcpy(out, &value, sizeof value);
    return out + sizeof value;
}

inline char* put64(char* out, std::uint64_t value) {
    value = __builtin_bswap64(value);
    std::memcpy(out, &value, sizeof value);
    return out + sizeof value;
}

}  // namespace headrace::sink::postgres_sink
