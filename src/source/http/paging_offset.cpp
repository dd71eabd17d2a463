#include "source/http/paging_offset.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::source::http {
namespace {

constexpr int most_passes = 4;
constexpr int most_contradictions = 3;
constexpr int most_idle_pages = 3;
constexpr int most_small_pages = 20;

}  // namespace

// A service that gives less than it was asked for must have room for new rows.
std::int64_t Offset::overlap() const {
    return std::min(plan_.overlap, largest_page_ / 2);
}

std::int64_t Offset::start() const {
    return straight_ ? next_ : std::max(plan_.first, next_ - overlap());
}

std::optional<Ask> Offset::next() {
    if (phase_ == Phase::over) {
        return std::nullopt;
    }
    straight_ = phase_ != Phase::reading || overlap() == 0;
    std::int64_t from = start();
    if (phase_ == Phase::checking) {
        from = plan_.first;
    } else if (phase_ == Phase::probing) {
        from = plan_.first - 1;
    }
    return ask(from);
}

Ask Offset::ask(std::int64_t from) const {
    Ask out;
    out.query.emplace_back(plan_.position, std::to_string(from));
    out.placeholders.emplace_back("@offset", std::to_string(from));
    auto plan = plan_;
    plan.page_rows = phase_ == Phase::probing ? 1 : plan.page_rows;
    add_size(plan, out);
    out.what = fmt::format("the rows from {}", from);
    out.optional = phase_ == Phase::probing;
    return out;
}

std::optional<Ask> Offset::guess() const {
    const auto rows = largest_page_ > 0 ? largest_page_ : plan_.page_rows;
    if (phase_ != Phase::reading || short_ || rows == 0 || tally_.nearly_met(rows)) {
        return std::nullopt;
    }
    return ask(start() + rows - std::min(plan_.overlap, rows / 2));
}

void Offset::done(const PageFacts& facts) {
    tally_.add(facts);
    switch (phase_) {
        case Phase::reading:
        case Phase::confirming:
            read(facts);
            break;
        case Phase::probing:
            if (facts.fresh > 0) {
                incomplete(
                    fmt::format("shows a row before the first: positions begin at {} here", plan_.first - 1), tally_
                );
            }
            finish();
            break;
        case Phase::checking:
            check(facts);
            break;
        case Phase::over:
            break;
    }
}

// Of the probe: there is nothing before the first row.
void Offset::refused(int) {
    finish();
}

void Offset::finish() {
    tally_.finish();
    phase_ = Phase::over;
}

void Offset::read(const PageFacts& facts) {
    if (facts.rows == 0) {
        empty_page(!straight_);
        return;
    }
    if (phase_ == Phase::confirming) {
        phase_ = Phase::reading;
        remark_ = "an empty page came, and then rows behind it";
        if (++contradictions_ > most_contradictions) {
            incomplete("has rows where there were none just now: the list still grows, or pages come and go", tally_);
        }
        if (plan_.keyed && overlap() > 0) {
            return;  // asked for again, tied to the rows before
        }
    }
    if (!straight_ && !facts.first_seen) {
        again("rows moved by more than the overlap between two pages");
        return;
    }
    if (!any_page_) {
        first_keys_ = facts.keys;
    }
    const auto rows = static_cast<std::int64_t>(facts.rows);
    const auto from = start();  // before the largest page changes it
    const bool only_overlap = !straight_ && rows <= overlap();
    any_page_ = true;
    largest_page_ = std::max(largest_page_, rows);
    short_ = rows < largest_page_;
    next_ = std::max(next_, from + rows);
    small_pages_ = 2 * rows < largest_page_ ? small_pages_ + 1 : 0;
    if (small_pages_ > most_small_pages) {
        incomplete("is small as those before it: the list grows as fast as it is read", tally_);
    }
    if (!plan_.keyed) {
        if (tally_.met()) {
            end_of_list();
        }
    } else if (facts.fresh_in_pass > 0) {
        idle_pages_ = 0;
    } else if (only_overlap) {
        phase_ = Phase::confirming;
    } else if (++idle_pages_ > most_idle_pages) {
        incomplete("brings nothing but rows that were read already: is the position ignored?", tally_);
    }
}

void Offset::empty_page(bool overlapped) {
    if (overlapped) {
        again("the list became shorter than what was read of it");
    } else if (phase_ == Phase::confirming) {
        end_of_list();
    } else {
        phase_ = Phase::confirming;
    }
}

void Offset::end_of_list() {
    if (!any_page_ && tally_.rows() > 0) {
        again("there is nothing at the beginning of the list any more");
        return;
    }
    if (!plan_.keyed || !any_page_) {
        finish();
        return;
    }
    phase_ = Phase::checking;
}

// The list moved: rows may have slipped to where they were not read.
void Offset::again(std::string why) {
    if (++pass_ > most_passes) {
        incomplete(fmt::format("shows again that the list changes faster than it can be read ({})", why), tally_);
    }
    remark_ = fmt::format("{}: the list is read again from its beginning, pass {}", why, pass_);
    phase_ = Phase::reading;
    next_ = plan_.first;
    any_page_ = false;
    largest_page_ = 0;
    short_ = false;
    idle_pages_ = 0;
    small_pages_ = 0;
    first_keys_.clear();
}

void Offset::check(const PageFacts& facts) {
    const auto both = std::min(facts.keys.size(), first_keys_.size());
    const bool same =
        both > 0 && std::equal(first_keys_.begin(), first_keys_.begin() + static_cast<long>(both), facts.keys.begin());
    if (!same || facts.fresh > 0) {
        again("the first page is not what it was");
    } else if (plan_.probe_first) {
        phase_ = Phase::probing;
    } else {
        finish();
    }
}

std::string Offset::proof() const {
    if (!plan_.keyed) {
        return fmt::format(
                   "{} pages, none twice, {}", tally_.pages(), tally_.met() ? "up to the total" : "then two empty ones"
               ) +
               tally_.proof();
    }
    return fmt::format(
               "{} pages in {} pass{}, each tied to the one before, nothing behind the last row in two looks, the "
               "first page as it was",
               tally_.pages(),
               pass_,
               pass_ == 1 ? "" : "es"
           ) +
           tally_.proof();
}

}  // namespace headrace::source::http
