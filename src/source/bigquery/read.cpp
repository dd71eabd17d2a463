#include "base/error.hpp"
#include "source/bigquery/bigquery.hpp"
#include "source/bigquery/config.hpp"
#include "source/bigquery/job.hpp"
#include "source/bigquery/pages.hpp"
#include "source/bigquery/range.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace headrace::source::bigquery {
namespace {

class BigQuerySource final : public pipeline::Source {
public:
    BigQuerySource(Config config, std::function<bool(const sockaddr*)> egress_check)
        : config_(std::move(config)), api_(config_, std::move(egress_check)), job_(config_, api_) {}

    void connect(const pipeline::SourceContext& context) override;
    void restrict(pipeline::CursorRange& range) override;
    data::Schema query() override;
    bool next(data::Batch& batch) override;
    pipeline::Completeness completeness() const override;

    std::uint64_t bytes_received() const override { return pages_ ? pages_->bytes_received() : 0; }

private:
    std::string largest(const pipeline::CursorRange& range);

    // Destroyed from below: the pages give their connections up before the job is cancelled.
    Config config_;
    Api api_;
    QueryJob job_;
    Result result_;
    std::optional<Pages> pages_;
    bool settled_ = false;
};

void BigQuerySource::connect(const pipeline::SourceContext& context) {
    api_.use(context);
    if (const auto few = context.first_rows; few && (config_.page_rows == 0 || *few < config_.page_rows)) {
        config_.page_rows = std::max<std::uint64_t>(*few, 1);
    }
    api_.check_token();
    if (context.log) {
        context.log(
            "info",
            fmt::format("BigQuery at {} as {}; project {} pays", config_.base_url, config_.key.who(), config_.project)
        );
    }
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
    return schema_of(result_.columns);
}

bool BigQuerySource::next(data::Batch& batch) {
    batch.first_row = pages_->rows();
    if (pages_->next(batch)) {
        return true;
    }
    if (!std::exchange(settled_, true)) {
        job_.settle();
    }
    return false;
}

pipeline::Completeness BigQuerySource::completeness() const {
    return {
        fmt::format(
            "{} rows are all of `totalRows`, {} pages of the same job and columns, none twice, no page token left",
            pages_->rows(),
            pages_->pages()
        ),
        pages_->rows(),
        bytes_received()};
}

}  // namespace

pipeline::SourceType type(std::function<bool(const sockaddr*)> egress_check) {
    pipeline::SourceType out;
    out.name = "bigquery";
    out.help = "Reads the result of one query from BigQuery over REST.";
    out.options = option_specs();
    out.needs_credential = true;
    out.incremental = true;
    out.make = [egress_check = std::move(egress_check)](
                   const pipeline::Part& part, const pipeline::Credential& credential
               ) { return std::make_unique<BigQuerySource>(make_config(part, credential), egress_check); };
    return out;
}

}  // namespace headrace::source::bigquery
