#include "schedule/cron_zone.hpp"

#include "base/error.hpp"
#include "base/time.hpp"
#include "schedule/cron_words.hpp"

#include <date/tz.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>

namespace headrace::schedule {
namespace {

constexpr int last_year = 2150;
constexpr std::int64_t beginning = std::numeric_limits<std::int64_t>::min() / 4;
constexpr std::int64_t ending = std::numeric_limits<std::int64_t>::max() / 4;

std::int64_t day_number(int year, unsigned month, unsigned day) {
    return std::chrono::sys_days(std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day))
        .time_since_epoch()
        .count();
}

// Reads a POSIX TZ string from left to right; nullopt means "not understood".
class RuleReader {
public:
    explicit RuleReader(std::string_view text) : text_(text) {}

    bool done() const { return at_ == text_.size(); }

    bool take(char c) {
        if (at_ < text_.size() && text_[at_] == c) {
            ++at_;
            return true;
        }
        return false;
    }

    bool name() {  // "CET" or "<+03>"
        const auto start = at_;
        if (take('<')) {
            at_ = std::min(text_.find('>', at_), text_.size());
            return take('>');
        }
        while (at_ < text_.size() && ((text_[at_] | 0x20) >= 'a' && (text_[at_] | 0x20) <= 'z')) {
            ++at_;
        }
        return at_ - start >= 3;
    }

    std::optional<std::int64_t> number() {
        std::int64_t value = 0;
        const auto start = at_;
        for (; at_ < text_.size() && at_ - start < 4 && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
            value = value * 10 + (text_[at_] - '0');
        }
        return at_ > start ? std::optional(value) : std::nullopt;
    }

    std::optional<std::int64_t> clock() {  // [+-]h[:m[:s]] in seconds; hours up to 167 (RFC 9636)
        const bool negative = take('-');
        if (!negative) {
            take('+');
        }
        auto value = number();
        std::int64_t unit = 3600;
        if (!value) {
            return std::nullopt;
        }
        std::int64_t seconds = *value * unit;
        while (unit > 1 && take(':')) {
            unit /= 60;
            value = number();
            if (!value) {
                return std::nullopt;
            }
            seconds += *value * unit;
        }
        return negative ? -seconds : seconds;
    }

private:
    std::string_view text_;
    std::size_t at_ = 0;
};

// One end of summer time: a day of the year and a wall-clock time on it.
struct RuleDay {
    enum class Kind { month_week_day, julian, zero_based } kind = Kind::zero_based;
    std::int64_t month = 0;
    std::int64_t week = 0;
    std::int64_t day = 0;
    std::int64_t time = 2 * 3600;

    static std::optional<RuleDay> read(RuleReader& in) {
        RuleDay out;
        if (in.take('M')) {
            out.kind = Kind::month_week_day;
            const auto m = in.number();
            const auto w = in.take('.') ? in.number() : std::nullopt;
            const auto d = in.take('.') ? in.number() : std::nullopt;
            if (!m || !w || !d || *m < 1 || *m > 12 || *w < 1 || *w > 5 || *d > 6) {
                return std::nullopt;
            }
            out.month = *m;
            out.week = *w;
            out.day = *d;
        } else {
            out.kind = in.take('J') ? Kind::julian : Kind::zero_based;
            const auto d = in.number();
            if (!d || *d > 365) {
                return std::nullopt;
            }
            out.day = *d;
        }
        if (in.take('/')) {
            const auto time = in.clock();
            if (!time) {
                return std::nullopt;
            }
            out.time = *time;
        }
        return out;
    }

    std::int64_t local_seconds(int year) const {
        std::int64_t days = 0;
        if (kind == Kind::month_week_day) {
            const auto first = day_number(year, static_cast<unsigned>(month), 1);
            const std::int64_t first_weekday = (first + 4) % 7;  // 1970-01-01 was a Thursday
            days = first + (day - first_weekday + 7) % 7 + 7 * (week - 1);
            const auto next_month =
                month == 12 ? day_number(year + 1, 1, 1) : day_number(year, static_cast<unsigned>(month + 1), 1);
            if (days >= next_month) {
                days -= 7;  // week 5 means the last one
            }
        } else {
            days = day_number(year, 1, 1) + day;
            if (kind == Kind::julian) {
                // Jn counts 1 to 365 and never counts 29 February.
                days += (std::chrono::year(year).is_leap() && day >= 60 ? 0 : -1);
            }
        }
        return days * day_seconds + time;
    }
};

// The last line of a zone file; empty when there is none. The name was found in the database
// before: no "..".
std::string footer_of(const std::string& name) {
    std::ifstream file("/usr/share/zoneinfo/" + name, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!bytes.starts_with("TZif") || bytes.back() != '\n') {
        return {};
    }
    const auto start = bytes.rfind('\n', bytes.size() - 2);
    return start == std::string::npos ? std::string() : bytes.substr(start + 1, bytes.size() - start - 2);
}

[[noreturn]] void unknown_zone(std::string_view name) {
    const auto same_end = [&](std::string_view zone) {
        const auto slash = zone.rfind('/');
        return slash != std::string_view::npos && !zone.starts_with("Etc/") && same_word(zone.substr(slash + 1), name);
    };
    std::vector<std::string_view> names;
    std::string near;
    for (const auto& zone : date::get_tzdb().zones) {
        const std::string_view other = zone.name();
        if (near.empty() && other != "localtime" && (same_word(other, name) || same_end(other))) {
            near = other;  // "utc" for UTC, "Kyiv" for Europe/Kyiv
        }
        if (other.find('/') != std::string_view::npos && !other.starts_with("Etc/")) {
            names.push_back(other);  // no guesses among abbreviations: "PST" must not become "EST"
        }
    }
    if (near.empty() && name.size() < 64) {
        near = nearest_word(name, names);
    }
    std::string shown;
    for (const char c : name.substr(0, 64)) {
        shown += c >= ' ' && c <= '~' ? c : '?';
    }
    throw Error(
        ErrorKind::invalid,
        "schedule.bad_zone",
        fmt::format(
            "time zone \"{}\" is unknown{}; allowed are IANA names such as Europe/Kyiv or UTC",
            shown,
            near.empty() ? "" : fmt::format(" (did you mean \"{}\"?)", near)
        )
    );
}

const date::time_zone* find_zone(std::string_view name) {
    // "localtime" is in the folder too, but would mean something else on every machine.
    if (name.empty() || name == "localtime") {
        return nullptr;
    }
    try {
        return date::locate_zone(name);
    } catch (const std::runtime_error&) {
        return nullptr;
    }
}

}  // namespace

CronZone::CronZone(std::string name, std::int64_t first_offset, const std::vector<Transition>& transitions)
    : name_(std::move(name)) {
    stretches_.push_back({beginning, ending, first_offset, beginning + first_offset});
    std::int64_t seen = beginning;
    for (const auto& transition : transitions) {
        auto& last = stretches_.back();
        if (transition.offset == last.offset || transition.at <= last.begin) {
            continue;  // only the name or the summer flag changed
        }
        last.end = transition.at;
        seen = std::max(seen, last.end + last.offset);
        stretches_.push_back({transition.at, ending, transition.offset, seen});
    }
}

std::size_t CronZone::index_at(std::int64_t utc) const {
    const auto after = std::upper_bound(
        stretches_.begin(), stretches_.end(), utc, [](std::int64_t t, const Stretch& s) { return t < s.begin; }
    );
    return after == stretches_.begin() ? 0 : static_cast<std::size_t>(after - stretches_.begin()) - 1;
}

std::shared_ptr<const CronZone> CronZone::load(std::string_view name) {
    const auto* zone = find_zone(name);
    if (zone == nullptr) {
        unknown_zone(name);
    }
    const date::sys_seconds stop = date::sys_days(date::year(last_year) / 12 / 31);
    auto info = zone->get_info(date::sys_seconds(date::sys_days(date::year(1970) / 1 / 1)));
    const auto first_offset = info.offset.count();
    std::vector<Transition> transitions;
    while (info.end < stop) {
        const auto at = info.end;
        info = zone->get_info(at);
        transitions.push_back({at.time_since_epoch().count(), info.offset.count()});
    }
    const std::int64_t last = transitions.empty() ? beginning : transitions.back().at;
    const int from_year = transitions.empty() ? 1970 : 1970 + static_cast<int>(last / (day_seconds * 365)) - 1;
    for (const auto& more : posix_transitions(footer_of(zone->name()), from_year, last_year)) {
        if (more.at > last) {
            transitions.push_back(more);
        }
    }
    return std::make_shared<const CronZone>(zone->name(), first_offset, transitions);
}

std::vector<CronZone::Transition> posix_transitions(std::string_view rule, int first_year, int year_limit) {
    RuleReader in(rule);
    const auto standard = in.name() ? in.clock() : std::nullopt;
    if (!standard || in.done() || !in.name()) {
        return {};
    }
    const std::int64_t winter = -*standard;  // POSIX counts west of Greenwich
    std::int64_t summer = winter + 3600;
    if (!in.take(',')) {
        const auto offset = in.clock();
        if (!offset || !in.take(',')) {
            return {};
        }
        summer = -*offset;
    }
    const auto start = RuleDay::read(in);
    const auto end = start && in.take(',') ? RuleDay::read(in) : std::nullopt;
    if (!end || !in.done()) {
        return {};
    }
    std::vector<CronZone::Transition> out;
    for (int year = first_year; year <= year_limit; ++year) {
        out.push_back({start->local_seconds(year) - winter, summer});
        out.push_back({end->local_seconds(year) - summer, winter});
    }
    std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
    // "Summer time all year" is written as a winter of no length: the later of two at one instant
    // holds.
    const auto overtaken = [&](const auto& t) { return &t != &out.back() && (&t + 1)->at == t.at; };
    std::vector<CronZone::Transition> kept;
    std::copy_if(out.begin(), out.end(), std::back_inserter(kept), [&](const auto& t) { return !overtaken(t); });
    return kept;
}

}  // namespace headrace::schedule
