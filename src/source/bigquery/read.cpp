#include "source/bigquery/bigquery.hpp"
#include "source/bigquery/config.hpp"
#include "source/bigquery/job.hpp"
#include "source/bigquery/pages.hpp"

#include <fmt/core.h>

#include <memory>
#include <optional>
#include <utility>

namespace headrace::source::bigquery {
namespace {

class BigQuerySource final : public pipeline::Source {
public:
    BigQuerySource(Config config, std::function<bool(const sockaddr*)> egress_check)
        : config_(std::move(config)), api_(config_, std::move(egress_check)), job_(config_, api_) {}

    ~BigQuerySource() override {
        pages_.reset();
        job_.cancel();
    }

    void connect(const pipeline::SourceContext& context) override;
    data::Schema query() override;
    bool next(data::Batch& batch) override;
    pipeline::Completeness completeness() const override;

    std::uint64_t bytes_received() const override { return pages_ ? pages_->bytes_received() : 0; }

private:
    Config config_;
    Api api_;
    QueryJob job_;
    Result result_;
    std::optional<Pages> pages_;
    bool settled_ = false;
};

void BigQuerySource::connect(const pipeline::SourceContext& context) {
    api_.use(context);
    api_.check_token();
    if (context.log) {
        context.log(
            "info",
            fmt::format("BigQuery at {} as {}; project {} pays", config_.base_url, config_.key.who(), config_.project)
        );
    }
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
    out.make = [egress_check = std::move(egress_check)](
                   const pipeline::Part& part, const pipeline::Credential& credential
               ) { return std::make_unique<BigQuerySource>(make_config(part, credential), egress_check); };
    return out;
}

}  // namespace headrace::source::bigquery
