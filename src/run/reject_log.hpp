// The rejects of one attempt: counts them, takes them out of the batch, keeps the first in the journal, and says at the
// end whether there were too many. Used on the thread that stages.
#pragma once

#include "data/json.hpp"
#include "pipeline/rejects.hpp"
#include "run/journal.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace headrace::run {

class RejectLog final : public pipeline::Rejects {
public:
    // Without a spec nothing may be rejected.
    // Counts on from what the journal has.
    RejectLog(std::optional<pipeline::RejectSpec> spec, Journal& journal)
        : spec_(std::move(spec)), journal_(journal), count_(journal.rows_rejected) {}

    bool take(const data::Batch& batch, std::size_t row, std::string_view step, std::string_view why) override;

    // After each step: the rows that it gave leave the batch.
    void settle(data::Batch& batch);

    // Throws check.rejects when more rows were bad than `on_reject.max` allows, of `rows_read`.
    void judge(std::uint64_t rows_read) const;

    std::uint64_t count() const { return count_; }

private:
    std::optional<pipeline::RejectSpec> spec_;
    Journal& journal_;
    std::vector<std::uint8_t> keep_;  // of the batch at hand; empty = all
    std::optional<data::JsonEncoder> encoder_;
    data::Schema encoded_;
    data::Buffer<char> text_;
    std::uint64_t count_ = 0;
    std::string first_ = "in an earlier attempt";  // the first one's place and reason
};

}  // namespace headrace::run
