// Inside of the worker: the one thread that fetches and finishes. Everything that slots, waiter and the owner want is
// put into a mailbox; each turn takes all of it, writes it at once and then polls the connection and the mailbox.
//
// Finishes are gathered: after a batch of jobs was handed out, the speaker is woken when half of them are back (all,
// while Redis has other calls to answer), or after 100 µs. An idle Redis gets one half of what is to be written, and
// the other when it is at work. So jobs that are over at once travel together, in two groups of which one is always at
// Redis, and a slow job holds up nobody.
//
// Connection states: connected ⇄ waiting (until Reconnect says so). On a loss, unanswered finishes are sent again after
// the new connection has looked whether the lost answers had given us jobs (adopt); unanswered plain fetches are
// dropped.
#pragma once

#include "bullmq/backoff.hpp"
#include "bullmq/keeper.hpp"
#include "bullmq/running.hpp"
#include "bullmq/scripts.hpp"
#include "bullmq/slots.hpp"
#include "bullmq/waiter.hpp"
#include "net/wait.hpp"
#include "redis/connection.hpp"

#include <atomic>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace headrace::bullmq {

class Speaker {
public:
    Speaker(redis::Options options, const Keys& keys, const WorkerOptions& worker, Keeper& keeper, EventSink events);

    ~Speaker() { abort(); }

    Speaker(const Speaker&) = delete;
    Speaker& operator=(const Speaker&) = delete;

    void start(Waiter& waiter, Slots& slots);
    // --- any thread
    void finished(RunningPtr running, ProcessResult result);
    void progress(const RunningPtr& running, std::string json);
    void data(const RunningPtr& running, std::string json);
    void log(const RunningPtr& running, std::string row);
    void marker(std::optional<std::int64_t> score);  // the waiter's answer
    void set_paused(bool paused);
    void close();                         // no new jobs; the thread ends when all are acknowledged
    bool wait_closed(Deadline deadline);  // true when it has ended by itself
    void abort();                         // end now; what is unacknowledged stays so
    std::vector<RunningPtr> running() const;

    bool connected() const { return connected_; }

    const std::string& id() const { return id_; }

private:
    using Clock = Deadline::Clock;
    enum class What { fetch, finish, release, park, arm, note, state, clock, done };
    enum class Note { progress, data, log };

    struct Pending {
        What what = What::note;
        Call call;
        RunningPtr running;
        std::string token;     // of a fetch
        ProcessResult result;  // of a finish: what it says
        Note note = Note::log;
        bool fetches = false;  // its answer may bring a job
        bool resent = false;
        WorkerEvent::Kind event = WorkerEvent::Kind::completed;  // told when acknowledged
        Clock::time_point sent{};
    };

    struct Mail {
        std::vector<std::pair<RunningPtr, ProcessResult>> finished;
        std::vector<Pending> notes;
        std::optional<std::optional<std::int64_t>> marker;
    };

    // speaker.cpp: the turn
    void run();
    void turn();
    void read_mail();
    void send();
    void wait();
    void connection_failed(const Error& error);
    void reconnect();
    bool finished_closing();
    void check_answers_come();
    template <class Write>
    void post(bool urgent, Write&& write);
    std::size_t worth_waking() const;
    Clock::time_point spread();
    void latest(Note kind, const RunningPtr& running, std::string json);
    Clock::time_point next_wake() const;

    // fetching.cpp: when to fetch and what a fetch brings
    void plan();
    void fetch();
    void marker_came(std::optional<std::int64_t> score);
    void take(const redis::Reply& reply, std::string token);
    void begin(const RunningPtr& running);
    void arm_scheduler(const RunningPtr& running);
    void launch(const RunningPtr& running);
    void adopt();
    bool may_fetch() const;
    void look_at_clock();
    void clock_answered(const redis::ReplyPart& reply);
    std::chrono::system_clock::time_point now() const;  // by the clock that the worker goes by
    std::int64_t now_ms() const;

    bool has_room() const { return held_.items().size() < worker_.concurrency; }

    void dispatch();

    // finishing.cpp: how jobs end
    void finish(const RunningPtr& running, ProcessResult result);
    void fail(Pending& out, const RunningPtr& running);
    void receive();
    void answered(Pending&& pending, const redis::Reply& reply);
    void send_again();
    void finish_answered(Pending&& pending, const redis::Reply& reply);
    void refused(Pending&& pending, Code code);
    void parked(Pending&& pending, const redis::Reply& reply);
    void let_go(const RunningPtr& running);
    std::list<Pending> blank();
    KeepJobs keep_of(const Job& job, bool failed) const;
    std::optional<Millis> retry_delay(const Job& job, const ProcessResult& result) const;

    redis::Options options_;
    const WorkerOptions& worker_;
    Keeper& keeper_;
    Waiter* waiter_ = nullptr;
    Slots* slots_ = nullptr;
    EventSink events_;
    Calls calls_;
    FetchSettings settings_;
    std::string id_;
    std::uint64_t next_token_ = 0;

    // --- the speaker thread's own
    std::optional<redis::Connection> connection_;
    Reconnect reconnect_;
    std::list<Pending> outbox_;      // to be written; a call stays in its node until it is answered
    std::list<Pending> in_flight_;   // written, in order
    std::list<Pending> spare_;       // for their memory
    std::list<Pending> again_;       // answered by NOSCRIPT in this turn: older than what is in flight
    std::vector<RunningPtr> ready_;  // to be handed to the slots, together
    Mail empty_mail_;                // for its memory
    std::size_t fetching_ = 0;       // plain fetches in outbox_ or in_flight_
    bool readable_ = false;          // poll() saw something at the connection
    bool drained_ = false;           // the last fetch brought nothing
    bool waiting_ = false;           // the waiter is armed
    bool paused_now_ = false;
    bool closing_now_ = false;
    std::int64_t due_ms_ = 0;  // of the next delayed job; 0: none
    // Redis' clock less our monotonic one, which nobody sets; unset: we go by the wall clock.
    std::optional<std::chrono::nanoseconds> redis_ahead_;
    Clock::time_point next_look_{};  // at Redis' clock
    Clock::time_point limited_until_{};
    Clock::time_point safety_{};  // fetch then, even if the waiter is silent
    std::size_t handed_out_ = 0;  // of the batch that is being gathered: not back yet
    Clock::time_point gather_until_{};
    Clock::time_point rest_at_{};  // the rest of the outbox is written then, or with the first answer
    Clock::time_point spread_at_ = Clock::time_point::max();  // if slots are still behind then

    mutable std::mutex mutex_;  // guards what follows
    Mail mail_;
    RunningList<&Running::held_place> held_;  // changed by the speaker alone, which therefore reads it freely
    bool paused_ = false;
    bool closing_ = false;
    bool ended_ = false;
    std::condition_variable ended_changed_;

    std::atomic<bool> connected_{false};
    std::atomic<int> finishes_to_wake_{0};  // so many more, then the waker is called; not positive: awake anyway
    net::Waker waker_;
    StopSource abort_;
    std::thread thread_;
};

}  // namespace headrace::bullmq
