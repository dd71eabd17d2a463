// Where rows go. Nothing that a sink does is visible to readers before the decision. What is in the ledger's database
// becomes visible with it (Manifest::statements); the rest is published after it, elsewhere (run/publisher), from the
// manifest that seal() returned, by any process, any number of times.
#pragma once

#include "base/deadline.hpp"
#include "base/error.hpp"
#include "base/stop.hpp"
#include "data/batch.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::pipeline {

// The rows of one chunk of a run (run/chunks.hpp) as a sink staged them; a later attempt of the run may take them over.
struct StagedChunk {
    std::string table;       // in the staging schema of the ledger's database
    std::uint64_t size = 0;  // on disk; when it is another one the rows are gone
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;  // as Manifest::bytes counts them
    std::string shape;        // the columns
};

struct SinkContext {
    StopToken stop;
    Deadline deadline = Deadline::never();
    std::string pipeline;
    std::string run_id;
    std::string attempt_id;            // names the staging: never shared by two attempts
    std::string output_id;             // of etl_outputs
    std::uint64_t previous_bytes = 0;  // of the last good generation: what this one will need, roughly
    std::function<void(std::string_view level, std::string message)> log;
    std::vector<StagedChunk> chunks = {};  // of earlier attempts, in order; only where SinkType::keeps_chunks
};

// The staged key (Redis) of an output.
struct StagedKey {
    std::string live;     // the key that readers use; of one key per row its pattern, "user:*"
    std::string staging;  // where the rows are; empty = the live key is deleted (an empty list or hash cannot exist)
};

// How a generation becomes visible in Redis (docs/commit-protocol.md).
enum class Form {
    key,      // the staged key is renamed to the live one
    rows,     // one key per row, staged as one hash, written by one script
    pointer,  // one key per row under a prefix of the generation; the pointer key names the prefix
    merge,    // one key per row, renamed in bounded scripts; keys of other rows stay
};

// What the decision stores and the publisher needs.
struct Manifest {
    std::vector<StagedKey> keys;  // one, or none: nothing is left to publish after the decision
    // SQL that the decision runs in its transaction, in order, last of all; not stored. It leaves no staging behind.
    // SQLSTATE 40001 from it means: make the attempt again.
    std::vector<std::string> statements;
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;  // as staged
    std::string schema_hash;
    std::int64_t ttl_ms = 0;  // of the live keys; 0 = no expiry
    std::string meta_key;     // "cache:<pipeline>:meta"
    std::string payload;      // enough to rebuild the staging (sink-defined), "" when too large
    Form form = Form::key;
    std::string generation;     // pointer, merge: names the staged rows (RedisSpace)
    std::uint64_t staged = 0;   // rows: fields of the hash; pointer, merge: length of the index
    std::int64_t keep_ms = 0;   // how long the generation before stays for a rollback; 0 = not at all
    std::int64_t sweep_ms = 0;  // merge: rows that no run brought for so long are removed; 0 = never
    std::string as_of;          // when the rows were decided, if that is not now (a rollback)
};

// Call order: open, stage… (with close_chunk… in between), seal; after a throw at any point discard() is called (best
// effort, must not throw).
class Sink {
public:
    Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;
    virtual ~Sink() = default;

    virtual void open(const SinkContext& context, const data::Schema& schema) = 0;
    virtual void stage(const data::Batch& batch) = 0;
    // Only of types with SinkType::keeps_chunks. What was staged since the last call stays when the attempt dies or
    // fails; whether it counts is the ledger's to say. seal() takes it up with the rest.
    virtual StagedChunk close_chunk();
    virtual Manifest seal() = 0;
    virtual void discard() noexcept = 0;
    virtual std::uint64_t bytes_staged() const = 0;  // thread-safe, for progress; with the chunks
};

inline StagedChunk Sink::close_chunk() {
    throw Error(ErrorKind::bug, "internal.bug", "this sink keeps no chunks");
}

}  // namespace headrace::pipeline
