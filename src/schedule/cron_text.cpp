#include "schedule/cron_text.hpp"

#include <fmt/core.h>

#include <bit>
#include <functional>

namespace headrace::schedule {
namespace {

using Items = std::vector<CronItem>;
using Namer = std::function<std::string(int)>;

constexpr int listed_times = 6;  // more clock times than this are described by their fields

bool only(const Items& items, CronItem::Kind kind) {
    return items.size() == 1 && items[0].kind == kind;
}

bool wild(const Items& items) {
    return only(items, CronItem::Kind::any) && items[0].step == 1;
}

// The n of a lone */n (from the start of the field to its end), or 0.
int stepped(const Items& items) {
    return only(items, CronItem::Kind::any) && items[0].step > 1 ? items[0].step : 0;
}

std::string ordinal(int n) {
    const int tens = n % 100;
    const char* end = tens >= 11 && tens <= 13 ? "th"
                      : n % 10 == 1            ? "st"
                      : n % 10 == 2            ? "nd"
                      : n % 10 == 3            ? "rd"
                                               : "th";
    return fmt::format("{}{}", n, end);
}

std::string nth_word(int n) {
    static constexpr const char* words[] = {"", "first", "second", "third", "fourth", "fifth"};
    return words[n];
}

std::string number(int n) {
    return fmt::format("{}", n);
}

// "every hour", "every 2nd hour", "hour 2", "hours 1, 4 and 8 through 10", "every 3rd hour from 8
// through 20"
std::string set_of(const Items& items, const std::string& unit, const Namer& name) {
    if (wild(items)) {
        return "every " + unit;
    }
    const auto step_text = [&](const CronItem& item) { return fmt::format("every {} {}", ordinal(item.step), unit); };
    std::vector<std::string> plain;
    std::vector<std::string> parts;
    bool several = false;
    for (const auto& item : items) {
        if (item.kind == CronItem::Kind::any) {
            parts.push_back(item.step == 1 ? "every " + unit : step_text(item));
        } else if (item.step > 1) {
            parts.push_back(fmt::format(
                "{} from {}{}", step_text(item), name(item.from), item.open ? "" : " through " + name(item.to)
            ));
        } else if (item.kind == CronItem::Kind::one || item.from == item.to) {
            plain.push_back(name(item.from));
        } else if (item.kind == CronItem::Kind::range) {
            plain.push_back(fmt::format("{} through {}", name(item.from), name(item.to)));
            several = true;
        }
    }
    if (!plain.empty()) {
        several = several || plain.size() > 1;
        parts.insert(parts.begin(), unit + (several ? "s " : " ") + join_words(plain, "and"));
    }
    return join_words(parts, "and");
}

std::string clock_text(const CronFields& f, int hour, int minute) {
    auto text = fmt::format("{:02d}:{:02d}", hour, minute);
    if (f.seconds != 1) {
        text += fmt::format(":{:02d}", std::countr_zero(f.seconds));
    }
    return text;
}

// "At 06:30 and 18:30" when the clock times are few; else "".
std::string clock_times(const CronFields& f) {
    if (std::popcount(f.seconds) != 1 || std::popcount(f.hours) * std::popcount(f.minutes) > listed_times ||
        !f.fixed_hours() || only(f.items[cron_minute], CronItem::Kind::any)) {
        return {};
    }
    std::vector<std::string> times;
    for (int h = 0; h < 24; ++h) {
        for (int m = 0; m < 60; ++m) {
            if ((f.hours >> h & 1U) != 0 && (f.minutes >> m & 1U) != 0) {
                times.push_back(clock_text(f, h, m));
            }
        }
    }
    return "At " + join_words(times, "and");
}

// "from 06:00 through 22:45" when the hours are one unbroken run, first and last time included;
// else "".
std::string hour_window(const CronFields& f) {
    const auto& items = f.items[cron_hour];
    if (items.size() != 1 || items[0].step != 1 || items[0].kind == CronItem::Kind::any) {
        return {};
    }
    return fmt::format(
        " from {:02d}:{:02d} through {:02d}:{:02d}",
        items[0].from,
        std::countr_zero(f.minutes),
        items[0].to,
        63 - std::countl_zero(f.minutes)
    );
}

std::string every(int n, const std::string& unit) {
    return n == 1 ? "Every " + unit : fmt::format("Every {} {}s", n, unit);
}

// Minutes and hours, the second being 0.
std::string minutes_and_hours(const CronFields& f) {
    const auto& minutes = f.items[cron_minute];
    const auto& hours = f.items[cron_hour];
    const int minute_step = wild(minutes) ? 1 : stepped(minutes);
    const auto hour_set = set_of(hours, "hour", number);
    if (minute_step != 0) {
        const auto repeat = every(minute_step, "minute");
        if (wild(hours)) {
            return repeat;
        }
        const auto window = hour_window(f);
        return repeat + (window.empty() ? " in " + hour_set : window);
    }
    const int hour_step = wild(hours) ? 1 : stepped(hours);
    if (std::popcount(f.minutes) == 1) {
        const int minute = std::countr_zero(f.minutes);
        const auto past = minute == 0 ? std::string() : fmt::format(" at minute {}", minute);
        if (hour_step != 0) {
            return every(hour_step, "hour") + past;
        }
        const auto window = hour_window(f);
        if (!window.empty()) {
            return "Every hour" + window;
        }
    }
    return fmt::format("At {} of {}", set_of(minutes, "minute", number), hour_set);
}

std::string time_text(const CronFields& f) {
    if (auto times = clock_times(f); !times.empty()) {
        return times;
    }
    if (f.seconds == 1) {
        return minutes_and_hours(f);
    }
    const auto& seconds = f.items[cron_second];
    const int step = wild(seconds) ? 1 : stepped(seconds);
    const auto lead = step != 0 ? every(step, "second") : "At " + set_of(seconds, "second", number);
    if (wild(f.items[cron_minute]) && wild(f.items[cron_hour])) {
        return step != 0 ? lead : lead + " of every minute";
    }
    return fmt::format(
        "{} {} {} of {}",
        lead,
        step != 0 ? "in" : "of",
        set_of(f.items[cron_minute], "minute", number),
        set_of(f.items[cron_hour], "hour", number)
    );
}

std::string weekday_text(const CronFields& f) {
    const auto& items = f.items[cron_weekday];
    std::vector<std::string> days;
    for (const auto& item : items) {
        const auto name = weekday_name(item.from);
        switch (item.kind) {
            case CronItem::Kind::nth_weekday:
                days.push_back(fmt::format("the {} {} of the month", nth_word(item.nth), name));
                break;
            case CronItem::Kind::last_weekday:
                days.push_back(fmt::format("the last {} of the month", name));
                break;
            case CronItem::Kind::one:
                days.push_back(name);
                break;
            default:
                if (item.step == 1) {
                    days.push_back(fmt::format("{} through {}", name, weekday_name(item.to)));
                } else {
                    for (int d = item.from; d <= item.to; d += item.step) {
                        days.push_back(weekday_name(d));
                    }
                }
        }
    }
    const bool lone_range = items.size() == 1 && items[0].kind == CronItem::Kind::range && items[0].step == 1;
    return (lone_range ? "" : "on ") + join_words(days, "and");
}

std::string day_text(const CronFields& f) {
    Items numbered;
    bool last = false;
    for (const auto& item : f.items[cron_day]) {
        if (item.kind == CronItem::Kind::last_day) {
            last = true;
        } else {
            numbered.push_back(item);
        }
    }
    std::vector<std::string> parts;
    if (!numbered.empty()) {
        parts.push_back(set_of(numbered, "day", number));
    }
    if (last) {
        parts.emplace_back("the last day");
    }
    return "on " + join_words(parts, "and") + " of the month";
}

}  // namespace

std::string weekday_name(int weekday) {
    static constexpr const char* names[] = {
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
    return names[weekday];
}

std::string month_name(int month) {
    static constexpr const char* names[] = {
        "",
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
    return names[month];
}

std::string join_words(const std::vector<std::string>& words, std::string_view last) {
    std::string out;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) {
            out += i + 1 == words.size() ? fmt::format(" {} ", last) : ", ";
        }
        out += words[i];
    }
    return out;
}

std::string describe(const CronFields& f) {
    auto text = time_text(f);
    const auto& months = f.items[cron_month];
    const auto& days = f.items[cron_day];
    if (f.any_weekday && only(days, CronItem::Kind::one) && only(months, CronItem::Kind::one)) {
        return fmt::format("{}, on {} {}", text, days[0].from, month_name(months[0].from));
    }
    if (f.day_or_weekday()) {
        const auto weekdays = weekday_text(f);
        text += fmt::format(", {} or {}{}", day_text(f), weekdays.starts_with("on ") ? "" : "on ", weekdays);
    } else if (!f.any_day) {
        text += ", " + day_text(f);
    } else if (!f.any_weekday) {
        text += ", " + weekday_text(f);
    } else if (!clock_times(f).empty()) {
        text += ", every day";
    }
    if (!wild(months)) {
        auto in = set_of(months, "month", month_name);
        for (const std::string_view unit : {"months ", "month "}) {
            if (in.starts_with(unit)) {
                in.erase(0, unit.size());  // "in January", not "in month January"
            }
        }
        text += ", in " + in;
    }
    return text;
}

}  // namespace headrace::schedule
