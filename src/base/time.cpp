#include "base/time.hpp"

#include <fmt/core.h>

#include <charconv>
#include <cstdint>

namespace headrace {
namespace {

using std::chrono::days;
using std::chrono::microseconds;

std::optional<int> digits(std::string_view text, std::size_t from, std::size_t count) {
    int value = 0;
    if (from + count > text.size()) {
        return std::nullopt;
    }
    for (std::size_t i = from; i < from + count; ++i) {
        if (text[i] < '0' || text[i] > '9') {
            return std::nullopt;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

// Reads "", "Z", "+hh", "+hh:mm", "+hhmm"; minutes east of UTC.
std::optional<int> offset_minutes(std::string_view text) {
    if (text == "Z" || text == "z") {
        return 0;
    }
    if (text.size() < 3 || (text[0] != '+' && text[0] != '-')) {
        return std::nullopt;
    }
    const auto hours = digits(text, 1, 2);
    std::optional<int> minutes = 0;
    if (text.size() > 3) {
        minutes = digits(text, text[3] == ':' ? 4 : 3, 2);
    }
    if (!hours || !minutes) {
        return std::nullopt;
    }
    return (text[0] == '-' ? -1 : 1) * (*hours * 60 + *minutes);
}

}  // namespace

Timestamp now() {
    return std::chrono::time_point_cast<microseconds>(std::chrono::system_clock::now());
}

Timestamp WallClock::now() const {
    return headrace::now();
}

std::string format_date(std::int64_t days_since_epoch) {
    const std::chrono::year_month_day ymd{std::chrono::sys_days(days(days_since_epoch))};
    const int year = static_cast<int>(ymd.year());
    const auto month = static_cast<unsigned>(ymd.month());
    const auto day = static_cast<unsigned>(ymd.day());
    if (year < 0 || year > 9999) {
        return fmt::format("{:+05d}-{:02d}-{:02d}", year, month, day);
    }
    return fmt::format("{:04d}-{:02d}-{:02d}", year, month, day);
}

std::string format_rfc3339(Timestamp time) {
    const auto day = std::chrono::floor<days>(time);
    auto rest = (time - day).count();
    const auto micros = rest % 1'000'000;
    rest /= 1'000'000;
    auto out = fmt::format(
        "{}T{:02d}:{:02d}:{:02d}", format_date(day.time_since_epoch().count()), rest / 3600, rest / 60 % 60, rest % 60
    );
    return out + (micros % 1000 == 0 ? fmt::format(".{:03d}Z", micros / 1000) : fmt::format(".{:06d}Z", micros));
}

std::optional<Timestamp> parse_rfc3339(std::string_view text) {
    const auto year = digits(text, 0, 4);
    const auto month = digits(text, 5, 2);
    const auto day = digits(text, 8, 2);
    const auto hour = digits(text, 11, 2);
    const auto minute = digits(text, 14, 2);
    const auto second = digits(text, 17, 2);
    if (!year || !month || !day || !hour || !minute || !second || text[4] != '-' || text[7] != '-' ||
        (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':' || text[16] != ':') {
        return std::nullopt;
    }
    const std::chrono::year_month_day ymd{
        std::chrono::year(*year),
        std::chrono::month(static_cast<unsigned>(*month)),
        std::chrono::day(static_cast<unsigned>(*day))};
    if (!ymd.ok() || *hour > 23 || *minute > 59 || *second > 60) {
        return std::nullopt;
    }
    std::size_t at = 19;
    std::int64_t micros = 0;
    if (at < text.size() && text[at] == '.') {
        std::int64_t scale = 100'000;
        for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
            micros += (text[at] - '0') * scale;
            scale /= 10;
        }
    }
    const auto offset = offset_minutes(text.substr(at));
    if (!offset) {
        return std::nullopt;
    }
    const std::int64_t seconds = (*hour * 60LL + *minute - *offset) * 60 + *second;
    return Timestamp(std::chrono::sys_days(ymd)) + std::chrono::seconds(seconds) + microseconds(micros);
}

}  // namespace headrace
