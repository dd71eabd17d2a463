#include "run/publisher.hpp"

#include <algorithm>
#include <utility>

namespace headrace::run {
namespace {

// A merge takes many calls; every other form one.
Applied apply_all(OutputStore& outputs, const Generation& generation, bool force, Deadline until) {
    for (;;) {
        const auto answer = outputs.apply(generation, generation.key().staging, force);
        if (answer != Applied::more || until.passed()) {
            return answer;
        }
    }
}

// Rows that no run brought for long go after the merge; what is left at the deadline goes with the next one.
void sweep_merged(OutputStore& outputs, const Generation& generation, Deadline until) {
    const auto& m = generation.manifest;
    if (m.form != pipeline::Form::merge || m.sweep_ms == 0) {
        return;
    }
    while (outputs.sweep_rows(generation) && !until.passed()) {
    }
}

}  // namespace

PublishResult
publish(LedgerStore& ledger, OutputStore& outputs, const Generation& generation, bool force, Deadline until) {
    if (generation.manifest.keys.empty()) {  // not in Redis: the decision made it visible
        ledger.acknowledge(generation.output_id, generation.seq, generation.run_id);
        return PublishResult::already;
    }
    auto answer = apply_all(outputs, generation, force, until);
    if (answer == Applied::no_stage) {
        const auto payload = generation.has_payload ? ledger.payload(generation) : std::nullopt;
        if (!payload) {
            return PublishResult::no_stage;
        }
        answer = outputs.apply(generation, outputs.rebuild(generation, *payload), force);
    }
    if (answer == Applied::more) {
        return PublishResult::partly;
    }
    sweep_merged(outputs, generation, until);
    if (!generation.published) {  // what Redis only had lost needs no row lock
        ledger.acknowledge(generation.output_id, generation.seq, generation.run_id);
    }
    return answer == Applied::applied ? PublishResult::applied : PublishResult::already;
}

bool publish_run(LedgerStore& ledger, OutputStore& outputs, std::string_view run_id) {
    const auto ids = ledger.unpublished(run_id);
    if (ids.empty()) {
        // Everything of it is out (or a newer run's generation is): only the run's own state is missing.
        ledger.acknowledge(0, 0, run_id);
        return true;
    }
    bool all = true;
    for (const auto id : ids) {
        const auto generation = ledger.generation(id);
        all = (!generation || publish(ledger, outputs, *generation) != PublishResult::no_stage) && all;
    }
    return all;
}

std::vector<Stale> find_stale(LedgerStore& ledger, OutputStore& outputs) {
    auto generations = ledger.generations();
    std::erase_if(generations, [](const Generation& one) {
        return one.has_expired() && one.manifest.form != pipeline::Form::merge;
    });
    const auto live = outputs.look_at(generations);
    std::vector<Stale> stale;
    for (std::size_t i = 0; i < generations.size(); ++i) {
        const auto& decided = generations[i];
        auto& seen = live[i];
        const auto there = std::pair(seen.epoch, seen.seq);
        const auto wanted = std::pair(decided.epoch, decided.seq);
        const bool same = there == wanted && seen.run_id == decided.run_id;
        if (!same || !seen.whole) {
            stale.push_back({decided, std::move(seen), same, !same && there >= wanted});
        }
    }
    return stale;
}

}  // namespace headrace::run
