// The chunks of one attempt (run/chunks.hpp), on the run's thread.
#pragma once

#include "run/stores.hpp"

#include <string>

namespace headrace::run {

class ChunkLog {
public:
    // `earlier`: how many chunks the run has already.
    ChunkLog(LedgerStore& ledger, std::string run_id, std::string attempt_id, std::size_t earlier)
        : ledger_(ledger), run_id_(std::move(run_id)), attempt_id_(std::move(attempt_id)), count_(earlier) {}

    // Adds it as the next one; `chunk.number` is set here. Throws run.fenced when the run is another attempt's now.
    void add(Chunk& chunk);

private:
    LedgerStore& ledger_;
    std::string run_id_;
    std::string attempt_id_;
    std::size_t count_;
};

}  // namespace headrace::run
