// Takes jobs from a BullMQ queue and runs them. What is where:
//   speaker   one thread, one connection: fetches and finishes for all slots, gathered into one write per turn
//   waiter    one thread, one connection: blocks in BZPOPMIN while the queue is empty
//   keeper    one thread, one connection: renews locks until a finish is acknowledged; looks for stalled jobs
//   slots     up to `concurrency` threads that run the processor (started when first needed)
// User code runs in slots only, so nothing it does can make a lock expire. Each connection reconnects by itself (100 ms
// doubling to 5 s); what was unanswered is sent again, and "not there any more" then counts as done after a look at the
// job's state. A job is executed at least once.
#pragma once

#include "base/error.hpp"
#include "base/stop.hpp"
#include "bullmq/job.hpp"
#include "bullmq/repeat.hpp"
#include "redis/options.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::bullmq {

// What became of a job. Made by the static functions.
struct ProcessResult {
    enum class Kind { completed, failed, delayed, waiting, waiting_children };

    static ProcessResult completed(std::string json = "null");
    // Retried while attempts are left (with the job's backoff), unless unrecoverable. `stack` is kept with the job.
    static ProcessResult failed(std::string message, bool unrecoverable = false, std::string stack = {});
    // Again after `delay`; as an attempt only when `count_attempt`.
    static ProcessResult delayed(Millis delay, bool count_attempt = false);
    // Back to the consuming end of the queue, not counted.
    static ProcessResult waiting();
    // The same, and nobody fetches from the queue for so long (Node: worker.rateLimit(), RateLimitError).
    static ProcessResult rate_limited(Millis limit);
    // Until the job's children are done (add them before, with options.parent or a flow); then it comes again: at once
    // when none is open. When one has failed that should fail its parent, the job fails.
    static ProcessResult waiting_children();

    Kind kind = Kind::completed;
    std::string text = "null";
    std::string stack;
    bool unrecoverable = false;
    Millis delay{0};
    bool count_attempt = false;
};

// Lent to the processor; valid while it runs. Any thread of the processor may use it.
class JobContext {
public:
    virtual ~JobContext() = default;
    // Stops when the lock was lost ("lock lost"), by cancel(), or at shutdown after the grace ("shutdown").
    virtual const StopToken& stop() const = 0;
    virtual const std::string& token() const = 0;
    // Sent in order before the job's finish, without waiting. Latest progress wins. While Redis is away up to 1000 log
    // rows per worker are kept, the rest is dropped; a row whose answer was lost with the connection may come twice.
    virtual void update_progress(std::string json) = 0;
    // Replaces the data of the job (for what comes after a delay or a retry); the latest wins.
    virtual void update_data(std::string json) = 0;
    virtual void log(std::string row) = 0;
};

// Runs in a slot. A thrown Error of kind cancelled is waiting() at a shutdown; cancelled otherwise, permanent, invalid
// and unauthorized fail the job for good; transient, bug and any other exception fail this attempt.
using Processor = std::function<ProcessResult(Job&, JobContext&)>;

struct WorkerEvent {
    enum class Kind {
        connected,
        disconnected,  // the speaker's connection; text: why
        active,
        completed,
        failed,
        retrying,
        delayed,
        returned,
        waiting_children,
        stalled,    // job id; found by this worker's check
        lock_lost,  // the finish was not written, or the stop token was fired
        drained,    // nothing left to fetch
        error,      // text; the worker goes on
        closed
    };
    Kind kind = Kind::error;
    std::string_view job_id;  // both for the time of the call
    std::string_view text;
};

struct Limiter {
    std::int64_t max = 1;
    Millis duration{1000};
};

struct WorkerOptions {
    std::string prefix = "bull";
    std::string name;          // shown by Bull Board, stored in jobs as `pb`
    unsigned concurrency = 1;  // 1..4096
    Millis lock_duration{30'000};
    Millis lock_renew_time{0};  // 0: half of lock_duration
    Millis stalled_interval{30'000};
    unsigned max_stalled_count = 1;
    bool skip_stalled_check = false;
    unsigned max_started_attempts = 0;  // 0: any number
    Millis drain_delay{5'000};          // longest blocking wait; also the safety net for a lost wake-up
    Millis max_rate_limit_delay{30'000};
    std::optional<RemovePolicy> remove_on_complete;  // the job's own option goes first; unset: keep all
    std::optional<RemovePolicy> remove_on_fail;
    std::optional<Limiter> limiter;
    int metrics_points = 0;            // minutes kept; 0: no metrics
    bool redis_clock = false;          // go by Redis' clock; else by this machine's, as Node does
    bool stop_on_expired_lock = true;  // also when Redis is unreachable for a whole lock_duration
    NextTime next_time;                // for jobs of pattern schedulers; without it they are not run
    // For backoff types other than fixed and exponential: the delay, or nullopt to fail for good.
    std::function<std::optional<Millis>(const Job&, const std::string& message)> backoff;
    // Called from the worker's own threads: be quick, do not throw, do not call the worker.
    std::function<void(const WorkerEvent&)> on_event;
};

class Worker {
public:
    // Throws Error{invalid, "config.invalid"} for options out of range. Does not connect yet.
    Worker(redis::Options redis, std::string_view queue, WorkerOptions options, Processor processor);
    // stop(0 s); waits for processors that ignore their stop token.
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Once. Returns at once; a Redis that is away is waited for.
    void start();
    // No new jobs; running ones get `grace`, then their stop token ("shutdown"), then `patience` to end and be written.
    // True when every job that ran was finished and acknowledged. Thread-safe, idempotent.
    bool stop(Millis grace, Millis patience = Millis{10'000});

    void pause();  // no new jobs; running ones go on
    void resume();
    // Fires the stop token of a running job; false when this worker does not run it.
    bool cancel(std::string_view job_id, std::string reason = "cancelled");
    void cancel_all(const std::string& reason = "cancelled");
    unsigned running() const;
    bool connected() const;
    const std::string& id() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace headrace::bullmq
