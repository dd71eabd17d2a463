#include "base/error.hpp"
#include "schedule/cron_fields.hpp"
#include "schedule/cron_words.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <optional>
#include <span>

namespace headrace::schedule {
namespace {

constexpr std::string_view month_names[] =
    {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr std::string_view long_month_names[] = {
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December"};

struct FieldSpec {
    std::string_view name;
    int min;
    int max;
    std::span<const std::string_view> names;  // names[i] stands for first_name + i
    int first_name;
    std::string_view allowed;
};

const FieldSpec& spec_of(CronField field) {
    static constexpr FieldSpec specs[] = {
        {"second", 0, 59, {}, 0, "0 to 59"},
        {"minute", 0, 59, {}, 0, "0 to 59"},
        {"hour", 0, 23, {}, 0, "0 to 23"},
        {"day-of-month", 1, 31, {}, 0, "1 to 31, or L for the last day"},
        {"month", 1, 12, month_names, 1, "1 to 12, or jan to dec"},
        {"day-of-week", 0, 7, weekday_names, 0, "0 to 7 (0 and 7 are Sunday), or sun to sat"},
    };
    return specs[field];
}

struct Macro {
    std::string_view name;
    std::string_view meaning;
};

constexpr Macro macros[] = {
    {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
    {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"},
    {"@daily", "0 0 * * *"},
    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
    {"@minutely", "* * * * *"},
};

[[noreturn]] void fail(std::string message) {
    throw Error(ErrorKind::invalid, "schedule.bad_cron", std::move(message));
}

// Quoted for a message: short, and without control characters.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text.substr(0, 60)) {
        out += c >= ' ' && c <= '~' ? c : '?';
    }
    return out + (text.size() > 60 ? "…\"" : "\"");
}

// Parses one field; it exists only during that and carries what messages need.
class FieldParser {
public:
    FieldParser(CronField field, std::string_view text) : field_(field), spec_(spec_of(field)), text_(text) {}

    std::vector<CronItem> parse() const {
        std::vector<CronItem> items;
        for (const auto part : split_words(text_, ',')) {
            if (part.empty()) {
                bad("has an empty item between commas");
            }
            items.push_back(item(part));
        }
        return items;
    }

private:
    [[noreturn]] void bad(std::string_view what) const {
        fail(fmt::format("{} field {} {}; allowed are {}", spec_.name, quoted(text_), what, spec_.allowed));
    }

    CronItem item(std::string_view part) const {
        const auto slash = part.find('/');
        CronItem out = base(part.substr(0, slash), slash != std::string_view::npos);
        if (slash == std::string_view::npos) {
            return out;
        }
        if (out.kind != CronItem::Kind::any && out.kind != CronItem::Kind::one && out.kind != CronItem::Kind::range) {
            bad("has a step after L or #, which take none");
        }
        const auto text = part.substr(slash + 1);
        const auto step = number(text);
        const int span = (field_ == cron_weekday ? 6 : spec_.max) - spec_.min + 1;
        if (!step || *step < 1) {
            bad(fmt::format("has the step {}, which must be a number from 1 on", quoted(text)));
        }
        if (*step > span) {
            bad(fmt::format(
                "has the step {}, wider than the whole field: it cannot reach into the next {}", *step, next_unit()
            ));
        }
        out.step = *step;
        if (out.kind == CronItem::Kind::one) {
            out.kind = CronItem::Kind::range;
            out.to = spec_.max;
            out.open = true;
        }
        return out;
    }

    CronItem base(std::string_view text, bool stepped) const {
        if (text == "*" || text == "?") {
            if (text == "?" && field_ != cron_day && field_ != cron_weekday) {
                bad("has ?, which only the two day fields take; write *");
            }
            return {.kind = CronItem::Kind::any, .from = spec_.min, .to = field_ == cron_weekday ? 6 : spec_.max};
        }
        if (text.empty()) {
            bad(stepped ? "has a step without anything before it; write */n" : "is empty");
        }
        if (const auto special = special_item(text)) {
            return *special;
        }
        const auto dash = text.find('-');
        if (dash == std::string_view::npos) {
            const int v = value(text);
            return {.kind = CronItem::Kind::one, .from = v, .to = v};
        }
        return range(text.substr(0, dash), text.substr(dash + 1));
    }

    CronItem range(std::string_view from_text, std::string_view to_text) const {
        const int from = value(from_text);
        int to = value(to_text);
        if (field_ == cron_weekday && to == 0 && from > 0 && lower_case(to_text) == "sun") {
            to = 7;
        }
        if (from > to) {
            if (field_ == cron_day) {
                bad(fmt::format("has a range that runs backwards; write {}-31,1-{}", from_text, to_text));
            }
            bad(fmt::format(
                "has a range that runs backwards; write {}-{},{}-{}",
                from_text,
                field_ == cron_weekday ? 6 : spec_.max,
                spec_.min,
                to_text
            ));
        }
        return {.kind = CronItem::Kind::range, .from = from, .to = to};
    }

    // L of day-of-month; 5L, friL, 1#2, mon#2 of day-of-week; and the forms of other crons that are
    // refused by name.
    std::optional<CronItem> special_item(std::string_view text) const {
        const auto low = lower_case(text);
        if (field_ == cron_day) {
            if (low == "l") {
                return CronItem{.kind = CronItem::Kind::last_day};
            }
            if (low.back() == 'w' || low.starts_with("l-") || low.starts_with("l")) {
                bad("uses a form that is not supported (only a plain L is)");
            }
        }
        if (low == "h" || low.starts_with("h(")) {
            bad("uses H, which is not supported; `jitter` spreads the runs");
        }
        if (field_ != cron_weekday) {
            return std::nullopt;
        }
        if (low == "l") {
            bad("has L alone, which says nothing about the weekday; write 5L or friL for the last "
                "Friday");
        }
        const auto hash = low.find('#');
        if (hash != std::string::npos) {
            const auto nth = number(std::string_view(low).substr(hash + 1));
            if (!nth || *nth < 1 || *nth > 5) {
                bad("has # without a number from 1 to 5 after it (mon#2 is the second Monday)");
            }
            const int day = value(text.substr(0, hash)) % 7;
            return CronItem{.kind = CronItem::Kind::nth_weekday, .from = day, .to = day, .nth = *nth};
        }
        if (low.back() == 'l') {
            const int day = value(text.substr(0, text.size() - 1)) % 7;
            return CronItem{.kind = CronItem::Kind::last_weekday, .from = day, .to = day};
        }
        return std::nullopt;
    }

    static std::optional<int> number(std::string_view text) {
        if (text.empty() || text.size() > 4 ||
            !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
            return std::nullopt;
        }
        return std::accumulate(text.begin(), text.end(), 0, [](int sum, char c) { return sum * 10 + (c - '0'); });
    }

    int value(std::string_view text) const {
        if (const auto n = number(text)) {
            if (*n < spec_.min || *n > spec_.max) {
                bad(fmt::format("has {}, which is out of range", *n));
            }
            return *n;
        }
        const auto low = lower_case(text);
        const auto found = std::find(spec_.names.begin(), spec_.names.end(), low);
        if (found != spec_.names.end()) {
            return spec_.first_name + static_cast<int>(found - spec_.names.begin());
        }
        const auto near = nearest_word(low, {spec_.names.begin(), spec_.names.end()});
        bad(fmt::format(
            "has {}, which is not understood{}",
            text.empty() ? "nothing at one end of a range" : quoted(text),
            near.empty() ? "" : fmt::format(" (did you mean \"{}\"?)", near)
        ));
    }

    std::string_view next_unit() const {
        static constexpr std::string_view units[] = {"minute", "hour", "day", "month", "year", "week"};
        return units[field_];
    }

    CronField field_;
    const FieldSpec& spec_;
    std::string_view text_;
};

std::uint64_t mask_of(const std::vector<CronItem>& items) {
    std::uint64_t mask = 0;
    for (const auto& item : items) {
        if (item.kind == CronItem::Kind::any || item.kind == CronItem::Kind::one ||
            item.kind == CronItem::Kind::range) {
            for (int v = item.from; v <= item.to; v += item.step) {
                mask |= std::uint64_t{1} << v;
            }
        }
    }
    return mask;
}

void set_days(CronFields& out) {
    out.days = static_cast<std::uint32_t>(mask_of(out.items[cron_day]));
    const auto plain = mask_of(out.items[cron_weekday]);
    out.weekdays = static_cast<std::uint32_t>((plain | plain >> 7) & 0x7f);  // 7 is Sunday too
    for (const auto& item : out.items[cron_day]) {
        out.last_day = out.last_day || item.kind == CronItem::Kind::last_day;
        out.any_day = out.any_day || (item.kind == CronItem::Kind::any && item.step == 1);
    }
    for (const auto& item : out.items[cron_weekday]) {
        out.any_weekday = out.any_weekday || (item.kind == CronItem::Kind::any && item.step == 1);
        if (item.kind == CronItem::Kind::last_weekday) {
            out.last_weekdays |= 1U << item.from;
        }
        if (item.kind == CronItem::Kind::nth_weekday) {
            out.nth_weekdays[static_cast<std::size_t>(item.nth)] |= 1U << item.from;
        }
    }
}

// A date that never comes is a mistake that would otherwise show as silence.
void refuse_impossible(const CronFields& fields) {
    std::vector<std::string_view> months;
    for (unsigned m = 1; m <= 12; ++m) {
        if ((fields.months >> m & 1U) != 0) {
            if (fields.days_of(2000, m) != 0) {  // 2000 had a 29 February
                return;
            }
            months.push_back(long_month_names[m - 1]);
        }
    }
    if (!fields.any_weekday) {
        return;  // a fifth weekday comes in every month of some year
    }
    fail(fmt::format(
        "day-of-month field: day {} never comes in {}", std::countr_zero(fields.days), fmt::join(months, ", ")
    ));
}

std::string_view macro_meaning(std::string_view word) {
    const auto low = lower_case(word);
    std::vector<std::string_view> names;
    for (const auto& macro : macros) {
        if (macro.name == low) {
            return macro.meaning;
        }
        names.push_back(macro.name);
    }
    const auto near = nearest_word(low, names);
    fail(fmt::format(
        "{} is not understood{}; allowed are {}",
        quoted(word),
        near.empty() ? "" : fmt::format(" (did you mean \"{}\"?)", near),
        fmt::join(names, ", ")
    ));
}

}  // namespace

CronFields parse_cron_fields(std::string_view expression) {
    if (expression.size() > 512) {
        fail("the expression is longer than 512 characters");
    }
    auto words = blank_words(expression);
    if (words.size() == 1 && words[0].starts_with('@')) {
        words = blank_words(macro_meaning(words[0]));
    }
    if (words.size() != 5 && words.size() != 6) {
        fail(fmt::format(
            "{} has {} field{}; allowed are five (minute hour day-of-month month day-of-week), or "
            "six with "
            "seconds first",
            quoted(expression),
            words.size(),
            words.size() == 1 ? "" : "s"
        ));
    }
    CronFields out;
    out.has_seconds = words.size() == 6;
    if (!out.has_seconds) {
        words.insert(words.begin(), "0");
    }
    for (std::size_t i = 0; i < out.items.size(); ++i) {
        out.items[i] = FieldParser(static_cast<CronField>(i), words[i]).parse();
    }
    out.seconds = mask_of(out.items[cron_second]);
    out.minutes = mask_of(out.items[cron_minute]);
    out.hours = static_cast<std::uint32_t>(mask_of(out.items[cron_hour]));
    out.months = static_cast<std::uint32_t>(mask_of(out.items[cron_month]));
    set_days(out);
    refuse_impossible(out);
    return out;
}

}  // namespace headrace::schedule
