// One try of a run between claim and decision: the straight line of the data. Lives on the run's thread.
#pragma once

#include "pipeline/definition.hpp"
#include "run/executor.hpp"
#include "run/read_ahead.hpp"
#include "run/read_range.hpp"

#include <memory>
#include <string>
#include <vector>

namespace headrace::run {

// Output names and kinds of a definition's sinks, in order.
std::vector<OutputSpec> output_specs(const pipeline::Registry& registry, const pipeline::Definition& definition);

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
    void read_and_stage();
    Sealed seal();
    void judge();
    void watch_cursor(const ReadAhead& source, const data::Schema& schema);
    void log(std::string_view level, std::string_view step, std::string message);

    Services& services_;
    const RunHead& head_;
    const pipeline::Definition& definition_;
    const Claim& claim_;
    Journal& journal_;
    StopSource stop_;
    Deadline deadline_;
    pipeline::Credential source_credential_;
    std::vector<std::unique_ptr<pipeline::Transform>> transforms_;
    std::vector<std::unique_ptr<pipeline::Check>> checks_;
    std::vector<std::unique_ptr<pipeline::Sink>> sinks_;
    bool keep_ = false;
    std::uint64_t rows_out_ = 0;
    std::string proof_;
    std::optional<ReadRange> read_range_;
    std::optional<pipeline::CursorTracker> cursor_;
    std::size_t cursor_column_ = 0;
};

}  // namespace headrace::run
