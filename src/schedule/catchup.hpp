// Which slots are due, and what becomes of those that were missed. A pure decision: the caller
// knows how far the schedule was considered before, writes a row for every answer, and stores `now`
// as the new mark, all in one transaction.
#pragma once

#include "base/time.hpp"
#include "schedule/cron.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::schedule {

enum class Catchup { none, last, all };          // missed slots: skip · run the newest · run them all
enum class Overlap { skip, queue, cancel_old };  // when a run of this pipeline is still in progress

std::string_view to_string(Catchup value);  // "none", "last", "all"
std::string_view to_string(Overlap value);  // "skip", "queue", "cancel_old"
// Exactly these words; nullopt for any other.
std::optional<Catchup> parse_catchup(std::string_view text);
std::optional<Overlap> parse_overlap(std::string_view text);

struct DueSlot {
    Timestamp slot;
    bool run = false;
    // Skipped: why, "missed: catchup none". Runs late: "caught up: 12m30s late". On time: "".
    std::string reason;
};

inline constexpr std::chrono::seconds due_grace{60};  // a slot not older than this is on time

// All slots in (considered_through, now], oldest first. A slot on time always runs. A missed slot
// runs when `catchup` says so and it is not older than `window`; otherwise it is skipped with its
// reason.
//
// Bounded: of the missed slots the newest `cap` (at least 1) are listed one by one and only
// these can run; when there are more, one entry at the front, at the newest of them, stands for all
// of them and says how many (counted to 10 000). Costs time for what it lists and counts, not for
// the length of the outage.
std::vector<DueSlot> due_slots(
    const Cron& cron,
    Timestamp considered_through,
    Timestamp now,
    Catchup catchup,
    std::chrono::milliseconds window,
    std::size_t cap
);

// How long after its slot a run starts, in [0, max]: a hash of both, so that every scheduler
// computes the same.
std::chrono::milliseconds jitter_for(std::string_view pipeline, Timestamp slot, std::chrono::milliseconds max);

}  // namespace headrace::schedule
