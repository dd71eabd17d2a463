#include "run/journal.hpp"

#include "base/json_text.hpp"

#include <algorithm>

namespace headrace::run {
namespace {

constexpr std::size_t most_lines = 10'000;
constexpr std::size_t longest_message = 8'192;

// Postgres' jsonb and text refuse NUL; a line is one line.
std::string clean(std::string text) {
    std::erase(text, '\0');
    if (text.size() > longest_message) {
        text.resize(longest_message);
        text += "…";
    }
    return text;
}

}  // namespace

Journal::Journal(
    std::string run_id,
    std::string pipeline,
    std::string attempt_id,
    int attempt,
    std::int64_t last_seq,
    std::shared_ptr<const Redactor> redactor
)
    : run_id_(std::move(run_id)),
      pipeline_(std::move(pipeline)),
      attempt_id_(std::move(attempt_id)),
      attempt_(attempt),
      redactor_(std::move(redactor)),
      last_seq_(last_seq) {}

Timestamp Journal::time() const {
    return started_at_ + std::chrono::floor<std::chrono::microseconds>(Deadline::Clock::now() - began_);
}

void Journal::begin(std::string_view step) {
    std::lock_guard lock(mutex_);
    StepNote note{.state = "running", .started_at = time(), .finished_at = std::nullopt, .detail = {}};
    known_.insert_or_assign(std::string(step), note);
    steps_.insert_or_assign(std::string(step), std::move(note));
    open_.emplace_back(step);
}

void Journal::done(std::string_view step, std::uint64_t rows, std::uint64_t bytes, std::string detail) {
    std::lock_guard lock(mutex_);
    auto& note = known_[std::string(step)];
    note.state = "done";
    note.finished_at = time();
    note.rows = rows;
    note.bytes = bytes;
    note.detail = redactor_->apply(clean(std::move(detail)));
    steps_.insert_or_assign(std::string(step), note);
    std::erase(open_, step);
}

void Journal::fail(std::string_view step, std::string detail) {
    std::lock_guard lock(mutex_);
    auto& note = known_[std::string(step)];
    note.state = "failed";
    note.finished_at = time();
    note.detail = redactor_->apply(clean(std::move(detail)));
    steps_.insert_or_assign(std::string(step), note);
    std::erase(open_, step);
}

std::int64_t Journal::log(std::string_view level, std::string_view step, std::string message) {
    auto text = redactor_->apply(clean(std::move(message)));
    std::lock_guard lock(mutex_);
    if (lines_.size() >= most_lines && (level == "debug" || level == "info")) {
        ++dropped_;
        return last_seq_;
    }
    if (dropped_ > 0) {
        lines_.push_back(
            {++last_seq_,
             time(),
             "warn",
             "",
             std::to_string(dropped_) + " log lines were dropped: Postgres did not take them"}
        );
        dropped_ = 0;
    }
    lines_.push_back({++last_seq_, time(), std::string(level), std::string(step), std::move(text)});
    return last_seq_;
}

void Journal::reject(RejectedRow row) {
    row.reason = redactor_->apply(clean(std::move(row.reason)));
    row.content = redactor_->apply(clean(std::move(row.content)));
    std::lock_guard lock(mutex_);
    rejects_.push_back(std::move(row));
}

std::string Journal::running_step() const {
    std::lock_guard lock(mutex_);
    return open_.empty() ? std::string() : open_.back();
}

Counters Journal::counters() const {
    return {
        .rows_read = rows_read,
        .rows_written = rows_written,
        .rows_rejected = rows_rejected,
        .rows_filtered = rows_filtered,
        .bytes_read = bytes_read,
        .bytes_written = bytes_written};
}

}  // namespace headrace::run
