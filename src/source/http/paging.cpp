#include "source/http/paging.hpp"

#include "base/error.hpp"
#include "base/json_text.hpp"
#include "net/address.hpp"
#include "net/http_headers.hpp"
#include "source/http/paging_offset.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <unordered_set>

namespace headrace::source::http {
namespace {

std::optional<std::uint64_t> whole_number(const std::optional<std::string>& text) {
    std::uint64_t value = 0;
    if (!text) {
        return std::nullopt;
    }
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    return error == std::errc() && end == text->data() + text->size() ? std::optional(value) : std::nullopt;
}

// One document.
class Single final : public Paging {
public:
    explicit Single(const PagingPlan& plan) : tally_(plan) {}

    std::optional<Ask> next() override {
        return done_ ? std::nullopt : std::optional(Ask{{}, {}, "", "the rows", false});
    }

    void done(const PageFacts& facts) override {
        tally_.add(facts);
        tally_.finish();
        done_ = true;
    }

    std::string proof() const override { return "one answer, its framing and its JSON text whole" + tally_.proof(); }

private:
    Tally tally_;
    bool done_ = false;
};

// Until the first page without rows.
class Numbered final : public Paging {
public:
    explicit Numbered(const PagingPlan& plan) : plan_(plan), tally_(plan), number_(plan.first) {}

    std::optional<Ask> next() override { return over_ ? std::nullopt : std::optional(ask(number_)); }

    std::optional<Ask> guess() const override {
        return tally_.nearly_met(plan_.page_rows) ? std::nullopt : std::optional(ask(number_ + 1));
    }

    void done(const PageFacts& facts) override {
        tally_.add(facts);
        ++number_;
        over_ = facts.rows == 0 || tally_.met();
        if (over_) {
            tally_.finish();
        }
    }

    std::string proof() const override {
        return fmt::format(
                   "{} pages, none twice, {}", tally_.pages(), tally_.met() ? "up to the total" : "the last one empty"
               ) +
               tally_.proof();
    }

private:
    Ask ask(std::int64_t number) const {
        Ask out;
        out.query.emplace_back(plan_.position, std::to_string(number));
        out.placeholders.emplace_back("@page", std::to_string(number));
        add_size(plan_, out);
        out.what = fmt::format("page {}", number);
        return out;
    }

    const PagingPlan& plan_;
    Tally tally_;
    std::int64_t number_;
    bool over_ = false;
};

class Cursor final : public Paging {
public:
    explicit Cursor(const PagingPlan& plan) : plan_(plan), tally_(plan) {}

    std::optional<Ask> next() override {
        if (over_) {
            return std::nullopt;
        }
        Ask out;
        if (cursor_) {
            out.query.emplace_back(plan_.position, *cursor_);
        }
        out.placeholders.emplace_back("@cursor", cursor_ ? json_string(*cursor_) : "null");
        add_size(plan_, out);
        out.what = fmt::format("page {}", tally_.pages() + 1);
        return out;
    }

    void done(const PageFacts& facts) override {
        tally_.add(facts);
        const bool there = facts.cursor && !facts.cursor->empty();
        const bool more = plan_.more.empty() ? there : facts.more && *facts.more == "true";
        if (!plan_.more.empty() && (!facts.more || (*facts.more != "true" && *facts.more != "false"))) {
            incomplete("does not say whether there are more pages", tally_);
        }
        if (more && !there) {
            incomplete("says that there are more pages, but has no cursor", tally_);
        }
        if (more && !seen_.insert(*facts.cursor).second) {
            incomplete("has a cursor that came before: the pages go in a circle", tally_);
        }
        cursor_ = facts.cursor;
        over_ = !more;
        if (over_) {
            tally_.finish();
        }
    }

    std::string proof() const override {
        return fmt::format("{} pages, none twice, no cursor left", tally_.pages()) + tally_.proof();
    }

private:
    const PagingPlan& plan_;
    Tally tally_;
    std::optional<std::string> cursor_;
    std::unordered_set<std::string> seen_;
    bool over_ = false;
};

class Link final : public Paging {
public:
    explicit Link(const PagingPlan& plan) : plan_(plan), tally_(plan) {}

    std::optional<Ask> next() override {
        if (over_) {
            return std::nullopt;
        }
        Ask out;
        out.url = url_;
        if (url_.empty()) {
            add_size(plan_, out);
        }
        out.what = fmt::format("page {}", tally_.pages() + 1);
        return out;
    }

    void done(const PageFacts& facts) override {
        tally_.add(facts);
        url_ = facts.next_url;
        over_ = url_.empty();
        if (over_) {
            tally_.finish();
        } else if (!seen_.insert(url_).second) {
            incomplete("links to a page that came before: the pages go in a circle", tally_);
        }
    }

    std::string proof() const override {
        return fmt::format("{} pages, none twice, the last one without a link to another", tally_.pages()) +
               tally_.proof();
    }

private:
    const PagingPlan& plan_;
    Tally tally_;
    std::string url_;
    std::unordered_set<std::string> seen_;
    bool over_ = false;
};

}  // namespace

void add_size(const PagingPlan& plan, Ask& out) {
    if (plan.page_rows > 0) {
        if (!plan.size.empty()) {
            out.query.emplace_back(plan.size, std::to_string(plan.page_rows));
        }
        out.placeholders.emplace_back("@limit", std::to_string(plan.page_rows));
    }
}

void incomplete(const std::string& what, const Tally& tally) {
    throw Error(
        ErrorKind::transient,
        "source.incomplete",
        fmt::format("page {} {}; {} rows were read", std::max<std::uint64_t>(tally.pages(), 1), what, tally.rows())
    );
}

void Tally::add(const PageFacts& facts) {
    ++pages_;
    received_ += facts.rows;
    rows_ += facts.fresh;
    if (!plan_.keyed && facts.rows > 0 && !seen_.insert(facts.hash).second && !facts.uniform) {
        incomplete("has the rows of an earlier page", *this);
    }
    constexpr int most_idle_pages_of_keys = 3;
    if (plan_.keyed && plan_.kind != PagingKind::offset) {
        idle_pages_ = facts.rows > 0 && facts.fresh == 0 ? idle_pages_ + 1 : 0;
        if (idle_pages_ > most_idle_pages_of_keys) {
            incomplete("brings nothing but rows that were read already: is the position ignored?", *this);
        }
    }
    const auto total = whole_number(facts.total);
    if (plan_.total.empty()) {
        return;
    }
    if (plan_.total_is_hint) {
        hint_ = total;
        return;
    }
    if (!total) {
        incomplete(fmt::format("does not say how many rows there are (`total: {}`)", plan_.total), *this);
    }
    if (total_ && *total_ != *total) {
        incomplete(fmt::format("says that there are {} rows, and before it was {}", *total, *total_), *this);
    }
    total_ = total;
    if (rows_ > *total_) {
        incomplete(fmt::format("brings more rows than the {} that there should be", *total_), *this);
    }
}

bool Tally::met() const {
    return total_ && rows_ == *total_;
}

bool Tally::nearly_met(std::int64_t page_rows) const {
    return total_ && rows_ + static_cast<std::uint64_t>(std::max<std::int64_t>(page_rows, 1)) >= *total_;
}

void Tally::finish() const {
    if (total_ && rows_ != *total_) {
        incomplete(fmt::format("is the last one, but there should be {} rows", *total_), *this);
    }
}

std::string Tally::proof() const {
    if (total_) {
        return fmt::format("; {} rows are all of the total", rows_);
    }
    if (hint_ && *hint_ != rows_) {
        return fmt::format("; {} rows, the service's own count says {}", rows_, *hint_);
    }
    return fmt::format("; {} rows", rows_);
}

std::unique_ptr<Paging> make_paging(const Config& config) {
    const auto& plan = config.paging;
    switch (plan.kind) {
        case PagingKind::page:
            return std::make_unique<Numbered>(plan);
        case PagingKind::offset:
            return std::make_unique<Offset>(plan);
        case PagingKind::cursor:
            return std::make_unique<Cursor>(plan);
        case PagingKind::link:
            return std::make_unique<Link>(plan);
        case PagingKind::none:
            break;
    }
    return std::make_unique<Single>(plan);
}

}  // namespace headrace::source::http
