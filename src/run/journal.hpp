// What an attempt tells while it runs: steps, log lines, counters. Each call only notes it; one writer thread per
// worker puts the notes of all attempts into Postgres (several times a second, one transaction) and tells the live
// stream. What was written survives a killed worker; what is not written yet when Postgres is away waits, bounded.
#pragma once

#include "base/deadline.hpp"
#include "base/redactor.hpp"
#include "base/time.hpp"
#include "postgres/connection.hpp"
#include "redis/options.hpp"
#include "run/ledger.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::run {

struct StepNote {
    std::string state;  // running, done, failed
    Timestamp started_at;
    std::optional<Timestamp> finished_at;
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    std::string detail;
};

struct LogLine {
    std::int64_t seq = 0;
    Timestamp at;
    std::string level;
    std::string step;
    std::string message;
};

struct RejectedRow {
    std::uint64_t row = 0;  // within the read, from 1
    std::string step;
    std::string reason;
    std::string content;  // JSON
};

// Notes of one attempt. Thread-safe. Counters may be bumped from the threads of the run without a lock.
class Journal {
public:
    Journal(
        std::string run_id,
        std::string pipeline,
        std::string attempt_id,
        int attempt,
        std::int64_t last_seq,
        std::shared_ptr<const Redactor> redactor
    );

    void begin(std::string_view step);
    // rows and bytes of the step so far; kept until the next write.
    void done(std::string_view step, std::uint64_t rows, std::uint64_t bytes, std::string detail = {});
    void fail(std::string_view step, std::string detail);
    void reject(RejectedRow row);  // the caller keeps their number small
    // Returns the line's number. Above 10,000 waiting lines debug and info are dropped and counted.
    std::int64_t log(std::string_view level, std::string_view step, std::string message);

    std::string running_step() const;  // the last one begun and not done; "" when none
    Counters counters() const;

    std::atomic<std::uint64_t> rows_read{0};
    std::atomic<std::uint64_t> rows_written{0};
    std::atomic<std::uint64_t> rows_rejected{0};
    std::atomic<std::uint64_t> rows_filtered{0};
    std::atomic<std::uint64_t> bytes_read{0};
    std::atomic<std::uint64_t> bytes_written{0};

private:
    friend class JournalWriter;

    // The attempt's own time: its start by the wall clock and what passed since then, so that no step seems to take an
    // hour, or less than nothing, when somebody sets the clock.
    Timestamp time() const;

    const std::string run_id_;
    const std::string pipeline_;
    const std::string attempt_id_;
    const int attempt_;
    const std::shared_ptr<const Redactor> redactor_;
    const Timestamp started_at_ = now();
    const Deadline::Clock::time_point began_ = Deadline::Clock::now();
    mutable std::mutex mutex_;
    std::int64_t last_seq_;
    std::vector<LogLine> lines_;
    std::vector<RejectedRow> rejects_;
    std::map<std::string, StepNote, std::less<>> steps_;  // changed since the last write
    std::map<std::string, StepNote, std::less<>> known_;  // all
    std::vector<std::string> open_;
    std::uint64_t dropped_ = 0;
    Counters written_;           // as of the last progress point
    bool zero_written_ = false;  // the point at the start, without which nothing has a rate
};

class JournalWriter {
public:
    struct Options {
        postgres::ConnectOptions db;
        redis::Options redis;
        std::string stream;  // of live events
        std::chrono::milliseconds interval{250};
    };

    explicit JournalWriter(Options options);
    ~JournalWriter();  // writes what is left, once
    JournalWriter(const JournalWriter&) = delete;
    JournalWriter& operator=(const JournalWriter&) = delete;

    void open(std::shared_ptr<Journal> journal);
    // Waits until all notes of the journal are in Postgres (at most `patience`), then forgets it. False: they are not,
    // the writer goes on trying.
    bool close(const std::shared_ptr<Journal>& journal, std::chrono::milliseconds patience = std::chrono::seconds(5));
    // The same without forgetting: what was noted before the call is in Postgres.
    bool flush(std::chrono::milliseconds patience = std::chrono::seconds(5));
    // Tells the live stream that a run row changed. Best effort.
    void state_changed(std::string run_id, std::string pipeline, bool created = false);
    void pipeline_changed(std::string pipeline);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace headrace::run
