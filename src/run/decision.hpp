// The decision of a run, and what follows it: one transaction makes the sealed rows of an attempt those of the run
// (docs/commit-protocol.md, "decide", "acknowledge").
#pragma once

#include "base/deadline.hpp"
#include "pipeline/incremental.hpp"
#include "pipeline/sink.hpp"
#include "postgres/connection.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::run {

struct Counters {
    std::uint64_t rows_read = 0;
    std::uint64_t rows_written = 0;
    std::uint64_t rows_rejected = 0;
    std::uint64_t rows_filtered = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
};

struct SealedOutput {
    std::int64_t output_id = 0;
    pipeline::Manifest manifest;
};

// What an incremental attempt read; stored with its rows.
struct CursorReached {
    pipeline::CursorRange range;
    std::string largest;   // "" = no row
    bool advances = true;  // becomes the watermark, if it is larger than the one that is there
};

// What an attempt asks to be decided.
struct Sealed {
    std::vector<SealedOutput> outputs;    // ascending by id
    std::string proof;                    // how the source proved that the read was complete
    std::optional<CursorReached> cursor;  // of an incremental read
};

enum class Decision { committed, fenced, cancelled };

// Transaction D, with the statements of the manifests, which may take until `deadline`. Throws postgres::CommitUnknown
// when the answer to COMMIT was lost: then ask `verdict` on a new connection.
Decision decide(
    postgres::Connection& db,
    std::string_view run_id,
    std::string_view attempt_id,
    const Sealed& sealed,
    const Counters& counters,
    Deadline deadline
);

// What became of a decision whose COMMIT was not answered: waits on the row lock until the old backend is gone.
// committed; undecided = D did not happen and may be tried again by this attempt; fenced = somebody else owns the run.
enum class Verdict { committed, undecided, fenced };
Verdict verdict(postgres::Connection& db, std::string_view run_id, std::string_view attempt_id);

// After publish: marks the output published if seq is still the same, and the run succeeded when none is left.
void acknowledge(postgres::Connection& db, std::int64_t output_id, std::int64_t seq, std::string_view run_id);

// committed → superseded: Redis lost the staged rows of an output before anybody saw them, and no copy is kept. Without
// this the run would wait for ever and keep the next one from reading the source again. False: the run is not
// committed.
bool abandon(postgres::Connection& db, std::string_view run_id);

}  // namespace headrace::run
