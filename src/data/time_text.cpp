#include "data/time_text.hpp"

#include "data/number_text.hpp"

#include <cstring>

namespace headrace::data {
namespace {

constexpr std::int64_t day_seconds = 86'400;

struct Civil {
    std::int64_t year;
    unsigned month;
    unsigned day;
};

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
    return a / b - (a % b < 0 ? 1 : 0);
}

// value - quotient * divisor; the product alone may lie below the smallest int64.
std::uint64_t rest_of(std::int64_t value, std::int64_t quotient, std::uint64_t divisor) {
    return static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(quotient) * divisor;
}

// Proleptic Gregorian calendar, counted in eras of 400 years from 0000-03-01 (so that the leap day ends a year). Within
// an era as in Neri and Schneider, "Euclidean affine functions and their application to calendar algorithms" (2022):
// one multiplication instead of each chain of divisions.
Civil civil_from_days(std::int64_t days) {
    const std::int64_t shifted =
        days < INT64_MAX - 719'468 ? days + 719'468 : days;  // the end of int64 has no calendar
    const std::int64_t era = floor_div(shifted, 146'097);
    const auto quarters = 4 * static_cast<unsigned>(rest_of(shifted, era, 146'097)) + 3;
    const unsigned century = quarters / 146'097;
    const std::uint64_t years = std::uint64_t{2'939'745} * (quarters % 146'097 | 3);  // of the century, × 2^32
    const unsigned of_year = static_cast<std::uint32_t>(years) / 2'939'745 / 4;
    const unsigned months = 2141 * of_year + 197'913;  // × 2^16; March is 3, February 14
    const bool next_year = of_year >= 306;
    return {
        era * 400 + 100 * century + static_cast<std::int64_t>(years >> 32) + (next_year ? 1 : 0),
        (months >> 16) - (next_year ? 12 : 0),
        (months & 0xffff) / 2141 + 1};
}

std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) {
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = floor_div(year, 400);
    const auto year_of_era = static_cast<unsigned>(year - era * 400);
    const unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const unsigned of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    return era * 146'097 + static_cast<std::int64_t>(of_era) - 719'468;
}

char* write_year(char* out, std::int64_t year) {
    if (year >= 0 && year <= 9999) {
        out = write_two_digits(out, static_cast<unsigned>(year / 100));
        return write_two_digits(out, static_cast<unsigned>(year % 100));
    }
    *out++ = year < 0 ? '-' : '+';
    const auto magnitude = static_cast<std::uint64_t>(year < 0 ? -year : year);
    for (std::uint64_t width = 1000; width > magnitude; width /= 10) {
        *out++ = '0';
    }
    return write_uint(out, magnitude);
}

// hh:mm:ss of 0..86399.
char* write_clock(char* out, unsigned seconds) {
    const unsigned minutes = seconds / 60;
    out = write_two_digits(out, minutes / 60);
    *out++ = ':';
    out = write_two_digits(out, minutes % 60);
    *out++ = ':';
    return write_two_digits(out, seconds % 60);
}

char* write_micros(char* out, unsigned micros) {
    out = write_two_digits(out, micros / 10'000);
    out = write_two_digits(out, micros / 100 % 100);
    return write_two_digits(out, micros % 100);
}

std::optional<unsigned> number(std::string_view text, std::size_t at, std::size_t count) {
    if (at + count > text.size()) {
        return std::nullopt;
    }
    unsigned value = 0;
    for (std::size_t i = at; i < at + count; ++i) {
        const auto digit = static_cast<unsigned>(static_cast<unsigned char>(text[i])) - '0';
        if (digit > 9) {
            return std::nullopt;
        }
        value = value * 10 + digit;
    }
    return value;
}

unsigned month_days(unsigned year, unsigned month) {
    constexpr unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

// Takes ".ddd…" from the front of `text`; nullopt when digits behind the sixth are not zero or there is no digit.
std::optional<unsigned> take_fraction(std::string_view& text) {
    if (text.empty() || text.front() != '.') {
        return 0;
    }
    text.remove_prefix(1);
    unsigned micros = 0;
    unsigned scale = 100'000;
    std::size_t count = 0;
    for (; count < text.size() && text[count] >= '0' && text[count] <= '9'; ++count) {
        const auto digit = static_cast<unsigned>(text[count] - '0');
        if (count >= 6 && digit != 0) {
            return std::nullopt;
        }
        micros += digit * scale;
        scale /= 10;
    }
    text.remove_prefix(count);
    return count == 0 ? std::nullopt : std::optional(micros);
}

// Takes "hh:mm:ss[.f]" from the front.
std::optional<std::int64_t> take_time(std::string_view& text) {
    const auto hour = number(text, 0, 2);
    const auto minute = number(text, 3, 2);
    const auto second = number(text, 6, 2);
    if (!hour || !minute || !second || text[2] != ':' || text[5] != ':' || *hour > 23 || *minute > 59 || *second > 59) {
        return std::nullopt;
    }
    text.remove_prefix(8);
    const auto micros = take_fraction(text);
    if (!micros) {
        return std::nullopt;
    }
    return static_cast<std::int64_t>((*hour * 60 + *minute) * 60 + *second) * 1'000'000 + *micros;
}

// "", "Z", "+hh:mm", "+hhmm", "+hh" → seconds east of UTC.
std::optional<std::int64_t> parse_offset(std::string_view text) {
    if (text.empty() || text == "Z" || text == "z") {
        return 0;
    }
    const bool colon = text.size() == 6 && text[3] == ':';
    if ((text[0] != '+' && text[0] != '-') || (text.size() != 3 && text.size() != 5 && !colon)) {
        return std::nullopt;
    }
    const auto hours = number(text, 1, 2);
    const auto minutes = text.size() == 3 ? std::optional(0U) : number(text, colon ? 4 : 3, 2);
    if (!hours || !minutes || *hours > 23 || *minutes > 59) {
        return std::nullopt;
    }
    const std::int64_t seconds = (static_cast<std::int64_t>(*hours) * 60 + *minutes) * 60;
    return text[0] == '-' ? -seconds : seconds;
}

}  // namespace

char* write_date(char* out, std::int64_t days) {
    const auto civil = civil_from_days(days);
    out = write_year(out, civil.year);
    *out++ = '-';
    out = write_two_digits(out, civil.month);
    *out++ = '-';
    return write_two_digits(out, civil.day);
}

char* write_time(char* out, std::int64_t microseconds) {
    auto magnitude = static_cast<std::uint64_t>(microseconds);
    if (microseconds < 0) {
        *out++ = '-';
        magnitude = 0 - magnitude;
    }
    const auto micros = static_cast<unsigned>(magnitude % 1'000'000);
    const std::uint64_t seconds = magnitude / 1'000'000;
    if (seconds < day_seconds) {
        out = write_clock(out, static_cast<unsigned>(seconds));
    } else {
        char clock[8];
        write_clock(clock, static_cast<unsigned>(seconds % 3600));
        out = write_uint(out, seconds / 3600);
        std::memcpy(out, clock + 2, 6);
        out += 6;
    }
    if (micros != 0) {
        *out++ = '.';
        out = write_micros(out, micros);
    }
    return out;
}

char* write_timestamp(char* out, std::int64_t microseconds) {
    const std::int64_t seconds = floor_div(microseconds, 1'000'000);
    const auto micros = static_cast<unsigned>(rest_of(microseconds, seconds, 1'000'000));
    const std::int64_t days = floor_div(seconds, day_seconds);
    out = write_date(out, days);
    *out++ = 'T';
    out = write_clock(out, static_cast<unsigned>(seconds - days * day_seconds));
    *out++ = '.';
    out = write_micros(out, micros);
    if (micros % 1000 == 0) {
        out -= 3;
    }
    *out++ = 'Z';
    return out;
}

std::optional<std::int64_t> parse_date(std::string_view text) {
    const auto year = number(text, 0, 4);
    const auto month = number(text, 5, 2);
    const auto day = number(text, 8, 2);
    if (text.size() != 10 || !year || !month || !day || text[4] != '-' || text[7] != '-' || *month < 1 || *month > 12 ||
        *day < 1 || *day > month_days(*year, *month)) {
        return std::nullopt;
    }
    return days_from_civil(*year, *month, *day);
}

std::optional<std::int64_t> parse_time(std::string_view text) {
    const auto micros = take_time(text);
    return text.empty() ? micros : std::nullopt;
}

std::optional<std::int64_t> parse_timestamp(std::string_view text) {
    const auto days = parse_date(text.substr(0, 10));
    if (!days) {
        return std::nullopt;
    }
    const std::int64_t midnight = *days * day_seconds * 1'000'000;
    text.remove_prefix(10);
    if (text.empty()) {
        return midnight;
    }
    if (text[0] != 'T' && text[0] != 't' && text[0] != ' ') {
        return std::nullopt;
    }
    text.remove_prefix(1);
    const auto micros = take_time(text);
    if (!micros) {
        return std::nullopt;
    }
    const auto offset = parse_offset(text);
    if (!offset) {
        return std::nullopt;
    }
    return midnight + *micros - *offset * 1'000'000;
}

}  // namespace headrace::data
