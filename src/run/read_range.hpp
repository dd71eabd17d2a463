// Which range of the cursor an attempt of an incremental pipeline reads. Pure.
#pragma once

#include "pipeline/definition.hpp"
#include "run/ledger.hpp"

#include <optional>
#include <string>

namespace headrace::run {

struct ReadRange {
    pipeline::CursorRange range;
    bool advances = true;                // its largest value may become the watermark
    std::string why;                     // for the log: "from the watermark 2026-… less the lag"
    std::optional<std::string> through;  // so far earlier attempts of the run came: the rest is behind it

    pipeline::CursorRange rest() const;  // what is still to be read
};

// nullopt: the pipeline is not incremental. Throws run.range: the ends of a backfill are no values of the cursor.
//   backfill               the range that was asked for; the watermark stays
//   republish              from `start` to the watermark: Redis lost rows, and only those of old runs are wanted
//   an output that is new  from `start`: it has nothing yet
//   else                   from the watermark less the lag, not before `start`
// The chunks of earlier attempts (Claim::chunks) fix the range as they found it.
std::optional<ReadRange> plan_read(const pipeline::Definition& definition, const RunHead& head, const Claim& claim);

}  // namespace headrace::run
