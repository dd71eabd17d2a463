// Rows that a step cannot accept. Without `on_reject` the first one stops the run; with it they are taken out, counted,
// and the first of them kept with their reason. Used on the thread that stages.
#pragma once

#include "data/batch.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace headrace::pipeline {

// `on_reject` of a pipeline file: how many rows may be bad, of those read. Exactly one of the two bounds is set.
struct RejectSpec {
    std::uint64_t keep = 1000;               // this many are stored with their content
    std::optional<std::uint64_t> most_rows;  // `max: 100`
    std::optional<double> most_share;        // `max: 0.1%` is 0.001
};

// This class itself takes none: for tests, and for pipelines without `on_reject`.
class Rejects {
public:
    Rejects() = default;
    Rejects(const Rejects&) = delete;
    Rejects& operator=(const Rejects&) = delete;
    virtual ~Rejects() = default;

    // True: the row is noted and leaves the batch when the step is done; the step goes on, with a null in its place
    // where it makes a new column. False: bad rows stop the run, and the caller throws. The batch is as the step got
    // it.
    virtual bool
    take(const data::Batch& /*batch*/, std::size_t /*row*/, std::string_view /*step*/, std::string_view /*why*/) {
        return false;
    }
};

}  // namespace headrace::pipeline
