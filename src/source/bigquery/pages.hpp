// The rows of a job's result, page after page, into batches; and the proof that they are all of them. One thread.
//
// Errors: source.incomplete (transient) for everything that breaks the proof; those of api.hpp, page.hpp, decode.hpp.
#pragma once

#include "data/batch.hpp"
#include "source/bigquery/api.hpp"
#include "source/bigquery/decode.hpp"
#include "source/bigquery/job.hpp"
#include "source/bigquery/page.hpp"

#include <atomic>
#include <optional>
#include <string>
#include <unordered_set>

namespace headrace::source::bigquery {

class Pages {
public:
    // All outlive it.
    Pages(const Config& config, Api& api, const JobName& job, const Result& result);

    // Before the first next(): whether the result is known not to fit on its first page.
    bool more_than_one();

    // Appends rows until the batch has its size or the result is over. False: over, and proven.
    bool next(data::Batch& batch);

    std::uint64_t rows() const { return rows_; }

    std::uint64_t pages() const { return pages_; }

    std::uint64_t bytes_received() const { return bytes_.load(std::memory_order_relaxed); }  // thread-safe

private:
    void open();
    void fetch_ahead();
    std::string_view pull();
    void take(const Window& window, data::Batch& batch);
    void close();
    void check_envelope(const Envelope& envelope);
    void check_repetition();
    void go_on(const std::string& token);
    void resume(const Error& error);
    [[noreturn]] void incomplete(std::string what);

    const Config& config_;
    Api& api_;
    const JobName& job_;
    const Result& result_;
    PageReader reader_;
    RowDecoder decoder_;

    std::string token_;  // of the page that is read; "" = the first
    std::optional<net::HttpResponse> response_;
    Deadline::Clock::duration waited_{};  // for this page's bytes
    PageMark mark_;
    std::uint64_t given_ = 0;           // rows of this page that were appended, also before it broke
    std::uint64_t given_hash_ = 0;      // of these
    std::optional<Patience> patience_;  // of this page
    std::string next_token_;
    bool looked_ahead_ = false;              // on this page
    std::optional<net::HttpResponse> next_;  // asked for ahead

    std::unordered_set<std::size_t> tokens_seen_;
    std::unordered_set<std::uint64_t> pages_seen_;
    std::uint64_t rows_ = 0;
    std::uint64_t pages_ = 0;
    int empty_pages_ = 0;  // in a row
    bool over_ = false;
    std::uint64_t bytes_before_ = 0;  // of responses that are gone
    std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace headrace::source::bigquery
