// ClickHouse values that become text or need a careful conversion. Pure; the caller has reserved the room.
#pragma once

#include <cstddef>
#include <cstdint>

namespace headrace::source::clickhouse {

inline constexpr std::size_t wide_text_max = 84;  // "-0." and 76 digits; 78 digits of UInt256

// A little-endian integer of Bytes (4, 8, 16, 32) as decimal digits with `scale` digits behind the point: -1230, 2 →
// "-12.30".
template <std::size_t Bytes, bool Signed>
char* write_wide(char* at, const char* from, int scale);

char* write_uuid(char* at, const char* from);  // 36 bytes; stored as two little-endian halves, high one first
char* write_ipv4(char* at, const char* from);  // at most 15 bytes
char* write_ipv6(char* at, const char* from);  // at most 46 bytes

// The double with the same shortest decimal text as the float: 0.1f is 0.1 and not 0.10000000149011612.
double widen(float value);

}  // namespace headrace::source::clickhouse
