// The first rows of a pipeline through source, transforms and checks. Nothing is written anywhere: no run, no sink, no
// watermark. One thread, the caller's; whatever still runs at the source is stopped before it returns or throws.
#pragma once

#include "base/deadline.hpp"
#include "base/stop.hpp"
#include "data/batch.hpp"
#include "pipeline/registry.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::run {

struct PreviewOptions {
    std::size_t rows = 20;
    StopToken stop;
    Deadline deadline = Deadline::never();
    std::optional<std::string> watermark;  // of an incremental pipeline: read from there and not from `start`
    std::function<void(std::string_view level, std::string message)> log;  // what the source says; may be empty
};

struct PreviewReject {
    std::uint64_t row = 0;  // of the source, from 1
    std::string step;
    std::string why;
    std::string content;  // JSON, cut at 400 bytes
};

struct Preview {
    data::Schema source;  // what comes
    data::Schema schema;  // what the sinks would get
    data::Batch rows;     // at most as many as were asked for
    bool whole = false;   // the result ended: these are all of its rows
    std::uint64_t read = 0;
    std::uint64_t filtered = 0;
    std::uint64_t rejected = 0;
    std::vector<PreviewReject> rejects;          // the first 20 of them
    std::optional<pipeline::CursorRange> range;  // of an incremental pipeline
    std::string verdict;  // whole results: what a check or guard says against publishing it; "" = nothing
};

// Reads until `rows` rows came out, the result ended, or 100,000 rows came to nothing. `credential` is that of the
// source. Bad rows are noted and left out, whatever `on_reject` says. Throws what source, transforms and checks throw.
Preview preview(
    const pipeline::Registry& registry,
    const pipeline::Definition& definition,
    const pipeline::Credential& credential,
    const PreviewOptions& options
);

}  // namespace headrace::run
