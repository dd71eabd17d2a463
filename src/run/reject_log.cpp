#include "run/reject_log.hpp"

#include "base/error.hpp"
#include "base/json_text.hpp"

#include <fmt/core.h>

namespace headrace::run {
namespace {

constexpr std::size_t most_content = 4096;

std::string cut(std::string_view text) {
    if (text.size() <= most_content) {
        return std::string(text);
    }
    std::string out(text.substr(0, most_content));
    while (!is_utf8(out)) {
        out.pop_back();
    }
    return out + "…";
}

std::string bound_text(const pipeline::RejectSpec& spec) {
    return spec.most_rows ? fmt::format("{}", *spec.most_rows) : fmt::format("{:.6g}%", *spec.most_share * 100);
}

}  // namespace

bool RejectLog::take(const data::Batch& batch, std::size_t row, std::string_view step, std::string_view why) {
    if (!spec_) {
        return false;
    }
    if (keep_.empty()) {
        keep_.assign(batch.rows(), 1);
    }
    if (keep_[row] == 0) {
        return true;  // for another reason already
    }
    keep_[row] = 0;
    ++count_;
    journal_.rows_rejected = count_;
    const auto number = batch.source_row(row) + 1;
    if (count_ == 1) {
        first_ = fmt::format("row {}, {}: {}", number, step, why);
        journal_.log("warn", "", fmt::format("rejected {}", first_));
    }
    if (count_ <= spec_->keep) {
        if (!encoder_ || encoded_ != batch.schema()) {
            encoder_.emplace(batch.schema());
            encoded_ = batch.schema();
        }
        text_.clear();
        encoder_->append_object(text_, batch, row);
        journal_.reject({number, std::string(step), std::string(why), cut(data::view(text_))});
    }
    if (spec_->most_rows && count_ > *spec_->most_rows) {
        judge(number);
    }
    return true;
}

void RejectLog::settle(data::Batch& batch) {
    if (!keep_.empty()) {
        batch.filter(keep_.data());
        keep_.clear();
    }
}

void RejectLog::judge(std::uint64_t rows_read) const {
    if (!spec_ || count_ == 0) {
        return;
    }
    const bool too_many = spec_->most_rows
                              ? count_ > *spec_->most_rows
                              : static_cast<double>(count_) > *spec_->most_share * static_cast<double>(rows_read);
    if (too_many) {
        throw Error(
            ErrorKind::permanent,
            "check.rejects",
            fmt::format(
                "{} of {} rows were rejected, and `on_reject.max` is {}; the first: {}",
                count_,
                rows_read,
                bound_text(*spec_),
                first_
            )
        );
    }
}

}  // namespace headrace::run
