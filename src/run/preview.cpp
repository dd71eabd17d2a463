#include "run/preview.hpp"

#include "base/error.hpp"
#include "base/json_text.hpp"
#include "data/json.hpp"
#include "run/column_contract.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <memory>

namespace headrace::run {
namespace {

constexpr std::uint64_t most_read = 100'000;  // rows that come to nothing: filtered or bad
constexpr std::size_t most_rejects = 20;
constexpr std::size_t most_reject_text = 400;

// Takes every bad row, so that one look shows them all.
class Collector final : public pipeline::Rejects {
public:
    explicit Collector(Preview& out) : out_(out) {}

    bool take(const data::Batch& batch, std::size_t row, std::string_view step, std::string_view why) override {
        if (keep_.empty()) {
            keep_.assign(batch.rows(), 1);
        }
        if (keep_[row] == 0) {
            return true;
        }
        keep_[row] = 0;
        ++out_.rejected;
        if (out_.rejects.size() < most_rejects) {
            data::Buffer<char> text;
            data::JsonEncoder(batch.schema()).append_object(text, batch, row);
            std::string content(data::view(text).substr(0, most_reject_text));
            while (!is_utf8(content)) {
                content.pop_back();
            }
            content += data::view(text).size() > most_reject_text ? "…" : "";
            out_.rejects.push_back({batch.source_row(row) + 1, std::string(step), std::string(why), std::move(content)}
            );
        }
        return true;
    }

    void settle(data::Batch& batch) {
        if (!keep_.empty()) {
            batch.filter(keep_.data());
            keep_.clear();
        }
    }

private:
    Preview& out_;
    std::vector<std::uint8_t> keep_;  // of the batch at hand; empty = all
};

struct Stages {
    std::vector<std::unique_ptr<pipeline::Transform>> transforms;
    std::vector<std::unique_ptr<pipeline::Check>> checks;
};

Stages make_stages(const pipeline::Registry& registry, const pipeline::Definition& definition) {
    Stages out;
    for (const auto& part : definition.transforms) {
        out.transforms.push_back(pipeline::find_type(registry.transforms(), part.type).make(part));
    }
    for (const auto& part : definition.checks) {
        out.checks.push_back(pipeline::find_type(registry.checks(), part.type).make(part));
    }
    return out;
}

// Where the next run would begin; the end is left to the source.
std::optional<pipeline::CursorRange>
next_range(const pipeline::Definition& definition, const std::optional<std::string>& watermark) {
    if (!definition.incremental) {
        return std::nullopt;
    }
    const auto& spec = *definition.incremental;
    pipeline::CursorRange range{spec.column, spec.kind, spec.start, std::nullopt};
    const auto value = watermark ? pipeline::canonical_cursor(spec.kind, *watermark) : std::nullopt;
    if (value) {
        const auto from = pipeline::cursor_minus(spec.kind, *value, spec.lag);
        range.from = pipeline::compare_cursors(spec.kind, from, spec.start) < 0 ? spec.start : from;
    }
    return range;
}

std::string judge(const pipeline::Definition& definition, const Stages& stages, std::uint64_t rows) {
    if (rows == 0 && !definition.allow_empty && !definition.incremental) {
        return "check.allow_empty: the result has no rows";
    }
    try {
        for (const auto& check : stages.checks) {
            check->verdict(rows, -1);
        }
    } catch (const Error& error) {
        return fmt::format("{}: {}", error.code(), error.message());
    }
    return {};
}

}  // namespace

Preview preview(
    const pipeline::Registry& registry,
    const pipeline::Definition& definition,
    const pipeline::Credential& credential,
    const PreviewOptions& options
) {
    Preview out;
    const auto stages = make_stages(registry, definition);
    const auto source =
        pipeline::find_type(registry.sources(), definition.source.type).make(definition.source, credential);
    out.range = next_range(definition, options.watermark);
    source->connect(
        {.stop = options.stop,
         .deadline = options.deadline,
         .run_id = "preview",
         .attempt_id = {},
         .log = options.log,
         .range = out.range,
         .first_rows = options.rows}
    );
    if (out.range) {
        source->restrict(*out.range);
    }
    out.source = source->query();
    check_contract(definition.columns, out.source);
    out.schema = out.source;
    for (const auto& transform : stages.transforms) {
        out.schema = transform->prepare(out.schema);
    }
    for (const auto& check : stages.checks) {
        check->prepare(out.schema);
    }
    out.rows.reset(out.schema);
    Collector rejects(out);
    std::uint64_t came_out = 0;
    data::Batch batch(out.source);
    while (came_out < options.rows && out.read < most_read) {
        options.stop.throw_if_stopped();
        batch.reset(out.source);
        if (!source->next(batch)) {
            out.whole = true;
            break;
        }
        batch.first_row = out.read;
        out.read += batch.rows();
        for (const auto& transform : stages.transforms) {
            out.filtered += transform->apply(batch, rejects);
            rejects.settle(batch);
        }
        for (const auto& check : stages.checks) {
            check->see(batch, rejects);
            rejects.settle(batch);
        }
        const auto more = std::min<std::size_t>(batch.rows(), options.rows - static_cast<std::size_t>(came_out));
        out.rows.append_rows(batch, 0, more);
        came_out += batch.rows();
    }
    if (out.whole) {
        out.verdict = judge(definition, stages, came_out);
    }
    return out;
}

}  // namespace headrace::run
