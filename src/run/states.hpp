// States of a run. Every change is one UPDATE that compares the old state (and, while running, the attempt id).
//
//   queued ──claim──▶ running ──decide──▶ committed ──published──▶ succeeded
//     ▲                 │ transient error, attempts left; worker died
//     └─────────────────┘
//   queued/running ─▶ failed · cancelled · quarantined      (skipped: inserted as such; a rollback: as committed)
//   committed ─▶ superseded: Redis lost the staged rows before they were visible; another run reads the source again
#pragma once

#include <array>
#include <string_view>

namespace headrace::run {

inline constexpr std::array<std::string_view, 9> states =
    {"queued", "running", "committed", "succeeded", "failed", "cancelled", "superseded", "quarantined", "skipped"};

constexpr bool is_final(std::string_view state) {
    return state != "queued" && state != "running" && state != "committed";
}

// The nine steps of an attempt, in order.
inline constexpr std::array<std::string_view, 9> steps =
    {"resolve", "connect", "query", "read", "transform", "check", "stage", "commit", "publish"};

}  // namespace headrace::run
