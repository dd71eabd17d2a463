// The C++ side of the comparison with npm cron-parser: questions on stdin, one answer line for
// each. Words are separated by tabs.
//   next <expression> <zone> <from, RFC 3339> <n>
//       up to n times in ms since 1970, or "error <code>: <message>"
//   zone <name>
//       "at:offset" in seconds for every stretch of constant offset from 1990 to 2037
#include "base/error.hpp"
#include "base/time.hpp"
#include "schedule/cron.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace headrace;

std::vector<std::string> parts_of(const std::string& line) {
    std::vector<std::string> parts(1);
    for (const char c : line) {
        if (c == '\t') {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

std::string next_times(const std::vector<std::string>& parts) {
    const auto from = parse_rfc3339(parts[3]);
    if (!from) {
        return "error: bad time";
    }
    const auto cron = schedule::Cron::parse(parts[1], parts[2]);
    std::string out;
    for (const auto time : cron.between(*from, Timestamp::max(), std::strtoul(parts[4].c_str(), nullptr, 10))) {
        out += fmt::format("{}{}", out.empty() ? "" : " ", time.time_since_epoch().count() / 1000);
    }
    return out;
}

std::string zone_changes(const std::string& name) {
    constexpr std::int64_t year_1990 = 631'152'000;
    constexpr std::int64_t year_2037 = 2'114'380'800;
    std::string out;
    const auto zone = schedule::CronZone::load(name);
    for (const auto& stretch : zone->stretches()) {
        if (stretch.end > year_1990 && stretch.begin < year_2037) {
            out += fmt::format("{}{}:{}", out.empty() ? "" : " ", std::max(stretch.begin, year_1990), stretch.offset);
        }
    }
    return out;
}

std::string answer(const std::string& line) {
    const auto parts = parts_of(line);
    try {
        if (parts.size() == 5 && parts[0] == "next") {
            return next_times(parts);
        }
        return parts.size() == 2 && parts[0] == "zone" ? zone_changes(parts[1]) : "error: bad line";
    } catch (const Error& e) {
        return fmt::format("error {}: {}", e.code(), e.message());
    }
}

}  // namespace

int main() {
    std::ios::sync_with_stdio(false);
    for (std::string line; std::getline(std::cin, line);) {
        std::cout << answer(line) << '\n';
    }
    return 0;
}
