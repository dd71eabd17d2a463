#include "run/attempt.hpp"

#include "base/killpoint.hpp"
#include "run/column_contract.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::run {
namespace {

constexpr std::uint64_t most_chunk_bytes = 256u << 20;  // a chunk ends, however few its rows are

// What the chunks hold of one output.
std::vector<pipeline::StagedChunk> staged_before(const std::vector<Chunk>& chunks, std::int64_t output_id) {
    std::vector<pipeline::StagedChunk> staged;
    for (const auto& chunk : chunks) {
        for (const auto& part : chunk.parts) {
            if (part.output_id == output_id) {
                staged.push_back(part.rows);
            }
        }
    }
    return staged;
}

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

// What earlier attempts of the run put away counts as done; the rest is read.
void Attempt::plan() {
    if (!can_go_on(services_.registry, definition_)) {
        claim_.chunks.clear();
    }
    read_range_ = plan_read(definition_, head_, claim_);
    if (claim_.chunks.empty()) {
        return;
    }
    const auto& before = claim_.chunks.back().counters;
    journal_.rows_read = before.rows_read;
    journal_.rows_written = before.rows_written;
    journal_.rows_rejected = before.rows_rejected;
    journal_.rows_filtered = before.rows_filtered;
    journal_.bytes_read = before.bytes_read;
    rows_before_ = before.rows_read;
    rows_out_ = before.rows_written;
}

void Attempt::read_and_stage() {
    const auto& source_type = pipeline::find_type(services_.registry.sources(), definition_.source.type);
    plan();
    const pipeline::SourceContext context{
        .stop = stop_.token(),
        .deadline = deadline_,
        .run_id = head_.run_id,
        .attempt_id = claim_.attempt_id,
        .log = [this](
                   std::string_view level, std::string message
               ) { log(level, journal_.running_step(), std::move(message)); },
        .range = read_range_ ? std::make_optional(read_range_->rest()) : std::nullopt};
    ReadAhead source(
        [&] { return source_type.make(definition_.source, source_credential_); }, context, stop_, journal_
    );
    const auto schema = source.schema();
    check_contract(definition_.columns, schema);
    watch_cursor(source, schema);
    open_stages(schema);
    data::Batch batch;
    while (source.next(batch)) {
        if (const auto row = chunk_end(batch)) {
            data::Batch head(schema);
            head.append_rows(batch, 0, *row);
            head.first_row = batch.first_row;
            pass(head);
            close_chunk(batch.first_row + *row);
            data::Batch rest(schema);
            rest.append_rows(batch, *row, batch.rows());
            rest.first_row = batch.first_row + *row;
            batch = std::move(rest);
        }
        pass(batch);
    }
    close_account(source.completeness());
}

void Attempt::open_stages(data::Schema schema) {
    for (const auto& transform : transforms_) {
        schema = transform->prepare(schema);
    }
    for (const auto& check : checks_) {
        check->prepare(schema);
    }
    for (std::size_t i = 0; i < sinks_.size(); ++i) {
        const auto& output = claim_.outputs.at(i);
        sinks_[i]->open(
            {.stop = stop_.token(),
             .deadline = deadline_,
             .pipeline = definition_.name,
             .run_id = head_.run_id,
             .attempt_id = claim_.attempt_id,
             .output_id = std::to_string(output.id),
             .previous_bytes = static_cast<std::uint64_t>(output.previous_bytes),
             .log = [this](std::string_view level, std::string message) { log(level, "stage", std::move(message)); },
             .chunks = staged_before(claim_.chunks, output.id)},
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
    rejects_.emplace(reject_spec, journal_);
}

// The straight line of one batch.
void Attempt::pass(data::Batch& batch) {
    if (batch.rows() == 0) {
        return;
    }
    if (cursor_) {
        cursor_->see(batch.column(cursor_column_), batch.first_row);
    }
    transforming_.measure([&] {
        for (const auto& transform : transforms_) {
            journal_.rows_filtered += transform->apply(batch, *rejects_);
            rejects_->settle(batch);
        }
    });
    HEADRACE_POINT("K5");
    checking_.measure([&] {
        for (const auto& check : checks_) {
            check->see(batch, *rejects_);
            rejects_->settle(batch);
        }
    });
    staging_.measure([&] {
        for (const auto& sink : sinks_) {
            sink->stage(batch);
        }
    });
    rows_out_ += batch.rows();
    journal_.rows_written = rows_out_;
    journal_.bytes_written = bytes_staged();
}

std::uint64_t Attempt::bytes_staged() const {
    std::uint64_t bytes = 0;
    for (const auto& sink : sinks_) {
        bytes += sink->bytes_staged();
    }
    return bytes;
}

// The row of `batch` before which a chunk ends: where the cursor takes its last value, once there is enough.
std::optional<std::size_t> Attempt::chunk_end(const data::Batch& batch) const {
    if (!chunks_ || (batch.first_row + batch.rows() < chunk_start_ + definition_.incremental->chunk_rows &&
                     bytes_staged() < chunk_start_bytes_ + most_chunk_bytes)) {
        return std::nullopt;
    }
    const auto& column = batch.column(cursor_column_);
    const auto row = pipeline::begin_of_last_value(column);
    const bool none_before = batch.first_row == chunk_start_;
    if (row == 0 && (none_before || column.is_null(0) || pipeline::cursor_value(column, 0) == cursor_->largest())) {
        return std::nullopt;
    }
    return row;
}

// All rows up to the last value that was seen, `rows_in` of them, are staged: they need not be read again.
void Attempt::close_chunk(std::uint64_t rows_in) {
    if (rejects_->count() > rejects_told_ && !services_.journal.flush()) {
        return;  // the rejected rows belong to the chunk: Postgres does not take them now
    }
    rejects_told_ = rejects_->count();
    auto counters = journal_.counters();
    counters.rows_read = rows_in;  // the source is ahead
    Chunk chunk{
        .number = 0,
        .from = read_range_->range.from,
        .to = read_range_->range.to.value(),
        .through = cursor_->largest(),
        .counters = counters,
        .parts = {}};
    for (std::size_t i = 0; i < sinks_.size(); ++i) {
        chunk.parts.push_back({claim_.outputs.at(i).id, sinks_[i]->close_chunk()});
    }
    chunks_->add(chunk);
    cursor_->go_behind(chunk.through);
    chunk_start_ = rows_in;
    chunk_start_bytes_ = bytes_staged();
    log("info",
        "stage",
        fmt::format("chunk {}: {} rows up to {} need not be read again", chunk.number, rows_in, chunk.through));
}

void Attempt::close_account(const pipeline::Completeness& read) {
    const auto rows_in = rows_before_ + read.rows;
    if (rows_in != rows_out_ + rejects_->count() + journal_.rows_filtered) {
        throw Error(
            ErrorKind::permanent,
            "internal.bug",
            fmt::format(
                "the account of the rows does not close: {} read, {} written, {} rejected, {} filtered",
                rows_in,
                rows_out_,
                rejects_->count(),
                journal_.rows_filtered.load()
            )
        );
    }
    rejects_->judge(rows_in);
    proof_ = claim_.chunks.empty()
                 ? read.proof
                 : fmt::format(
                       "{} rows in {} chunks of earlier attempts; {}", rows_before_, claim_.chunks.size(), read.proof
                   );
    log("info", "read", fmt::format("read {} rows, complete: {}", rows_in, proof_));
    journal_.done("transform", rows_out_, 0, transforming_.text());
    journal_.done("check", rows_out_, 0, checking_.text());
    journal_.done("stage", rows_out_, journal_.bytes_written, staging_.text());
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
    if (read_range_->through) {
        cursor_->go_behind(*read_range_->through);
    }
    auto& whole = read_range_->range;
    whole.to = range.to;
    log("info",
        "query",
        fmt::format("{} {} to {}: {}", whole.column, whole.from, whole.to.value_or("the end"), read_range_->why));
    if (source.in_order() && whole.to && can_go_on(services_.registry, definition_)) {
        chunks_.emplace(services_.ledger, head_.run_id, claim_.attempt_id, claim_.chunks.size());
        chunk_start_ = rows_before_;
    }
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
        sealed.cursor = CursorReached{read_range_->range, cursor_->largest(), read_range_->advances};
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
