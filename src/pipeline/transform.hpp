// A pure step between source and sinks.
#pragma once

#include "data/batch.hpp"
#include "pipeline/rejects.hpp"

#include <cstdint>

namespace headrace::pipeline {

class Transform {
public:
    Transform() = default;
    Transform(const Transform&) = delete;
    Transform& operator=(const Transform&) = delete;
    virtual ~Transform() = default;

    // The schema that apply() leaves. Called once, before the first batch. Throws pipeline.invalid when it does not
    // fit.
    virtual data::Schema prepare(const data::Schema& in) = 0;
    // Changes the batch in place. Returns the number of rows it took out. A row that it cannot change is given to
    // `rejects`, or throws transform.value when that takes none.
    virtual std::uint64_t apply(data::Batch& batch, Rejects& rejects) = 0;
};

// Sees every batch that goes to the sinks and decides at the end whether the result may be published.
class Check {
public:
    Check() = default;
    Check(const Check&) = delete;
    Check& operator=(const Check&) = delete;
    virtual ~Check() = default;

    virtual void prepare(const data::Schema& schema) = 0;
    // A row that must not go out is given to `rejects`; throws check.* to stop at once when that takes none.
    virtual void see(const data::Batch& batch, Rejects& rejects) = 0;
    // All rows were seen. `previous_rows`: rows of the last good generation, or -1. Throws check.* when it must not go
    // out.
    virtual void verdict(std::uint64_t rows, std::int64_t previous_rows) = 0;
};

}  // namespace headrace::pipeline
