#include "source/bigquery/pages.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace headrace::source::bigquery {
namespace {

constexpr int most_empty_pages = 1000;

}  // namespace

Pages::Pages(const Config& config, Api& api, const JobName& job, const Result& result)
    : config_(config),
      api_(api),
      job_(job),
      result_(result),
      reader_(static_cast<std::size_t>(config.max_row_bytes)),
      decoder_(result.columns) {}

// The proof is broken: asking for the page again would not mend it.
void Pages::incomplete(std::string what) {
    response_.reset();
    throw Error(
        ErrorKind::transient,
        "source.incomplete",
        fmt::format("page {} of job {}: {}; {} of {} rows were read", pages_ + 1, job_.id, what, rows_, result_.rows)
    );
}

bool Pages::next(data::Batch& batch) {
    const auto enough = std::max<std::uint64_t>(api_.context().first_rows.value_or(~std::uint64_t{0}), 1);
    while (!over_ && batch.bytes() < data::target_batch_bytes && batch.rows() < enough) {
        try {
            if (!response_) {
                open();
            }
            if (!std::exchange(looked_ahead_, true)) {
                fetch_ahead();
            }
            if (const auto window = reader_.next()) {
                take(*window, batch);
            } else {
                close();
            }
        } catch (const Error& error) {
            // A page that ended early is as good as a broken connection: proxies do that.
            if (!is_broken_exchange(error) && !(error.code() == "source.incomplete" && response_)) {
                throw;
            }
            resume(error);
        }
    }
    return batch.rows() > 0;
}

// What breaks here is met again, and mended, by next().
bool Pages::more_than_one() {
    try {
        open();
        return !reader_.envelope().page_token.empty();
    } catch (const Error& error) {
        response_.reset();
        if (!is_broken_exchange(error) && error.code() != "source.incomplete") {
            throw;
        }
        return false;
    }
}

void Pages::open() {
    if (!patience_) {
        patience_.emplace(config_, api_.context());
    }
    if (next_ && next_token_ == token_ && given_ == 0) {
        response_ = api_.settle(std::move(*next_));
    }
    next_.reset();
    if (!response_) {
        auto page = api_.open(page_call(config_, job_, token_));
        if (page.refusal) {
            const bool token_refused = !token_.empty() && (page.refusal->status == 400 || page.refusal->status == 404);
            if (token_refused) {
                incomplete(fmt::format("BigQuery refuses its page token ({})", page.refusal->message));
            }
            throw to_error(*page.refusal, fmt::format("give page {} of the result", pages_ + 1));
        }
        response_ = std::move(page.response);
    }
    mark_ = PageMark();
    mark_.watch = given_;
    waited_ = {};
    looked_ahead_ = false;
    reader_.begin([this] { return pull(); });
}

// The token of the next page mostly stands before the rows.
void Pages::fetch_ahead() {
    const auto& token = reader_.envelope().page_token;
    if (!token.empty() && token != token_) {
        next_token_ = token;
        next_ = api_.begin(page_call(config_, job_, token));
    }
}

std::string_view Pages::pull() {
    const auto start = Deadline::Clock::now();
    const auto piece = response_->read_chunk();
    waited_ += Deadline::Clock::now() - start;
    bytes_.store(bytes_before_ + response_->wire_bytes(), std::memory_order_relaxed);
    if (waited_ > config_.request_timeout) {
        throw Error(
            ErrorKind::transient, "http.timeout", fmt::format("page {} took longer than `request_timeout`", pages_ + 1)
        );
    }
    return piece;
}

void Pages::take(const Window& window, data::Batch& batch) {
    const auto skip = given_ > mark_.rows ? given_ - mark_.rows : 0;
    const auto rows = decoder_.decode(window, static_cast<std::size_t>(skip), rows_, batch, mark_);
    if (skip > 0 && rows >= skip && mark_.watched != given_hash_) {
        incomplete("it came with other rows when it was asked for again");
    }
    if (rows > skip) {
        rows_ += rows - skip;
        given_ = mark_.rows;
        given_hash_ = mark_.hash;
    }
    if (rows_ > result_.rows) {
        incomplete("more rows come than the result has");
    }
}

void Pages::check_envelope(const Envelope& envelope) {
    if (envelope.error) {
        throw to_error(*envelope.error, fmt::format("give page {} of the result", pages_ + 1));
    }
    if (!envelope.complete) {
        incomplete("its job is not complete any more");
    }
    if (envelope.job_id != job_.id) {
        incomplete("it belongs to another job");
    }
    if (!envelope.total_rows || *envelope.total_rows != result_.rows) {
        incomplete(
            envelope.total_rows ? fmt::format("`totalRows` changed to {}", *envelope.total_rows)
                                : std::string("`totalRows` is missing")
        );
    }
    if (envelope.columns && *envelope.columns != result_.columns) {
        incomplete("its columns are not those of the result");
    }
}

void Pages::check_repetition() {
    if (mark_.rows < given_) {
        incomplete("it came with fewer rows when it was asked for again");
    }
    empty_pages_ = mark_.rows == 0 ? empty_pages_ + 1 : 0;
    if (empty_pages_ > most_empty_pages) {
        incomplete("pages without rows do not end");
    }
    if (mark_.rows > 0 && !pages_seen_.insert(mark_.hash).second && !mark_.uniform) {
        incomplete("its rows were on an earlier page already");
    }
}

// The page is whole.
void Pages::close() {
    const auto& envelope = reader_.envelope();
    const auto token = envelope.page_token;
    bytes_before_ += response_->wire_bytes();
    response_.reset();  // what is wrong from here on is no broken connection
    check_envelope(envelope);
    check_repetition();
    ++pages_;
    go_on(token);
}

void Pages::go_on(const std::string& token) {
    if (token.empty()) {
        if (rows_ != result_.rows) {
            --pages_;
            incomplete("it is the last one");
        }
        over_ = true;
        return;
    }
    if (!tokens_seen_.insert(std::hash<std::string>()(token)).second) {
        incomplete("its page token came before: the pages go in a circle");
    }
    token_ = token;
    given_ = 0;
    given_hash_ = 0;
    patience_.reset();
}

// The exchange broke; the page of a finished job is the same when it is asked for again.
void Pages::resume(const Error& error) {
    if (response_) {
        bytes_before_ += response_->wire_bytes();
        response_.reset();
    }
    next_.reset();
    if (api_.context().log) {
        api_.context().log("warn", fmt::format("page {} broke: {}", pages_ + 1, error.message()));
    }
    if (!patience_->wait()) {
        throw error.code() == "http.protocol" ? Error(ErrorKind::transient, "source.incomplete", error.message())
                                              : in_source_words(error);
    }
}

}  // namespace headrace::source::bigquery
