#include "run/attempt.hpp"

#include "base/killpoint.hpp"
#include "base/units.hpp"
#include "run/column_contract.hpp"
#include "run/reject_log.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::run {
namespace {

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

}  // namespace

std::vector<OutputSpec> output_specs(const pipeline::Registry& registry, const pipeline::Definition& definition) {
    std::vector<OutputSpec> specs;
    for (const auto& part : definition.sinks) {
        specs.push_back({pipeline::find_type(registry.sinks(), part.type).output_name(definition, part), part.type});
    }
    return specs;
}

Attempt::Attempt(
    Services& services,
    const RunHead& head,
    const pipeline::Definition& definition,
    const Claim& claim,
    Journal& journal,
    StopSource stop,
    Deadline deadline
)
    : services_(services),
      head_(head),
      definition_(definition),
      claim_(claim),
      journal_(journal),
      stop_(std::move(stop)),
      deadline_(deadline) {}

Attempt::~Attempt() {
    if (keep_) {
        return;
    }
    for (const auto& sink : sinks_) {
        sink->discard();
    }
}

void Attempt::log(std::string_view level, std::string_view step, std::string message) {
    journal_.log(level, step, std::move(message));
}

Sealed Attempt::run() {
    log("info",
        "",
        fmt::format(
            "attempt {} by {}: try {} of {}",
            claim_.attempt,
            services_.keeper.identity().name,
            claim_.tries,
            head_.max_attempts
        ));
    journal_.begin("resolve");
    resolve();
    journal_.done("resolve", 0, 0);
    read_and_stage();
    judge();
    return seal();
}

void Attempt::resolve() {
    if (!definition_.source.credential.empty()) {
        source_credential_ = services_.credential(definition_.source.credential);
        services_.redactor->add(source_credential_.secret);
    }
    for (const auto& part : definition_.transforms) {
        transforms_.push_back(pipeline::find_type(services_.registry.transforms(), part.type).make(part));
    }
    for (const auto& part : definition_.checks) {
        checks_.push_back(pipeline::find_type(services_.registry.checks(), part.type).make(part));
    }
    for (const auto& part : definition_.sinks) {
        const auto& type = pipeline::find_type(services_.registry.sinks(), part.type);
        if (part.credential.empty()) {
            sinks_.push_back(type.make(definition_, part, nullptr));
        } else {
            const auto credential = services_.credential(part.credential);
            services_.redactor->add(credential.secret);
            sinks_.push_back(type.make(definition_, part, &credential));
        }
    }
}

void Attempt::read_and_stage() {
    const auto& source_type = pipeline::find_type(services_.registry.sources(), definition_.source.type);
    read_range_ = plan_read(definition_, head_, claim_);
    const pipeline::SourceContext context{
        .stop = stop_.token(),
        .deadline = deadline_,
        .run_id = head_.run_id,
        .attempt_id = claim_.attempt_id,
        .log = [this](
                   std::string_view level, std::string message
               ) { log(level, journal_.running_step(), std::move(message)); },
        .range = read_range_ ? std::make_optional(read_range_->range) : std::nullopt};
    ReadAhead source(
        [&] { return source_type.make(definition_.source, source_credential_); }, context, stop_, journal_
    );

    auto schema = source.schema();
    check_contract(definition_.columns, schema);
    watch_cursor(source, schema);
    for (const auto& transform : transforms_) {
        schema = transform->prepare(schema);
    }
    for (const auto& check : checks_) {
        check->prepare(schema);
    }
    for (std::size_t i = 0; i < sinks_.size(); ++i) {
        sinks_[i]->open(
            {.stop = stop_.token(),
             .deadline = deadline_,
             .pipeline = definition_.name,
             .run_id = head_.run_id,
             .attempt_id = claim_.attempt_id,
             .output_id = std::to_string(claim_.outputs.at(i).id),
             .previous_bytes = static_cast<std::uint64_t>(claim_.outputs.at(i).previous_bytes),
             .log = [this](std::string_view level, std::string message) { log(level, "stage", std::move(message)); }},
            schema
        );
    }
    for (const auto* step : {"transform", "check", "stage"}) {
        journal_.begin(step);
    }
    auto reject_spec = definition_.on_reject;
    if (reject_spec && head_.forced) {
        reject_spec = pipeline::RejectSpec{.keep = reject_spec->keep, .most_rows = std::nullopt, .most_share = 1.0};
    }
    RejectLog rejects(reject_spec, journal_);
    BusyTime transforming;
    BusyTime checking;
    BusyTime staging;
    data::Batch batch;
    while (source.next(batch)) {
        if (cursor_) {
            cursor_->see(batch.column(cursor_column_), batch.first_row);
        }
        transforming.measure([&] {
            for (const auto& transform : transforms_) {
                journal_.rows_filtered += transform->apply(batch, rejects);
                rejects.settle(batch);
            }
        });
        HEADRACE_POINT("K5");
        checking.measure([&] {
            for (const auto& check : checks_) {
                check->see(batch, rejects);
                rejects.settle(batch);
            }
        });
        staging.measure([&] {
            for (const auto& sink : sinks_) {
                sink->stage(batch);
            }
        });
        rows_out_ += batch.rows();
        journal_.rows_written = rows_out_;
        std::uint64_t bytes = 0;
        for (const auto& sink : sinks_) {
            bytes += sink->bytes_staged();
        }
        journal_.bytes_written = bytes;
    }
    const auto rows_in = source.completeness().rows;
    if (rows_in != rows_out_ + rejects.count() + journal_.rows_filtered) {
        throw Error(
            ErrorKind::permanent,
            "internal.bug",
            fmt::format(
                "the account of the rows does not close: {} read, {} written, {} rejected, {} filtered",
                rows_in,
                rows_out_,
                rejects.count(),
                journal_.rows_filtered.load()
            )
        );
    }
    rejects.judge(rows_in);
    proof_ = source.completeness().proof;
    log("info", "read", fmt::format("read {} rows, complete: {}", source.completeness().rows, proof_));
    journal_.done("transform", rows_out_, 0, transforming.text());
    journal_.done("check", rows_out_, 0, checking.text());
    journal_.done("stage", rows_out_, journal_.bytes_written, staging.text());
}

void Attempt::watch_cursor(const ReadAhead& source, const data::Schema& schema) {
    if (!read_range_) {
        return;
    }
    const auto& range = source.range().value();
    const auto at = schema.index_of(range.column);
    if (!at || pipeline::cursor_kind_of(schema.fields[*at].kind) != range.kind) {
        throw Error(
            ErrorKind::permanent,
            "source.cursor",
            !at ? fmt::format("the cursor column `{}` does not come", range.column)
                : fmt::format(
                      "the cursor column `{}` is {}, and `incremental.start` is {}",
                      range.column,
                      data::to_string(schema.fields[*at].kind),
                      pipeline::to_string(range.kind)
                  )
        );
    }
    cursor_column_ = *at;
    cursor_.emplace(range);
    log("info",
        "query",
        fmt::format("{} {} to {}: {}", range.column, range.from, range.to.value_or("the end"), read_range_->why));
}

// The guards. A forced run passes them by the will of a person, which the history shows.
void Attempt::judge() {
    if (head_.forced) {
        log("warn", "check", "forced: the guards do not apply");
        return;
    }
    if (rows_out_ == 0 && !definition_.allow_empty && !definition_.incremental) {
        throw Error(ErrorKind::permanent, "check.allow_empty", "the result has no rows; the last good output stays");
    }
    std::int64_t previous = -1;
    for (const auto& output : claim_.outputs) {
        previous = std::max(previous, output.previous_rows);
    }
    for (const auto& check : checks_) {
        check->verdict(rows_out_, previous);
    }
}

Sealed Attempt::seal() {
    journal_.begin("commit");
    Sealed sealed{.outputs = {}, .proof = proof_, .cursor = std::nullopt};
    if (cursor_) {
        sealed.cursor = CursorReached{cursor_->range(), cursor_->largest(), read_range_->advances};
    }
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < sinks_.size(); ++i) {
        sealed.outputs.push_back({claim_.outputs.at(i).id, sinks_[i]->seal()});
        bytes += sealed.outputs.back().manifest.bytes;
    }
    journal_.bytes_written = bytes;
    std::sort(sealed.outputs.begin(), sealed.outputs.end(), [](const auto& a, const auto& b) {
        return a.output_id < b.output_id;
    });
    return sealed;
}

}  // namespace headrace::run
