// What a connector offers. One run makes one Source, uses it on its read thread and destroys it there.
#pragma once

#include "base/deadline.hpp"
#include "base/error.hpp"
#include "base/stop.hpp"
#include "data/batch.hpp"
#include "pipeline/incremental.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace headrace::pipeline {

// What a source may use from the run.
struct SourceContext {
    StopToken stop;                         // cancelled or timed out
    Deadline deadline = Deadline::never();  // end of the attempt
    std::string run_id;                     // for labels and query ids
    std::string attempt_id;                 // fresh per attempt
    // Writes a line to the run's log (level: debug, info, warn). Thread-safe.
    std::function<void(std::string_view level, std::string message)> log;
    std::optional<CursorRange> range = std::nullopt;  // of an incremental read
    // Only about so many rows will be read, and nothing is published: a preview. A wish; a source may begin sooner with
    // smaller pieces, and may do without a proof that holds the first row back.
    std::optional<std::uint64_t> first_rows = std::nullopt;
};

// How a source knows that it has seen everything; shown in the run's history.
struct Completeness {
    std::string proof;  // e.g. "wait_end_of_query: status 200, body complete, 12 blocks"
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;  // as received on the wire
};

// Call order: connect, query, then next until it returns false, then completeness. Any of them may throw Error with a
// source.* code; after a throw only the destructor is called.
class Source {
public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() = default;  // also stops whatever still runs at the far side (KILL QUERY, job cancel)

    virtual void connect(const SourceContext& context) = 0;
    // Only of types with SourceType::incremental, and only when the pipeline says `incremental:`: between connect and
    // query. Binds the range; without an upper end it asks for the largest value that is there now and fills it in
    // (`from` when there are no rows), so that the end is fixed before the first row is read.
    virtual void restrict(CursorRange& range);
    // Starts the read; returns the schema of all batches.
    virtual data::Schema query() = 0;

    // After query(), of an incremental read: the source itself gives the rows in the order of the cursor, so that those
    // up to one of its values can be put away for good, and be left out (CursorRange::behind_from) by a later attempt.
    virtual bool in_order() const { return false; }

    // Fills `batch` (already reset to the schema, empty) with at least one row; false = end, and the end is PROVEN.
    // A stream that ended without its proof throws source.incomplete.
    virtual bool next(data::Batch& batch) = 0;
    virtual Completeness completeness() const = 0;
    virtual std::uint64_t bytes_received() const = 0;  // thread-safe, for progress
};

inline void Source::restrict(CursorRange&) {
    throw Error(ErrorKind::bug, "internal.bug", "this source cannot read a range");
}

}  // namespace headrace::pipeline
