#include "schedule/catchup.hpp"

#include "base/units.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <utility>

namespace headrace::schedule {
namespace {

constexpr std::array<std::pair<Catchup, std::string_view>, 3> catchup_words{
    {{Catchup::none, "none"}, {Catchup::last, "last"}, {Catchup::all, "all"}}};
constexpr std::array<std::pair<Overlap, std::string_view>, 3> overlap_words{
    {{Overlap::skip, "skip"}, {Overlap::queue, "queue"}, {Overlap::cancel_old, "cancel_old"}}};
constexpr std::size_t counted_slots = 10'000;

template <typename Words, typename Value>
std::string_view word_of(const Words& words, Value value) {
    const auto it = std::find_if(words.begin(), words.end(), [&](const auto& w) { return w.first == value; });
    return it == words.end() ? std::string_view() : it->second;
}

template <typename Value, typename Words>
std::optional<Value> value_of(const Words& words, std::string_view text) {
    const auto it = std::find_if(words.begin(), words.end(), [&](const auto& w) { return w.second == text; });
    return it == words.end() ? std::nullopt : std::optional(it->first);
}

// "2h", "1h30m", "45s": the way such a value is written in a file.
std::string span_text(std::chrono::milliseconds span) {
    static constexpr std::pair<std::int64_t, const char*> units[] = {
        {86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1000, "s"}, {1, "ms"}};
    auto rest = span.count();
    std::string out;
    for (const auto& [size, name] : units) {
        if (rest >= size) {
            out += fmt::format("{}{}", rest / size, name);
            rest %= size;
        }
    }
    return out.empty() ? "0s" : out;
}

// The newest slots in (after, upto], oldest first; `more` says that there are older ones. There is
// no backward search in Cron: look back twice as far each time until enough are seen.
std::deque<Timestamp> newest_slots(const Cron& cron, Timestamp after, Timestamp upto, std::size_t count, bool& more) {
    for (std::chrono::microseconds back = std::chrono::minutes(1);; back *= 2) {
        const bool whole = upto - after <= back;
        const Timestamp from = whole ? after : upto - back;
        std::deque<Timestamp> found;
        bool dropped = false;
        for (auto slot = cron.next(from); slot && *slot <= upto; slot = cron.next(*slot)) {
            found.push_back(*slot);
            if (found.size() > count) {
                found.pop_front();
                dropped = true;
            }
        }
        if (whole || dropped) {
            more = dropped;
            return found;
        }
    }
}

DueSlot not_listed(const Cron& cron, Timestamp after, Timestamp oldest_listed, std::size_t cap) {
    bool more = false;
    const Timestamp upto = oldest_listed - std::chrono::microseconds(1);
    const auto newest = newest_slots(cron, after, upto, 1, more).back();
    std::size_t count = 0;
    Timestamp first{};
    for (auto slot = cron.next(after); slot && *slot <= upto && count < counted_slots; slot = cron.next(*slot)) {
        first = count == 0 ? *slot : first;
        ++count;
    }
    const auto times = count == counted_slots ? fmt::format("{} or more", counted_slots) : fmt::format("{}", count);
    return {
        newest,
        false,
        fmt::format(
            "missed: {} slot{} from {} on, not listed one by one (the limit is {})",
            times,
            count == 1 ? "" : "s",
            format_rfc3339(first),
            cap
        )};
}

DueSlot decide_missed(Timestamp slot, bool newest, Timestamp now, Catchup catchup, std::chrono::milliseconds window) {
    const auto late = std::chrono::floor<std::chrono::seconds>(now - slot);
    if (catchup == Catchup::none) {
        return {slot, false, "missed: catchup none"};
    }
    if (now - slot > window) {
        return {slot, false, fmt::format("missed: older than catchup_window {}", span_text(window))};
    }
    if (catchup == Catchup::last && !newest) {
        return {slot, false, "missed: catchup last runs only the newest"};
    }
    return {slot, true, fmt::format("caught up: {} late", span_text(late))};
}

}  // namespace

std::string_view to_string(Catchup value) {
    return word_of(catchup_words, value);
}

std::string_view to_string(Overlap value) {
    return word_of(overlap_words, value);
}

std::optional<Catchup> parse_catchup(std::string_view text) {
    return value_of<Catchup>(catchup_words, text);
}

std::optional<Overlap> parse_overlap(std::string_view text) {
    return value_of<Overlap>(overlap_words, text);
}

std::vector<DueSlot> due_slots(
    const Cron& cron,
    Timestamp considered_through,
    Timestamp now,
    Catchup catchup,
    std::chrono::milliseconds window,
    std::size_t cap
) {
    std::vector<DueSlot> out;
    if (considered_through >= now) {
        return out;
    }
    cap = std::max<std::size_t>(cap, 1);
    // Missed: (considered_through, on_time_from); on time: [on_time_from, now].
    const Timestamp on_time_from = std::max(now - due_grace, considered_through + std::chrono::microseconds(1));
    const Timestamp before = on_time_from - std::chrono::microseconds(1);
    bool more = false;
    const auto missed = newest_slots(cron, considered_through, before, cap, more);
    if (more) {
        out.push_back(not_listed(cron, considered_through, missed.front(), cap));
    }
    for (const auto slot : missed) {
        out.push_back(decide_missed(slot, slot == missed.back(), now, catchup, window));
    }
    for (auto slot = cron.next(before); slot && *slot <= now; slot = cron.next(*slot)) {
        out.push_back({*slot, true, ""});
    }
    return out;
}

std::chrono::milliseconds jitter_for(std::string_view pipeline, Timestamp slot, std::chrono::milliseconds max) {
    if (max.count() <= 0) {
        return std::chrono::milliseconds(0);
    }
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a over name and slot, little end first, then mixed (splitmix64)
    const auto add = [&](std::uint8_t byte) { hash = (hash ^ byte) * 0x100000001b3; };
    for (const char c : pipeline) {
        add(static_cast<std::uint8_t>(c));
    }
    auto micros = static_cast<std::uint64_t>(slot.time_since_epoch().count());
    for (int i = 0; i < 8; ++i, micros >>= 8) {
        add(static_cast<std::uint8_t>(micros));
    }
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111eb;
    hash ^= hash >> 31;
    return std::chrono::milliseconds(static_cast<std::int64_t>(hash % (static_cast<std::uint64_t>(max.count()) + 1)));
}

}  // namespace headrace::schedule
