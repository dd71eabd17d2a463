// Wall-clock time as shown to people and stored in Postgres: microseconds since 1970 UTC. Never used for leases or
// deadlines (those are Postgres' now() and the monotonic clock).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace {

inline constexpr std::int64_t day_seconds = 86'400;

using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

Timestamp now();
std::string format_rfc3339(Timestamp time);  // 2026-11-21T18:00:01.102Z (ms, or µs when not whole ms)
std::optional<Timestamp> parse_rfc3339(std::string_view text
);  // with Z or ±hh:mm; also "YYYY-MM-DD hh:mm:ss[.f]+00" of Postgres
std::string format_date(std::int64_t days_since_epoch);  // 2026-11-21; years outside 0..9999 get a sign

// A clock that tests can turn. The real one is system_clock.
class WallClock {
public:
    WallClock() = default;
    WallClock(const WallClock&) = delete;
    WallClock& operator=(const WallClock&) = delete;
    virtual ~WallClock() = default;
    virtual Timestamp now() const;
};

}  // namespace headrace
