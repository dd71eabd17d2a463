#include "bullmq/worker.hpp"

#include "bullmq/slots.hpp"
#include "bullmq/speaker.hpp"

#include <algorithm>

namespace headrace::bullmq {
namespace {

constexpr std::string_view shutdown_reason = "shutdown";

Error invalid(std::string message) {
    return Error(ErrorKind::invalid, "config.invalid", std::move(message));
}

WorkerOptions checked_options(WorkerOptions options) {
    if (options.concurrency < 1 || options.concurrency > 4096) {
        throw invalid("the concurrency of a worker must be 1 to 4096");
    }
    if (options.lock_duration < Millis(100) || options.stalled_interval <= Millis(0) ||
        options.drain_delay <= Millis(0)) {
        throw invalid("lock duration (at least 100 ms), stalled interval and drain delay of a worker must be positive");
    }
    if (options.lock_renew_time <= Millis(0)) {
        options.lock_renew_time = options.lock_duration / 2;
    }
    if (options.lock_renew_time >= options.lock_duration) {
        throw invalid("locks must be renewed before they expire");
    }
    if (options.limiter && (options.limiter->max < 1 || options.limiter->duration <= Millis(0))) {
        throw invalid("the limiter of a worker needs a positive count and duration");
    }
    if (options.name.find_first_of(" \r\n\t") != std::string::npos) {
        throw invalid("the name of a worker must not contain white space");
    }
    return options;
}

class Context final : public JobContext {
public:
    Context(const RunningPtr& running, Speaker& speaker)
        : running_(running), speaker_(speaker), stop_(running->stop.token()) {}

    const StopToken& stop() const override { return stop_; }

    const std::string& token() const override { return running_->token; }

    void update_progress(std::string json) override { speaker_.progress(running_, std::move(json)); }

    void update_data(std::string json) override { speaker_.data(running_, std::move(json)); }

    void log(std::string row) override { speaker_.log(running_, std::move(row)); }

private:
    const RunningPtr& running_;  // of Slots, which outlives this
    Speaker& speaker_;
    StopToken stop_;
};

ProcessResult run_processor(const Processor& processor, const RunningPtr& running, JobContext& context) {
    try {
        return processor(running->job, context);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled && context.stop().reason() == shutdown_reason) {
            return ProcessResult::waiting();
        }
        return ProcessResult::failed(
            error.what(), error.kind() != ErrorKind::transient && error.kind() != ErrorKind::bug
        );
    } catch (const std::exception& error) {
        return ProcessResult::failed(error.what());
    } catch (...) {
        return ProcessResult::failed("unknown exception");
    }
}

}  // namespace

ProcessResult ProcessResult::completed(std::string json) {
    ProcessResult out;
    out.text = std::move(json);
    return out;
}

ProcessResult ProcessResult::failed(std::string message, bool unrecoverable, std::string stack) {
    ProcessResult out;
    out.kind = Kind::failed;
    out.text = std::move(message);
    out.unrecoverable = unrecoverable;
    out.stack = std::move(stack);
    return out;
}

ProcessResult ProcessResult::delayed(Millis delay, bool count_attempt) {
    ProcessResult out;
    out.kind = Kind::delayed;
    out.delay = delay;
    out.count_attempt = count_attempt;
    return out;
}

ProcessResult ProcessResult::waiting() {
    ProcessResult out;
    out.kind = Kind::waiting;
    return out;
}

ProcessResult ProcessResult::rate_limited(Millis limit) {
    auto out = waiting();
    out.delay = std::max(limit, Millis(1));
    return out;
}

ProcessResult ProcessResult::waiting_children() {
    ProcessResult out;
    out.kind = Kind::waiting_children;
    return out;
}

// Built and destroyed in this order: slots call the speaker, the speaker calls waiter and keeper.
struct Worker::State {
    State(redis::Options redis, std::string_view queue, WorkerOptions worker_options, Processor user_processor)
        : options(checked_options(std::move(worker_options))),
          processor(std::move(user_processor)),
          keys(queue, options.prefix),
          events([this](WorkerEvent::Kind kind, std::string_view id, std::string_view text) {
              if (options.on_event) {
                  options.on_event({kind, id, text});
              }
          }),
          redis_options(located(std::move(redis), keys)),
          keeper(
              redis_options,
              keys,
              {options.lock_duration,
               options.lock_renew_time,
               options.stalled_interval,
               options.max_stalled_count,
               !options.skip_stalled_check,
               options.stop_on_expired_lock},
              events
          ),
          speaker(redis_options, keys, options, keeper, events),
          waiter(
              redis_options,
              keys,
              options.name,
              options.drain_delay,
              [this](std::optional<std::int64_t> score) { speaker.marker(score); },
              events
          ),
          slots(options.concurrency, [this](const RunningPtr& running) { run(running); }) {}

    void run(const RunningPtr& running) {
        Context context(running, speaker);
        auto result = run_processor(processor, running, context);
        speaker.finished(running, std::move(result));
    }

    void stop_running(const std::string& reason) {
        for (const auto& running : speaker.running()) {
            running->stop.request_stop(reason);
        }
    }

    WorkerOptions options;
    Processor processor;
    Keys keys;
    EventSink events;
    redis::Options redis_options;
    Keeper keeper;
    Speaker speaker;
    Waiter waiter;
    Slots slots;

    std::mutex stop_mutex;
    bool started = false;
    bool stopped = false;
    bool clean = true;
};

Worker::Worker(redis::Options redis, std::string_view queue, WorkerOptions options, Processor processor)
    : state_(std::make_unique<State>(std::move(redis), queue, std::move(options), std::move(processor))) {}

Worker::~Worker() {
    stop(Millis(0));
}

void Worker::start() {
    std::lock_guard guard(state_->stop_mutex);
    if (state_->started || state_->stopped) {
        throw Error(ErrorKind::bug, "internal.bug", "a worker is started once");
    }
    state_->started = true;
    state_->keeper.start();
    state_->waiter.start();
    state_->speaker.start(state_->waiter, state_->slots);
}

bool Worker::stop(Millis grace, Millis patience) {
    auto& s = *state_;
    std::lock_guard guard(s.stop_mutex);
    if (!s.started || s.stopped) {
        return s.clean;
    }
    s.stopped = true;
    s.keeper.set_check_stalled(false);
    s.speaker.close();
    if (!s.speaker.wait_closed(Deadline::in(grace))) {
        s.stop_running(std::string(shutdown_reason));
        s.clean = s.speaker.wait_closed(Deadline::in(patience));
    }
    s.speaker.abort();
    s.waiter.stop();
    s.keeper.stop();
    if (s.events) {
        s.events(WorkerEvent::Kind::closed, {}, {});
    }
    return s.clean;
}

void Worker::pause() {
    state_->keeper.set_check_stalled(false);
    state_->speaker.set_paused(true);
}

void Worker::resume() {
    state_->keeper.set_check_stalled(true);
    state_->speaker.set_paused(false);
}

bool Worker::cancel(std::string_view job_id, std::string reason) {
    for (const auto& running : state_->speaker.running()) {
        if (running->id == job_id) {
            running->stop.request_stop(std::move(reason));
            return true;
        }
    }
    return false;
}

void Worker::cancel_all(const std::string& reason) {
    state_->stop_running(reason);
}

unsigned Worker::running() const {
    return static_cast<unsigned>(state_->speaker.running().size());
}

bool Worker::connected() const {
    return state_->speaker.connected();
}

const std::string& Worker::id() const {
    return state_->speaker.id();
}

}  // namespace headrace::bullmq
