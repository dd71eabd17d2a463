// Makes decided generations visible. The publish scripts are the only writers of live keys: they apply a generation
// whole or not at all (a merge row by row), only forwards in (epoch, seq), and may be called by any process, any number
// of times. Errors are those of the stores; then nothing is half-done and anybody may call again.
#pragma once

#include "base/deadline.hpp"
#include "run/stores.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace headrace::run {

enum class PublishResult {
    applied,   // readers see it now
    already,   // they saw this one or a newer one before
    no_stage,  // the staging is gone and Postgres holds no copy: a run must read the source again
    partly,    // a merge that did not end before `until`: call again
};

// Publishes what Postgres decided for an output, rebuilding the staging from the stored payload when it is gone, then
// acknowledges it. `force` writes again even if Redis says that it has this very generation (a live key was deleted).
PublishResult publish(
    LedgerStore& ledger,
    OutputStore& outputs,
    const Generation& generation,
    bool force = false,
    Deadline until = Deadline::never()
);

// All outputs of a run that are not published yet, ascending by id. True when none is left. Does not touch `outputs`
// when there is nothing to publish.
bool publish_run(LedgerStore& ledger, OutputStore& outputs, std::string_view run_id);

// Outputs whose live state in Redis is not what Postgres decided. Publish this very generation: `lost` is no reason to
// force the one that somebody may have decided since.
struct Stale {
    Generation generation;
    Live live;
    bool lost = false;   // Redis says it has this generation, but a live key is missing
    bool ahead = false;  // Redis may have one that was never decided: LedgerStore::raise_epoch_over tells
};

std::vector<Stale> find_stale(LedgerStore& ledger, OutputStore& outputs);

}  // namespace headrace::run
