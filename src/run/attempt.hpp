// One try of a run between claim and decision: the straight line of the data. Lives on the run's thread.
#pragma once

#include "base/units.hpp"
#include "pipeline/definition.hpp"
#include "run/chunk_log.hpp"
#include "run/executor.hpp"
#include "run/read_ahead.hpp"
#include "run/read_range.hpp"
#include "run/reject_log.hpp"

#include <memory>
#include <string>
#include <vector>

namespace headrace::run {

// Output names and kinds of a definition's sinks, in order.
std::vector<OutputSpec> output_specs(const pipeline::Registry& registry, const pipeline::Definition& definition);

// Adds up how long a step was at work, for its detail.
class BusyTime {
public:
    template <class Body>
    void measure(Body&& body) {
        const auto start = Deadline::Clock::now();
        body();
        spent_ += Deadline::Clock::now() - start;
    }

    std::string text() const { return "busy " + format_duration(std::chrono::duration_cast<milliseconds>(spent_)); }

private:
    Deadline::Clock::duration spent_{};
};

class Attempt {
public:
    Attempt(
        Services& services,
        const RunHead& head,
        const pipeline::Definition& definition,
        const Claim& claim,
        Journal& journal,
        StopSource stop,
        Deadline deadline
    );
    ~Attempt();  // throws away what was staged, unless it is kept
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    // From the source to sealed sinks. Throws what went wrong; nothing of it is visible.
    Sealed run();

    void keep_staging() { keep_ = true; }

private:
    void resolve();
    void plan();
    void read_and_stage();
    void open_stages(data::Schema schema);
    void pass(data::Batch& batch);
    std::optional<std::size_t> chunk_end(const data::Batch& batch) const;
    void close_chunk(std::uint64_t rows_in);
    void close_account(const pipeline::Completeness& read);
    std::uint64_t bytes_staged() const;
    Sealed seal();
    void judge();
    void watch_cursor(const ReadAhead& source, const data::Schema& schema);
    void log(std::string_view level, std::string_view step, std::string message);

    Services& services_;
    const RunHead& head_;
    const pipeline::Definition& definition_;
    Claim claim_;
    Journal& journal_;
    StopSource stop_;
    Deadline deadline_;
    pipeline::Credential source_credential_;
    std::vector<std::unique_ptr<pipeline::Transform>> transforms_;
    std::vector<std::unique_ptr<pipeline::Check>> checks_;
    std::vector<std::unique_ptr<pipeline::Sink>> sinks_;
    bool keep_ = false;
    std::optional<RejectLog> rejects_;
    BusyTime transforming_;
    BusyTime checking_;
    BusyTime staging_;
    std::uint64_t rows_before_ = 0;  // read by earlier attempts
    std::uint64_t rows_out_ = 0;     // with those of earlier attempts
    std::string proof_;
    std::optional<ReadRange> read_range_;
    std::optional<pipeline::CursorTracker> cursor_;
    std::size_t cursor_column_ = 0;
    std::optional<ChunkLog> chunks_;       // where a later attempt can go on
    std::uint64_t chunk_start_ = 0;        // row of the run's read
    std::uint64_t chunk_start_bytes_ = 0;  // staged before it
    std::uint64_t rejects_told_ = 0;       // of the chunks
};

}  // namespace headrace::run
