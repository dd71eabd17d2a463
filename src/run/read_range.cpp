#include "run/read_range.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::run {
namespace {

using pipeline::IncrementalSpec;

std::string end_of_backfill(const IncrementalSpec& spec, const std::string& text) {
    auto value = pipeline::canonical_cursor(spec.kind, text);
    if (!value) {
        throw Error(
            ErrorKind::invalid,
            "run.range",
            fmt::format(
                "`{}` is no {}, which the cursor `{}` now is", text, pipeline::to_string(spec.kind), spec.column
            )
        );
    }
    return std::move(*value);
}

// The stored watermark, if it is one of this cursor: the definition may have changed.
std::optional<std::string> usable(const IncrementalSpec& spec, const std::optional<Watermark>& watermark) {
    if (!watermark || watermark->column != spec.column) {
        return std::nullopt;
    }
    return pipeline::canonical_cursor(spec.kind, watermark->value);
}

}  // namespace

std::optional<ReadRange> plan_read(const pipeline::Definition& definition, const RunHead& head, const Claim& claim) {
    if (!definition.incremental) {
        return std::nullopt;
    }
    const auto& spec = *definition.incremental;
    ReadRange out{{spec.column, spec.kind, spec.start, std::nullopt}, true, "from `start`", std::nullopt};
    const auto watermark = usable(spec, claim.watermark);
    if (head.backfill) {
        out.range.from = end_of_backfill(spec, head.backfill->from);
        out.range.to = end_of_backfill(spec, head.backfill->to);
        out.advances = false;
        out.why = "a backfill; the watermark stays";
    } else if (head.trigger == "republish") {
        out.range.to = watermark;
        out.advances = false;
        out.why = "from `start` to the watermark: Redis lost rows";
    } else if (!watermark) {
        out.why = claim.watermark ? fmt::format("from `start`: the watermark is one of `{}`", claim.watermark->column)
                                  : "from `start`: the first run";
    } else if (std::any_of(claim.outputs.begin(), claim.outputs.end(), [](const Output& output) {
                   return output.previous_rows < 0;
               })) {
        out.why = "from `start`: an output is new";
    } else {
        const auto from = pipeline::cursor_minus(spec.kind, *watermark, spec.lag);
        out.range.from = pipeline::compare_cursors(spec.kind, from, spec.start) < 0 ? spec.start : from;
        out.why = fmt::format("from the watermark {}{}", *watermark, spec.lag > 0 ? " less the lag" : "");
    }
    if (!claim.chunks.empty()) {
        const auto& last = claim.chunks.back();
        out.range.from = last.from;
        out.range.to = last.to;
        out.through = last.through;
        out.why += fmt::format("; read up to {} by earlier attempts", last.through);
    }
    return out;
}

pipeline::CursorRange ReadRange::rest() const {
    auto rest = range;
    if (through) {
        rest.from = *through;
        rest.behind_from = true;
    }
    return rest;
}

}  // namespace headrace::run
