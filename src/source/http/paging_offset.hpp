// Paging by position, and the account that every kind of paging keeps. Private to http.
#pragma once

#include "source/http/paging.hpp"

#include <unordered_set>

namespace headrace::source::http {

// Pages, rows and totals that were seen.
class Tally {
public:
    explicit Tally(const PagingPlan& plan) : plan_(plan) {}

    void add(const PageFacts& facts);
    void finish() const;
    bool met() const;                               // as many rows as the total, which can be trusted
    bool nearly_met(std::int64_t page_rows) const;  // with one more page of so many rows
    std::string proof() const;

    std::uint64_t pages() const { return pages_; }

    std::uint64_t rows() const { return rows_; }

private:
    const PagingPlan& plan_;
    std::uint64_t pages_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t rows_ = 0;
    std::optional<std::uint64_t> total_;
    std::optional<std::uint64_t> hint_;
    std::unordered_set<std::uint64_t> seen_;
    int idle_pages_ = 0;  // in a row, of known rows only
};

void add_size(const PagingPlan& plan, Ask& out);
[[noreturn]] void incomplete(const std::string& what, const Tally& tally);

// Rows from a position on, until there are none. The position moves by what was received, not by what was asked for: a
// service may give less. Where rows have a key, the list may change while it is read: each page begins with rows that
// were read already (overlap), which shows that nothing slipped out between two pages; where it did, the list is read
// again from its beginning, rows that are known being dropped. At the end an empty page is asked for twice, and the
// first page once more: it must begin as it did.
class Offset final : public Paging {
public:
    explicit Offset(const PagingPlan& plan) : plan_(plan), tally_(plan), next_(plan.first) {}

    std::optional<Ask> next() override;
    std::optional<Ask> guess() const override;  // takes the page for a full one
    void done(const PageFacts& facts) override;
    void refused(int status) override;
    std::string proof() const override;

    int pass() const override { return pass_; }

private:
    enum class Phase { reading, confirming, checking, probing, over };

    std::int64_t overlap() const;
    std::int64_t start() const;
    Ask ask(std::int64_t from) const;
    void read(const PageFacts& facts);
    void empty_page(bool overlapped);
    void check(const PageFacts& facts);
    void again(std::string why);
    void end_of_list();
    void finish();

    const PagingPlan& plan_;
    Tally tally_;
    Phase phase_ = Phase::reading;
    std::int64_t next_;     // behind the last row that was received
    bool straight_ = true;  // this request has no overlap
    int pass_ = 1;
    std::int64_t largest_page_ = 0;         // of this pass
    bool short_ = false;                    // the last page was smaller than others: the end is near
    int contradictions_ = 0;                // rows behind an empty page
    int idle_pages_ = 0;                    // in a row, that brought nothing new
    int small_pages_ = 0;                   // in a row, much smaller than the largest
    std::vector<std::int64_t> first_keys_;  // of the first page of this pass
    bool any_page_ = false;                 // in this pass
};

}  // namespace headrace::source::http
