// The chunk ledger: an incremental run puts away what it has read so far, so that a later attempt of the same run goes
// on behind it instead of reading its range again (docs/commit-protocol.md, "Chunks").
//
// A chunk is the rows of the run up to one value of the cursor, all of them and no others, behind the chunk before it.
// Its rows lie in staging tables that nobody looks into unless the ledger has the chunk; so a chunk counts for all
// outputs or for none, and is added by the attempt that owns the run, or not at all.
#pragma once

#include "pipeline/registry.hpp"
#include "postgres/connection.hpp"
#include "run/decision.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::run {

struct ChunkPart {
    std::int64_t output_id = 0;
    pipeline::StagedChunk rows;
};

struct Chunk {
    int number = 0;                // 1, 2, 3 …
    std::string from;              // of the run's range, and
    std::string to;                // its end, both as the first attempt fixed them
    std::string through;           // the last value of the cursor that is in
    Counters counters;             // of the run, up to here
    std::vector<ChunkPart> parts;  // one per output
};

// Whether the pipeline can go on in the middle: every sink keeps chunks (those in Postgres), and no transform or check
// looks back at earlier rows. The source must also give its rows in order, which it says when it reads.
bool can_go_on(const pipeline::Registry& registry, const pipeline::Definition& definition);

// Under the run's row lock, if the attempt owns the run and its outputs and the chunk is the next one. False: it does
// not. Again with the same chunk, after a lost answer: true, once more without effect.
bool add_chunk(postgres::Connection& db, std::string_view run_id, std::string_view attempt_id, const Chunk& chunk);

// --- within the transactions of claim, decision and end

// All of the run, if all their rows are still there: Postgres may have been replaced. Otherwise they are
// forgotten. The rejected rows that they tell of become those of attempt `attempt`.
std::vector<Chunk> take_chunks(postgres::Connection& c, std::string_view run_id, int attempt);

// Of all runs of the run's pipeline: after a decision what they have read may be older than what is decided.
void forget_chunks_of_pipeline(postgres::Connection& c, std::string_view run_id);

void forget_chunks(postgres::Connection& c, std::string_view run_id);

}  // namespace headrace::run
