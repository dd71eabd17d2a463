// The rows of a read session: all its streams, some at once, into batches; and the proof that they are all of them.
// Each stream has one response in memory at most, and gRPC holds about another megabyte of it. A stream that breaks
// goes on at the row behind the last response that came whole. One thread.
//
// Errors: source.incomplete (transient) for everything that breaks the proof; those of outcome.hpp and avro_rows.hpp.
#pragma once

#include "source/bigquery/job.hpp"
#include "source/bigquery/storage/avro_rows.hpp"
#include "source/bigquery/storage/session.hpp"

#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace headrace::source::bigquery::storage {

class Streams {
public:
    // The first three outlive it.
    Streams(const Config& config, Api& api, const Result& result, OpenSession open);

    // Appends rows until the batch has its size or the result is over. False: over, and proven.
    bool next(data::Batch& batch);

    std::uint64_t rows() const { return rows_; }

    std::size_t count() const { return streams_.size(); }

    int resumed() const { return resumed_; }

    std::uint64_t bytes_received() const { return bytes_.load(std::memory_order_relaxed); }  // thread-safe

private:
    struct Stream {
        std::string name;
        std::uint64_t offset = 0;              // rows of the responses that came whole
        std::unique_ptr<RowsCall> call;        // null: not begun, or it broke, or over
        Deadline silence = Deadline::never();  // the next response must be there
        Deadline again = Deadline::never();    // when it may be called again
        std::optional<Patience> patience;      // since its last response
        bool renewed = false;                  // the token, since then
        int empty = 0;                         // responses without rows, in a row
        bool over = false;
    };

    Stream* await_rows();
    void call_again();
    void call(Stream& stream);
    void ended(Stream& stream, const Outcome& outcome);
    void broke(Stream& stream, const Outcome& outcome);
    void take(Stream& stream);
    void taken(Stream& stream);
    [[noreturn]] void incomplete(std::string what) const;
    void prove() const;
    void say(std::string_view level, std::string message) const;
    int room() const;  // for more calls
    Deadline earliest() const;
    std::chrono::milliseconds longest_silence() const;

    const Config& config_;
    Api& api_;
    const Result& result_;
    OpenSession open_;
    AvroRows decoder_;
    std::vector<Stream> streams_;
    Stream* current_ = nullptr;  // whose response is decoded
    std::size_t turn_ = 0;       // who is asked first
    std::uint64_t rows_ = 0;     // of whole responses
    int resumed_ = 0;
    int throttled_ = 0;  // most percent so far
    std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace headrace::source::bigquery::storage
