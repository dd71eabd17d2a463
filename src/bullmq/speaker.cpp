#include "bullmq/speaker.hpp"

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/killpoint.hpp"

#include <poll.h>

#include <algorithm>
#include <span>
#include <utility>

namespace headrace::bullmq {
namespace {

constexpr std::size_t max_notes = 1000;
constexpr std::chrono::microseconds gather_time{100};

// poll() counts in whole milliseconds, which is late for a delayed job.
void sleep_until(Deadline::Clock::time_point wake, std::span<pollfd> entries) {
    using namespace std::chrono;
    timespec left{};
    if (wake != Deadline::Clock::time_point::max()) {
        const auto span = std::clamp<nanoseconds>(wake - Deadline::Clock::now(), nanoseconds(0), hours(1));
        left.tv_sec = duration_cast<seconds>(span).count();
        left.tv_nsec = (span % seconds(1)).count();
    }
    ::ppoll(entries.data(), entries.size(), wake == Deadline::Clock::time_point::max() ? nullptr : &left, nullptr);
}

}  // namespace

Speaker::Speaker(
    redis::Options options,
    const Keys& keys,
    const WorkerOptions& worker,
    Keeper& keeper,
    EventSink events
)
    : options_(std::move(options)),
      worker_(worker),
      keeper_(keeper),
      events_(std::move(events)),
      calls_(keys),
      id_(make_uuid_v4()) {
    settings_.lock_duration = worker.lock_duration;
    settings_.worker_name = worker.name;
    settings_.metrics_points = worker.metrics_points;
    if (worker.limiter) {
        settings_.limiter = {worker.limiter->max, worker.limiter->duration};
    }
}

void Speaker::start(Waiter& waiter, Slots& slots) {
    waiter_ = &waiter;
    slots_ = &slots;
    thread_ = std::thread([this] { run(); });
}

// --- any thread

template <class Write>
void Speaker::post(bool urgent, Write&& write) {
    {
        std::lock_guard guard(mutex_);
        write(mail_);
    }
    if (urgent ? finishes_to_wake_.exchange(0) > 0 : finishes_to_wake_.fetch_sub(1) == 1) {
        waker_.wake();
    }
}

void Speaker::finished(RunningPtr running, ProcessResult result) {
    post(false, [&](Mail& mail) { mail.finished.emplace_back(std::move(running), std::move(result)); });
}

void Speaker::progress(const RunningPtr& running, std::string json) {
    latest(Note::progress, running, std::move(json));
}

void Speaker::data(const RunningPtr& running, std::string json) {
    latest(Note::data, running, std::move(json));
}

void Speaker::latest(Note kind, const RunningPtr& running, std::string json) {
    post(true, [&](Mail& mail) {
        for (auto& old : mail.notes) {
            if (old.running == running && old.note == kind) {
                old.result.text = std::move(json);
                return;
            }
        }
        auto& note = mail.notes.emplace_back();
        note.note = kind;
        note.running = running;
        note.result.text = std::move(json);
    });
}

void Speaker::log(const RunningPtr& running, std::string row) {
    post(true, [&](Mail& mail) {
        if (mail.notes.size() < max_notes) {
            auto& note = mail.notes.emplace_back();
            note.running = running;
            note.result.text = std::move(row);
        }
    });
}

void Speaker::marker(std::optional<std::int64_t> score) {
    post(true, [&](Mail& mail) { mail.marker = score; });
}

void Speaker::set_paused(bool paused) {
    {
        std::lock_guard guard(mutex_);
        paused_ = paused;
    }
    waker_.wake();
}

void Speaker::close() {
    {
        std::lock_guard guard(mutex_);
        closing_ = true;
    }
    waker_.wake();
}

bool Speaker::wait_closed(Deadline deadline) {
    std::unique_lock lock(mutex_);
    auto over = [this] { return ended_; };
    if (deadline.when() == Clock::time_point::max()) {
        ended_changed_.wait(lock, over);
        return true;
    }
    return ended_changed_.wait_until(lock, deadline.when(), over);
}

void Speaker::abort() {
    abort_.request_stop("closing");
    if (thread_.joinable()) {
        thread_.join();
    }
}

std::vector<RunningPtr> Speaker::running() const {
    std::lock_guard guard(mutex_);
    return held_.items();
}

// --- the speaker's thread

void Speaker::run() {
    const auto abort = abort_.token();
    while (!abort.stop_requested()) {
        try {
            read_mail();
            if (finished_closing()) {
                break;
            }
            turn();
        } catch (const Error& error) {
            if (abort.stop_requested()) {
                break;
            }
            connection_failed(error);
        } catch (const std::exception& error) {
            connection_failed(as_error(std::current_exception()));
        }
    }
    connected_ = false;
    connection_.reset();
    std::lock_guard guard(mutex_);
    ended_ = true;
    ended_changed_.notify_all();
}

void Speaker::turn() {
    if (!connection_ && reconnect_.due(Clock::now())) {
        reconnect();
    }
    if (connection_) {
        plan();
        send();
        // Asked only when poll() saw something: an answer is never there right after its question.
        if (std::exchange(readable_, false)) {
            receive();
            plan();
            send();
        }
        check_answers_come();
    }
    // The answer just read may have been the last that closing waited for: nothing would wake us again.
    if (!finished_closing()) {
        wait();
    }
}

void Speaker::read_mail() {
    auto mail = std::move(empty_mail_);
    {
        std::lock_guard guard(mutex_);
        // Notes stay in the mailbox, which is bounded, while they cannot be sent.
        if (!connection_) {
            std::swap(mail.finished, mail_.finished);
            std::swap(mail.marker, mail_.marker);
        } else {
            std::swap(mail, mail_);
        }
        if (paused_ && !paused_now_) {
            waiter_->disarm();
        }
        if (!paused_ && paused_now_) {
            drained_ = false;
        }
        paused_now_ = paused_;
        if (closing_ && !closing_now_) {
            waiter_->disarm();
        }
        closing_now_ = closing_;
    }
    for (auto& note : mail.notes) {
        const auto& id = note.running->id;
        note.call = note.note == Note::progress ? calls_.update_progress(id, note.result.text)
                    : note.note == Note::data   ? calls_.update_data(id, note.result.text)
                                                : calls_.add_log(id, note.result.text, note.running->keep_logs);
        outbox_.push_back(std::move(note));
    }
    if (mail.marker) {
        marker_came(*mail.marker);
    }
    handed_out_ -= std::min(handed_out_, mail.finished.size());
    for (auto& [running, result] : mail.finished) {
        finish(running, std::move(result));
    }
    mail.finished.clear();
    mail.notes.clear();
    mail.marker.reset();
    empty_mail_ = std::move(mail);
}

bool Speaker::finished_closing() {
    if (!closing_now_) {
        return false;
    }
    const auto is_fetch = [](const Pending& pending) { return pending.what == What::fetch; };
    std::erase_if(outbox_, is_fetch);
    const bool expecting =
        std::any_of(in_flight_.begin(), in_flight_.end(), [](const Pending& p) { return p.fetches; });
    std::lock_guard guard(mutex_);
    return held_.items().empty() && (!expecting || !connection_) && mail_.finished.empty();
}

void Speaker::reconnect() {
    try {
        connection_.emplace(redis::Connection::connect(options_, abort_.token()));
        clock_answered(connection_->command_raw({"TIME"}));
        adopt();
        dispatch();
    } catch (const Error&) {
        connection_.reset();
        throw;
    }
    reconnect_.succeeded();
    connected_ = true;
    drained_ = false;
    events_(WorkerEvent::Kind::connected, {}, connection_->name());
}

void Speaker::connection_failed(const Error& error) {
    const bool was_connected = connected_.exchange(false);
    connection_.reset();
    rest_at_ = {};
    dispatch();
    reconnect_.failed(Clock::now());
    // What was written is unanswered: in order, before everything newer.
    for (auto& pending : in_flight_) {
        pending.resent = true;
    }
    outbox_.splice(outbox_.begin(), in_flight_);
    send_again();
    events_(was_connected ? WorkerEvent::Kind::disconnected : WorkerEvent::Kind::error, {}, error.what());
}

void Speaker::send() {
    const auto now = Clock::now();
    if (outbox_.empty() || now < rest_at_) {
        return;
    }
    // Redis answers together what it has read together, and has nothing to do while we turn that round. So when it is
    // idle it gets one half first, and the other when it is at work: from then on the two take turns.
    auto left = outbox_.size();
    if (in_flight_.empty() && left > 1) {
        left = (left + 1) / 2;
        rest_at_ = now + gather_time;
    }
    bool finishes = false;
    while (left-- > 0) {
        auto& pending = outbox_.front();
        finishes = finishes || pending.what == What::finish;
        connection_->append_encoded(pending.call.resp);
        pending.sent = now;
        in_flight_.splice(in_flight_.end(), outbox_, outbox_.begin());
    }
    connection_->flush();
    if (finishes) {
        HEADRACE_POINT("K17");
    }
}

void Speaker::dispatch() {
    if (ready_.empty()) {
        return;
    }
    handed_out_ += ready_.size();
    gather_until_ = Clock::now() + gather_time;
    if (ready_.size() > 1 && spread_at_ == Clock::time_point::max()) {
        spread_at_ = gather_until_;
    }
    slots_->push(std::move(ready_));
}

void Speaker::check_answers_come() {
    if (!in_flight_.empty() && Clock::now() - in_flight_.front().sent > options_.reply_timeout) {
        throw Error(ErrorKind::transient, "redis.timeout", connection_->name() + ": no answer in time");
    }
}

Speaker::Clock::time_point Speaker::next_wake() const {
    auto wake = Clock::time_point::max();
    if (!connection_) {
        return reconnect_.next();
    }
    if (!in_flight_.empty()) {
        wake = std::min(wake, in_flight_.front().sent + options_.reply_timeout + Millis(1));
    }
    if (may_fetch() && fetching_ == 0 && has_room()) {
        wake = std::min(wake, safety_);
        if (limited_until_ > Clock::now()) {
            wake = std::min(wake, limited_until_);
        } else if (due_ms_ > 0) {
            // poll() waits on the monotonic clock, so a stepped wall clock is noticed at the latest by the safety
            // fetch.
            const auto due = std::chrono::sys_time<Millis>(Millis(due_ms_));
            const auto left = std::chrono::duration_cast<Clock::duration>(due - now());
            wake = std::min(wake, Clock::now() + std::clamp<Clock::duration>(left, {}, std::chrono::hours(1)));
        }
    }
    return wake;
}

// How many finishes must be there before the turn goes on.
std::size_t Speaker::worth_waking() const {
    if (handed_out_ < 2 || !connection_) {
        return 1;
    }
    return in_flight_.empty() ? (handed_out_ + 1) / 2 : handed_out_;
}

// Calls more slots when the first has met a job that takes its time. When to look again.
Speaker::Clock::time_point Speaker::spread() {
    const bool due = spread_at_ <= Clock::now();
    if (due) {
        slots_->spread();
    }
    if (due || !slots_->behind()) {
        spread_at_ = Clock::time_point::max();
    }
    return spread_at_;
}

void Speaker::wait() {
    readable_ = true;  // when there is no time to ask poll(): a flood of notes must not keep answers unread
    const auto next_spread = spread();
    auto wake = std::min(next_wake(), next_spread);
    if (connection_ && !outbox_.empty()) {
        if (rest_at_ <= Clock::now()) {
            return;
        }
        wake = std::min(wake, rest_at_);
    }
    if (handed_out_ > 0 && Clock::now() >= gather_until_) {
        handed_out_ = 0;
    } else if (handed_out_ > 1) {
        wake = std::min(wake, gather_until_);
    }
    const auto enough = worth_waking();
    {
        // Mail that is there already has woken nobody.
        std::lock_guard guard(mutex_);
        if (mail_.finished.size() >= enough || (connection_ && !mail_.notes.empty()) || mail_.marker ||
            paused_ != paused_now_ || closing_ != closing_now_) {
            return;
        }
        finishes_to_wake_ = static_cast<int>(enough - mail_.finished.size());
    }
    short events = POLLIN;
    if (connection_ && connection_->wants_write()) {
        events |= POLLOUT;
    }
    pollfd entries[3] = {
        {connection_ ? connection_->fd() : -1, events, 0}, {waker_.fd(), POLLIN, 0}, {abort_.token().fd(), POLLIN, 0}};
    sleep_until(wake, entries);
    finishes_to_wake_ = 0;
    if (entries[1].revents != 0) {
        waker_.drain();
    }
    readable_ = entries[0].revents != 0;
    if (connection_ && in_flight_.empty() && readable_ && connection_->peer_is_gone()) {
        throw Error(ErrorKind::transient, "redis.connect", connection_->name() + ": the server closed the connection");
    }
}

}  // namespace headrace::bullmq
