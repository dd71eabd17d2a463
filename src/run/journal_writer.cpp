#include "base/log.hpp"
#include "redis/connection.hpp"
#include "run/events.hpp"
#include "run/journal.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/core.h>

#include <condition_variable>
#include <deque>
#include <thread>
#include <utility>

namespace headrace::run {
namespace {

namespace json = boost::json;

json::value time_or_null(const std::optional<Timestamp>& time) {
    return time ? json::value(format_rfc3339(*time)) : json::value(nullptr);
}

constexpr std::string_view insert_lines =
    "insert into etl_logs (run_id, seq, attempt, at, level, step, message) select run, seq, attempt, at, level, step, "
    "message"
    " from jsonb_to_recordset($1::jsonb) as x(run uuid, seq bigint, attempt int, at timestamptz, level text, step "
    "text, message text)"
    " on conflict do nothing";

constexpr std::string_view upsert_steps =
    "insert into etl_steps (run_id, attempt, step, state, started_at, finished_at, rows, bytes, detail)"
    " select run, attempt, step, state, started, finished, rows, bytes, detail from jsonb_to_recordset($1::jsonb)"
    " as x(run uuid, attempt int, step text, state text, started timestamptz, finished timestamptz, rows bigint, bytes "
    "bigint, detail text)"
    " on conflict (run_id, attempt, step) do update set state = excluded.state, finished_at = excluded.finished_at, "
    "rows = excluded.rows,"
    " bytes = excluded.bytes, detail = excluded.detail";

constexpr std::string_view insert_rejects =
    "insert into etl_rejects (run_id, attempt, row_number, step, reason, content) select run, attempt, row, step, "
    "reason, "
    "content from jsonb_to_recordset($1::jsonb)"
    " as x(run uuid, attempt int, row bigint, step text, reason text, content text) on conflict do nothing";

constexpr std::string_view insert_progress =
    "insert into etl_progress (run_id, attempt, at, rows_read, rows_written, bytes_read, bytes_written)"
    " select run, attempt, at, rr, rw, br, bw from jsonb_to_recordset($1::jsonb)"
    " as x(run uuid, attempt int, at timestamptz, rr bigint, rw bigint, br bigint, bw bigint) on conflict do nothing";

// Counters of a run that is still this attempt's; the final ones are written with the verdict. A run that is being
// decided is locked, maybe for long, and left alone.
constexpr std::string_view update_runs =
    "update etl_runs r set rows_read = x.rr, rows_written = x.rw, rows_rejected = x.rj, rows_filtered = x.rf, "
    "bytes_read = x.br,"
    " bytes_written = x.bw from jsonb_to_recordset($1::jsonb)"
    " as x(run uuid, aid uuid, rr bigint, rw bigint, rj bigint, rf bigint, br bigint, bw bigint)"
    " where r.run_id = x.run and r.attempt_id = x.aid and r.state = 'running' and r.run_id in (select l.run_id from"
    "  etl_runs l where l.run_id in (select run from jsonb_to_recordset($1::jsonb) as y(run uuid)) for no key update"
    "  skip locked)";

// Taken out of the journals for one write.
struct Bundle {
    json::array lines;
    json::array steps;
    json::array progress;
    json::array rejects;
    std::vector<Event> events;

    bool nothing_for_postgres() const { return lines.empty() && steps.empty() && progress.empty() && rejects.empty(); }

    bool empty() const { return nothing_for_postgres() && events.empty(); }
};

}  // namespace

struct JournalWriter::State {
    Options options;
    std::mutex mutex;
    std::condition_variable wake;
    std::condition_variable written;
    std::vector<std::shared_ptr<Journal>> journals;
    std::deque<Event> events;
    std::uint64_t rounds = 0;        // finished writes
    std::uint64_t wanted_round = 0;  // somebody waits for this one
    bool stopping = false;
    std::optional<postgres::Connection> db;
    std::optional<redis::Connection> redis;
    Deadline redis_again = Deadline::in(std::chrono::seconds(0));
    Bundle kept;  // of a write that failed
    std::thread thread;

    explicit State(Options o) : options(std::move(o)) {}

    void run() {
        std::unique_lock lock(mutex);
        bool good = true;
        while (!stopping) {
            // After a failure nobody's hurry matters: the next try is one interval away.
            wake.wait_for(lock, options.interval, [&] {
                return stopping || (good && (wanted_round > rounds || !events.empty()));
            });
            good = write_round(lock);
        }
        write_round(lock);
    }

    bool write_round(std::unique_lock<std::mutex>& lock) {
        auto active = journals;
        auto queued = std::exchange(events, {});
        lock.unlock();
        for (const auto& journal : active) {
            collect(*journal, kept);
        }
        for (auto& event : queued) {
            kept.events.push_back(std::move(event));
        }
        const bool good = kept.empty() || write(kept);
        if (good) {
            kept = Bundle{};
        }
        lock.lock();
        if (good) {
            ++rounds;
            written.notify_all();
        }
        return good;
    }

    static void collect(Journal& journal, Bundle& out);
    bool write(Bundle& bundle);
    void write_postgres(Bundle& bundle);
    void write_events(Bundle& bundle);
};

void JournalWriter::State::collect(Journal& journal, Bundle& out) {
    std::vector<LogLine> lines;
    std::map<std::string, StepNote, std::less<>> steps;
    std::vector<RejectedRow> rejects;
    {
        std::lock_guard lock(journal.mutex_);
        lines.swap(journal.lines_);
        steps.swap(journal.steps_);
        rejects.swap(journal.rejects_);
    }
    for (const auto& row : rejects) {
        out.rejects.push_back(
            {{"run", journal.run_id_},
             {"attempt", journal.attempt_},
             {"row", row.row},
             {"step", row.step},
             {"reason", row.reason},
             {"content", row.content}}
        );
    }
    json::array shown;
    for (const auto& line : lines) {
        json::object object{
            {"run", journal.run_id_},
            {"seq", line.seq},
            {"attempt", journal.attempt_},
            {"at", format_rfc3339(line.at)},
            {"level", line.level},
            {"message", line.message}};
        object["step"] = line.step.empty() ? json::value(nullptr) : json::value(line.step);
        shown.push_back(object);
        out.lines.push_back(std::move(object));
    }
    for (std::size_t from = 0; from < shown.size(); from += 200) {
        json::array part(
            shown.begin() + static_cast<std::ptrdiff_t>(from),
            shown.begin() + static_cast<std::ptrdiff_t>(std::min(shown.size(), from + 200))
        );
        json::object event{
            {"id", journal.run_id_},
            {"fromSeq", lines[from].seq},
            {"toSeq", lines[std::min(lines.size(), from + 200) - 1].seq},
            {"lines", std::move(part)}};
        out.events.push_back({"run.log", journal.run_id_, journal.pipeline_, json::serialize(event)});
    }
    for (const auto& [name, note] : steps) {
        out.steps.push_back(
            {{"run", journal.run_id_},
             {"attempt", journal.attempt_},
             {"step", name},
             {"state", note.state},
             {"started", format_rfc3339(note.started_at)},
             {"finished", time_or_null(note.finished_at)},
             {"rows", note.rows},
             {"bytes", note.bytes},
             {"detail", note.detail}}
        );
        json::object step{
            {"attempt", journal.attempt_},
            {"step", name},
            {"state", note.state},
            {"startedAt", format_rfc3339(note.started_at)},
            {"finishedAt", time_or_null(note.finished_at)},
            {"rows", note.rows},
            {"bytes", note.bytes},
            {"detail", note.detail}};
        json::object event{{"id", journal.run_id_}, {"pipeline", journal.pipeline_}, {"step", std::move(step)}};
        out.events.push_back({"run.step", journal.run_id_, journal.pipeline_, json::serialize(event)});
    }
    const auto c = journal.counters();
    auto& last = journal.written_;
    if (c.rows_read == last.rows_read && c.rows_written == last.rows_written && c.bytes_read == last.bytes_read &&
        c.bytes_written == last.bytes_written && c.rows_rejected == last.rows_rejected) {
        return;
    }
    last = c;
    if (!std::exchange(journal.zero_written_, true)) {
        out.progress.push_back(
            {{"run", journal.run_id_},
             {"aid", nullptr},
             {"attempt", journal.attempt_},
             {"at", format_rfc3339(journal.started_at_)},
             {"rr", 0},
             {"rw", 0},
             {"rj", 0},
             {"rf", 0},
             {"br", 0},
             {"bw", 0}}
        );
    }
    const auto at = journal.time();
    out.progress.push_back(
        {{"run", journal.run_id_},
         {"aid", journal.attempt_id_},
         {"attempt", journal.attempt_},
         {"at", format_rfc3339(at)},
         {"rr", c.rows_read},
         {"rw", c.rows_written},
         {"rj", c.rows_rejected},
         {"rf", c.rows_filtered},
         {"br", c.bytes_read},
         {"bw", c.bytes_written}}
    );
    json::object event{
        {"id", journal.run_id_},
        {"pipeline", journal.pipeline_},
        {"attempt", journal.attempt_},
        {"at", format_rfc3339(at)},
        {"elapsedMs", (at - journal.started_at_).count() / 1000},
        {"rowsRead", c.rows_read},
        {"rowsWritten", c.rows_written},
        {"rowsRejected", c.rows_rejected},
        {"rowsFiltered", c.rows_filtered},
        {"bytesRead", c.bytes_read},
        {"bytesWritten", c.bytes_written}};
    out.events.push_back({"run.progress", journal.run_id_, journal.pipeline_, json::serialize(event)});
}

bool JournalWriter::State::write(Bundle& bundle) {
    try {
        write_postgres(bundle);
    } catch (const std::exception& e) {
        db.reset();
        log::warn("journal is not written; it is kept and tried again", {{"error", e.what()}});
        return false;
    }
    write_events(bundle);
    return true;
}

void JournalWriter::State::write_postgres(Bundle& bundle) {
    if (bundle.nothing_for_postgres()) {
        return;
    }
    if (!db || db->broken()) {
        db.emplace(postgres::Connection::connect(options.db));
    }
    db->transaction([&](postgres::Connection& c) {
        if (!bundle.lines.empty()) {
            c.exec(insert_lines, {json::serialize(bundle.lines)});
        }
        if (!bundle.steps.empty()) {
            c.exec(upsert_steps, {json::serialize(bundle.steps)});
        }
        if (!bundle.rejects.empty()) {
            c.exec(insert_rejects, {json::serialize(bundle.rejects)});
        }
        if (!bundle.progress.empty()) {
            const auto text = json::serialize(bundle.progress);
            c.exec(insert_progress, {text});
            c.exec(update_runs, {text});
        }
    });
}

void JournalWriter::State::write_events(Bundle& bundle) {
    if (bundle.events.empty() || (!redis && !redis_again.passed())) {
        return;
    }
    try {
        if (!redis) {
            redis.emplace(redis::Connection::connect(options.redis, StopToken()));
        }
        for (const auto& event : bundle.events) {
            append_event(*redis, options.stream, event);
        }
        while (redis->pending() > 0) {
            redis->read_reply();
        }
    } catch (const std::exception&) {
        redis.reset();  // events are hints: whoever missed one reads Postgres
        redis_again = Deadline::in(std::chrono::seconds(1));
    }
}

JournalWriter::JournalWriter(Options options) : state_(std::make_unique<State>(std::move(options))) {
    state_->thread = std::thread([state = state_.get()] { state->run(); });
}

JournalWriter::~JournalWriter() {
    {
        std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->wake.notify_one();
    state_->thread.join();
}

void JournalWriter::open(std::shared_ptr<Journal> journal) {
    std::lock_guard lock(state_->mutex);
    state_->journals.push_back(std::move(journal));
}

bool JournalWriter::flush(std::chrono::milliseconds patience) {
    std::unique_lock lock(state_->mutex);
    // The round that runs now may have looked at a journal already: the one after it has everything.
    const auto target = state_->rounds + 2;
    state_->wanted_round = std::max(state_->wanted_round, target);
    state_->wake.notify_one();
    return state_->written.wait_for(lock, patience, [&] { return state_->rounds >= target; });
}

bool JournalWriter::close(const std::shared_ptr<Journal>& journal, std::chrono::milliseconds patience) {
    const bool good = flush(patience);
    if (good) {
        std::lock_guard lock(state_->mutex);
        std::erase(state_->journals, journal);
    }
    return good;
}

void JournalWriter::state_changed(std::string run_id, std::string pipeline, bool created) {
    {
        std::lock_guard lock(state_->mutex);
        state_->events.push_back({created ? "run.created" : "run.state", std::move(run_id), std::move(pipeline), "{}"});
    }
    state_->wake.notify_one();
}

void JournalWriter::pipeline_changed(std::string pipeline) {
    {
        std::lock_guard lock(state_->mutex);
        json::object data{{"name", pipeline}, {"version", 0}, {"by", nullptr}};
        state_->events.push_back({"pipeline.changed", "", pipeline, json::serialize(data)});
    }
    state_->wake.notify_one();
}

}  // namespace headrace::run
