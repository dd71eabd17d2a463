#include "base/error.hpp"
#include "source/bigquery/bigquery.hpp"
#include "source/bigquery/config.hpp"
#include "source/bigquery/job.hpp"
#include "source/bigquery/pages.hpp"
#include "source/bigquery/range.hpp"
#include "source/bigquery/storage/streams.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

namespace headrace::source::bigquery {
namespace {

class BigQuerySource final : public pipeline::Source {
public:
    BigQuerySource(Config config, std::function<bool(const sockaddr*)> egress_check)
        : config_(std::move(config)),
          egress_check_(egress_check),
          api_(config_, std::move(egress_check)),
          job_(config_, api_) {}

    void connect(const pipeline::SourceContext& context) override;
    void restrict(pipeline::CursorRange& range) override;
    data::Schema query() override;
    bool next(data::Batch& batch) override;
    pipeline::Completeness completeness() const override;

    std::uint64_t bytes_received() const override { return bytes_.load(std::memory_order_relaxed); }

private:
    std::string largest(const pipeline::CursorRange& range);
    bool wants_storage();
    void open_streams();
    bool read(data::Batch& batch);
    void fall_back(const Error& error);
    void say(std::string_view level, std::string message) const;

    // Destroyed from below: streams and pages give their connections up before the job is cancelled.
    Config config_;
    std::function<bool(const sockaddr*)> egress_check_;
    Api api_;
    QueryJob job_;
    Result result_;
    std::optional<Pages> pages_;  // one of these two reads
    std::optional<storage::Streams> streams_;
    std::string why_rest_;  // where Storage Read would have been the choice
    std::uint64_t given_ = 0;
    bool settled_ = false;
    std::atomic<std::uint64_t> bytes_{0};
};

void BigQuerySource::say(std::string_view level, std::string message) const {
    if (api_.context().log) {
        api_.context().log(level, std::move(message));
    }
}

void BigQuerySource::connect(const pipeline::SourceContext& context) {
    api_.use(context);
    if (const auto few = context.first_rows; few && (config_.page_rows == 0 || *few < config_.page_rows)) {
        config_.page_rows = std::max<std::uint64_t>(*few, 1);
    }
    api_.check_token();
    say("info",
        fmt::format("BigQuery at {} as {}; project {} pays", config_.base_url, config_.key.who(), config_.project));
}

void BigQuerySource::restrict(pipeline::CursorRange& range) {
    if (!range.to) {
        const auto found = largest(range);
        range.to = found.empty() ? range.from : found;
    }
    config_ = range_query(std::move(config_), range);
}

// "" when no row has a value at or after `from`.
std::string BigQuerySource::largest(const pipeline::CursorRange& range) {
    const auto config = largest_query(config_, range);
    QueryJob job(config, api_, "end-");
    const auto result = job.run();
    const auto schema = schema_of(result.columns);
    if (schema.fields.size() != 1 || pipeline::cursor_kind_of(schema.fields[0].kind) != range.kind) {
        throw Error(
            ErrorKind::permanent,
            "source.cursor",
            fmt::format(
                "the cursor column `{}` is {}, and `incremental.start` is {}",
                range.column,
                schema.fields.empty() ? "missing" : data::to_string(schema.fields[0].kind),
                pipeline::to_string(range.kind)
            )
        )
            .with_hint("A cursor is an INT64, a DATE, a TIMESTAMP or a STRING, and `start` a value of its kind.");
    }
    Pages pages(config, api_, job.name(), result);
    data::Batch answer(schema);
    return pages.next(answer) && !answer.column(0).is_null(0) ? pipeline::cursor_value(answer.column(0), 0) : "";
}

data::Schema BigQuerySource::query() {
    if (config_.dry_run) {
        job_.estimate();
    }
    result_ = job_.run();
    pages_.emplace(config_, api_, job_.name(), result_);
    if (wants_storage()) {
        try {
            open_streams();
        } catch (const Error& error) {
            fall_back(error);
        }
    }
    return schema_of(result_.columns);
}

// A session costs a second or two, and a page of REST holds ten megabytes: what fits on one page is read from it.
bool BigQuerySource::wants_storage() {
    if (api_.context().first_rows) {
        return false;
    }
    if (config_.read != ReadBy::choice) {
        return config_.read == ReadBy::storage;
    }
    if (result_.rows == 0 || (config_.storage_url.empty() && config_.no_storage.empty()) || !pages_->more_than_one()) {
        return false;
    }
    if (config_.storage_url.empty()) {
        why_rest_ = config_.no_storage;
        say("info", "Storage Read would be the faster way for this result, but " + why_rest_);
    }
    return why_rest_.empty();
}

void BigQuerySource::open_streams() {
    const auto table = job_.destination();
    if (table.table.empty()) {
        throw Error(ErrorKind::permanent, "source.unsupported", "BigQuery does not say in which table the result is");
    }
    auto open = storage::open_session(config_, api_, table, egress_check_);
    streams_.emplace(config_, api_, result_, std::move(open));
    pages_.reset();
    say("info",
        fmt::format("{} rows by Storage Read at {}, {} streams", result_.rows, config_.storage_url, streams_->count()));
}

// With `read: auto`, as long as no row was given out.
void BigQuerySource::fall_back(const Error& error) {
    const bool may = config_.read == ReadBy::choice && given_ == 0 && error.kind() != ErrorKind::cancelled &&
                     error.kind() != ErrorKind::bug && !api_.context().deadline.passed();
    if (!may) {
        throw Error(error);
    }
    why_rest_ = error.message();
    say("warn", fmt::format("reading by REST, because Storage Read does not work: {} {}", why_rest_, error.hint()));
    streams_.reset();
    if (!pages_) {
        pages_.emplace(config_, api_, job_.name(), result_);
    }
}

bool BigQuerySource::read(data::Batch& batch) {
    if (streams_) {
        try {
            return streams_->next(batch);
        } catch (const Error& error) {
            fall_back(error);
            batch.clear();
        }
    }
    return pages_->next(batch);
}

bool BigQuerySource::next(data::Batch& batch) {
    batch.first_row = given_;
    const bool more = read(batch);
    given_ += batch.rows();
    bytes_.store(streams_ ? streams_->bytes_received() : pages_->bytes_received(), std::memory_order_relaxed);
    if (!more && !std::exchange(settled_, true)) {
        job_.settle();
    }
    return more;
}

pipeline::Completeness BigQuerySource::completeness() const {
    if (streams_) {
        return {
            fmt::format(
                "{} rows are all of `totalRows`, by Storage Read: each of {} streams came to its end{}",
                given_,
                streams_->count(),
                streams_->resumed() == 0 ? std::string() : fmt::format(", {} times resumed", streams_->resumed())
            ),
            given_,
            bytes_received()};
    }
    return {
        fmt::format(
            "{} rows are all of `totalRows`, {} pages of the same job and columns, none twice, no page token left{}",
            given_,
            pages_->pages(),
            why_rest_.empty() ? std::string() : fmt::format("; by REST: {}", why_rest_)
        ),
        given_,
        bytes_received()};
}

}  // namespace

pipeline::SourceType type(std::function<bool(const sockaddr*)> egress_check) {
    pipeline::SourceType out;
    out.name = "bigquery";
    out.help = "Reads the result of one query from BigQuery, over REST or by the Storage Read API.";
    out.options = option_specs();
    out.needs_credential = true;
    out.incremental = true;
    out.make = [egress_check = std::move(egress_check)](
                   const pipeline::Part& part, const pipeline::Credential& credential
               ) { return std::make_unique<BigQuerySource>(make_config(part, credential), egress_check); };
    return out;
}

}  // namespace headrace::source::bigquery
