#include "source/http/api.hpp"
#include "source/http/http.hpp"
#include "source/http/id_set.hpp"
#include "source/http/paging.hpp"
#include "source/http/row.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace headrace::source::http {
namespace {

class HttpSource final : public pipeline::Source {
public:
    HttpSource(Config config, EgressCheck egress_check, std::shared_ptr<Pace> pace)
        : config_(std::move(config)),
          api_(config_, std::move(egress_check), std::move(pace)),
          paging_(make_paging(config_)),
          decoder_(config_.columns, config_.single_as_list, config_.key),
          reader_(decoder_, config_.rows, config_.single_as_list, config_.bounds) {}

    void connect(const pipeline::SourceContext& context) override;
    data::Schema query() override;
    bool next(data::Batch& batch) override;
    pipeline::Completeness completeness() const override;

    std::uint64_t bytes_received() const override { return bytes_.load(std::memory_order_relaxed); }

private:
    bool open();  // false: over, and proven
    bool full(const data::Batch& batch) const;
    void read(data::Batch& batch);
    void read_ahead();
    void take_row(data::Batch& batch);
    void close();
    void resume(const Error& error);
    std::string_view pull();
    std::optional<std::string> told(const std::string& where) const;

    Config config_;
    Api api_;
    std::unique_ptr<Paging> paging_;
    RowDecoder decoder_;
    PageReader reader_;

    std::optional<Ask> ask_;
    std::optional<net::HttpResponse> response_;
    std::optional<Ask> guess_;                // what probably comes next
    std::optional<net::HttpResponse> ahead_;  // asked for it already
    int wrong_guesses_ = 0;
    PageFacts facts_;
    bool continuous_ = true;              // so far, of a page that is read again
    Deadline::Clock::duration waited_{};  // for this page's bytes
    std::uint64_t first_hash_ = 0;
    std::uint64_t given_ = 0;       // rows of this page that were handed out before it broke
    std::uint64_t given_hash_ = 0;  // of these

    IdSet seen_;
    IdSet seen_in_pass_;  // from the second pass on
    int pass_ = 1;
    std::uint64_t batch_rows_ = ~std::uint64_t{0};  // enough for one batch
    std::uint64_t rows_ = 0;
    std::uint64_t pages_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t bytes_before_ = 0;  // of responses that are gone
    std::atomic<std::uint64_t> bytes_{0};
};

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    a = (a ^ b) * 0x9e3779b97f4a7c15;
    return a ^ a >> 29;
}

// The first page is asked for here: a refused credential shows in the step that connects.
void HttpSource::connect(const pipeline::SourceContext& context) {
    api_.use(context);
    batch_rows_ = std::max<std::uint64_t>(context.first_rows.value_or(batch_rows_), 1);
    api_.log("info", fmt::format("reads from {}", origin_of(config_.url)));
    open();
}

data::Schema HttpSource::query() {
    return schema_of(config_.columns);
}

bool HttpSource::open() {
    while (!response_) {
        ask_ = paging_->next();
        if (ahead_ && guess_ != ask_) {
            ahead_.reset();
            ++wrong_guesses_;
        }
        if (!ask_) {
            return false;
        }
        if (++pages_ > config_.max_pages) {
            throw Error(
                ErrorKind::permanent, "source.limit", fmt::format("more than {} pages (`max_pages`)", config_.max_pages)
            );
        }
        if (std::exchange(pass_, paging_->pass()) != pass_) {
            seen_in_pass_ = IdSet();
        }
        response_ = api_.open(*ask_, std::exchange(ahead_, std::nullopt));
        if (!response_) {
            paging_->refused(0);
        }
    }
    facts_ = PageFacts();
    continuous_ = true;
    waited_ = {};
    reader_.begin([this] { return pull(); });
    return true;
}

bool HttpSource::full(const data::Batch& batch) const {
    return batch.bytes() >= data::target_batch_bytes || batch.rows() >= batch_rows_;
}

std::string_view HttpSource::pull() {
    const auto start = Deadline::Clock::now();
    const auto piece = response_->read_chunk();
    waited_ += Deadline::Clock::now() - start;  // not how long the sinks took
    if (waited_ > config_.request_timeout) {
        throw Error(ErrorKind::transient, "http.timeout", ask_->what + " took longer than `request_timeout`");
    }
    bytes_.store(bytes_before_ + response_->wire_bytes(), std::memory_order_relaxed);
    return piece;
}

bool HttpSource::next(data::Batch& batch) {
    batch.first_row = rows_;
    while (!full(batch) && (response_ || open())) {
        try {
            read(batch);
        } catch (const Error& error) {
            // A page that ended early is as good as a broken connection: proxies do that.
            if (!response_ || !(is_broken_exchange(error) || error.code() == "source.incomplete")) {
                throw;
            }
            resume(error);
        }
    }
    return batch.rows() > 0;
}

void HttpSource::read(data::Batch& batch) {
    constexpr std::uint64_t rows_between_looks = 32;
    while (reader_.next()) {
        if (facts_.rows == 0) {
            read_ahead();
        }
        take_row(batch);
        if (facts_.rows % rows_between_looks == 0 && full(batch)) {
            return;
        }
    }
    close();
}

// The page has rows, so that another one will be wanted. A service whose pages cannot be foreseen is not asked in vain
// for ever.
void HttpSource::read_ahead() {
    constexpr int most_wrong_guesses = 2;
    if (wrong_guesses_ >= most_wrong_guesses || api_.context().first_rows) {
        return;
    }
    guess_ = paging_->guess();
    if (guess_) {
        ahead_ = api_.begin(*guess_);
    }
}

void HttpSource::take_row(data::Batch& batch) {
    const auto place = facts_.rows++;
    bool fresh = true;
    if (config_.key) {
        const auto key = decoder_.key();
        fresh = seen_.insert(key);
        const bool fresh_in_pass = pass_ == 1 ? fresh : seen_in_pass_.insert(key);
        facts_.fresh_in_pass += fresh_in_pass ? 1 : 0;
        facts_.first_seen = facts_.first_seen || (place == 0 && !fresh_in_pass && continuous_);
        if (facts_.keys.size() < most_keys) {
            facts_.keys.push_back(key);
        }
    } else {
        const auto hash = decoder_.hash();
        first_hash_ = place == 0 ? hash : first_hash_;
        facts_.uniform = facts_.uniform && hash == first_hash_;
        facts_.hash = mix(facts_.hash, hash);
        fresh = place >= given_;
        if (facts_.rows == given_ && facts_.hash != given_hash_) {
            const auto what = ask_->what;
            response_.reset();  // to ask again would not mend it
            throw Error(
                ErrorKind::transient,
                "source.incomplete",
                fmt::format("{} came with other rows when they were asked for again", what)
            );
        }
        given_hash_ = fresh ? facts_.hash : given_hash_;
        facts_.fresh = facts_.rows;  // what was given out before counts, too
    }
    if (!fresh) {
        ++dropped_;
        return;
    }
    decoder_.append(batch);
    given_ = std::max(given_, facts_.rows);
    facts_.fresh += config_.key ? 1 : 0;
    if (++rows_ > config_.max_rows) {
        throw Error(
            ErrorKind::permanent, "source.limit", fmt::format("more than {} rows (`max_rows`)", config_.max_rows)
        );
    }
}

// A pointer into the answer, or the name of a header.
std::optional<std::string> HttpSource::told(const std::string& where) const {
    if (where.empty()) {
        return std::nullopt;
    }
    if (where.starts_with('/')) {
        return reader_.value_at(where);
    }
    const auto* value = response_->headers().find(where);
    return value == nullptr ? std::nullopt : std::optional(*value);
}

// The page is whole.
void HttpSource::close() {
    const auto& plan = config_.paging;
    if (!config_.key && facts_.rows < given_) {
        response_.reset();
        throw Error(
            ErrorKind::transient,
            "source.incomplete",
            fmt::format("{} came with fewer rows when it was asked for again", ask_->what)
        );
    }
    facts_.cursor = told(plan.cursor);
    facts_.more = told(plan.more);
    facts_.total = told(plan.total);
    if (plan.kind == PagingKind::link) {
        const auto link = next_link(response_->headers().joined("link"));
        facts_.next_url = link.empty() ? "" : resolve_reference(api_.address(), link);
    }
    bytes_before_ += response_->wire_bytes();
    response_.reset();  // what is wrong from here on is no broken connection
    api_.page_is_whole();
    given_ = given_hash_ = 0;
    paging_->done(facts_);
    if (auto remark = paging_->take_remark(); !remark.empty()) {
        api_.log("warn", std::move(remark));
    }
}

// The exchange broke: the same page again. Rows that were handed out are known by their key, or skipped when they are
// the same.
void HttpSource::resume(const Error& error) {
    bytes_before_ += response_->wire_bytes();
    response_.reset();
    ahead_.reset();
    decoder_.number -= facts_.rows;
    api_.wait(
        error.code() == "http.protocol" || error.code() == "source.incomplete"
            ? Error(ErrorKind::transient, "source.incomplete", fmt::format("{} broke: {}", ask_->what, error.message()))
            : in_source_words(error)
    );
    const auto before = std::exchange(facts_, PageFacts());
    if (config_.key) {  // of the rows that were read before it broke
        facts_.fresh = before.fresh;
        facts_.fresh_in_pass = before.fresh_in_pass;
        continuous_ = before.rows == 0 || before.first_seen;
    }
    waited_ = {};
    response_ = api_.open(*ask_);
    if (!response_) {
        paging_->refused(0);
        return;
    }
    reader_.begin([this] { return pull(); });
}

pipeline::Completeness HttpSource::completeness() const {
    auto proof = paging_->proof();
    if (dropped_ > 0) {
        proof += fmt::format("; {} that came again were dropped", dropped_);
    }
    return {std::move(proof), rows_, bytes_received()};
}

}  // namespace

std::shared_ptr<Paces> make_paces() {
    return std::make_shared<Paces>();
}

std::unique_ptr<pipeline::Source> make_source(Config config, EgressCheck egress_check, Paces& paces) {
    auto pace = paces.of(config.auth.credential + "@" + origin_of(config.url));
    return std::make_unique<HttpSource>(std::move(config), std::move(egress_check), std::move(pace));
}

pipeline::SourceType type(EgressCheck egress_check, std::shared_ptr<Paces> paces) {
    pipeline::SourceType out;
    out.name = "http";
    out.help = "Reads rows from any HTTP API that gives JSON.";
    out.options = option_specs();
    out.needs_credential = false;
    out.make = [egress_check = std::move(egress_check), paces = std::move(paces)](
                   const pipeline::Part& part, const pipeline::Credential& credential
               ) { return make_source(make_config(part, credential), egress_check, *paces); };
    return out;
}

}  // namespace headrace::source::http
