// A BullMQ worker: sleeps as long as it is told and returns the job's data. SIGTERM and SIGINT end it in order; SIGUSR1
// pauses and SIGUSR2 resumes it.
#include "bullmq/worker.hpp"

#include "net/wait.hpp"

#include <CLI/CLI.hpp>
#include <pthread.h>
#include <signal.h>

#include <iostream>

namespace bull = headrace::bullmq;

namespace {

struct Settings {
    std::string url = "redis://127.0.0.1:6379";
    std::string queue = "etl";
    int sleep_ms = 0;
    int fail_first = 0;
    bool unrecoverable = false;
    bool progress = false;
    bool quiet = false;
    bool flaky = false;
    bool deaf = false;
    int grace_ms = 10'000;
    int remove_on_complete = -1;
};

bull::ProcessResult process(const Settings& settings, const bull::Job& job, bull::JobContext& context) {
    if (settings.progress) {
        context.update_progress("50");
        context.log("half of " + job.name);
    }
    // A stop of the job (lost lock, shutdown) ends the sleep at once.
    const auto end = headrace::Deadline::in(bull::Millis(settings.sleep_ms));
    const auto stop = settings.deaf ? headrace::StopToken() : context.stop();
    if (settings.sleep_ms > 0 && headrace::net::wait_readable(-1, end, stop) == headrace::net::Ready::stopped) {
        context.stop().throw_if_stopped();
    }
    const bool is_flaky = settings.flaky && job.attempts_made == 0 && job.data.find("\"flaky\"") != std::string::npos;
    if (is_flaky || job.attempts_made < settings.fail_first) {
        return bull::ProcessResult::failed(
            "attempt " + std::to_string(job.attempts_made + 1) + " fails", settings.unrecoverable
        );
    }
    return bull::ProcessResult::completed(job.data);
}

const char* name_of(bull::WorkerEvent::Kind kind) {
    using Kind = bull::WorkerEvent::Kind;
    switch (kind) {
        case Kind::connected:
            return "connected";
        case Kind::disconnected:
            return "disconnected";
        case Kind::active:
            return "active";
        case Kind::completed:
            return "completed";
        case Kind::failed:
            return "failed";
        case Kind::retrying:
            return "retrying";
        case Kind::delayed:
            return "delayed";
        case Kind::returned:
            return "returned";
        case Kind::waiting_children:
            return "waiting_children";
        case Kind::stalled:
            return "stalled";
        case Kind::lock_lost:
            return "lock_lost";
        case Kind::drained:
            return "drained";
        case Kind::error:
            return "error";
        case Kind::closed:
            return "closed";
    }
    return "?";
}

}  // namespace

int main(int argc, char** argv) try {
    Settings settings;
    bull::WorkerOptions options;
    int lock_ms = 30'000;
    int stalled_ms = 30'000;
    int drain_ms = 5'000;
    int reply_ms = 10'000;

    CLI::App app("Works on a BullMQ queue");
    app.add_option("--redis", settings.url, "URL of Redis")->envname("REDIS_URL");
    app.add_option("--queue", settings.queue, "Queue")->capture_default_str();
    app.add_option("--prefix", options.prefix, "Key prefix")->capture_default_str();
    app.add_option("--name", options.name, "Name of this worker");
    app.add_option("--concurrency", options.concurrency, "Jobs at a time")->capture_default_str();
    app.add_option("--sleep-ms", settings.sleep_ms, "How long a job takes");
    app.add_option("--fail-first", settings.fail_first, "Fail the first N attempts of each job");
    app.add_flag("--unrecoverable", settings.unrecoverable, "Such a failure is final");
    app.add_flag("--progress", settings.progress, "Report progress and a log row");
    app.add_flag("--quiet", settings.quiet, "Print errors only");
    bool no_losses = false;
    app.add_flag("--quiet-losses", no_losses, "Nor lost connections");
    app.add_flag("--deaf", settings.deaf, "Sleep on, whatever happens to the job");
    app.add_flag("--flaky", settings.flaky, "Fail the first attempt of jobs whose data has \"flaky\"");
    app.add_option("--grace-ms", settings.grace_ms, "How long running jobs may take at the end")->capture_default_str();
    app.add_option("--remove-on-complete", settings.remove_on_complete, "How many finished jobs stay; -1: all");
    app.add_option("--lock-ms", lock_ms, "Lock duration")->capture_default_str();
    app.add_option("--stalled-ms", stalled_ms, "Interval of the stalled check")->capture_default_str();
    app.add_option("--drain-ms", drain_ms, "Longest blocking wait")->capture_default_str();
    app.add_option("--reply-timeout-ms", reply_ms, "Longest wait for an answer of Redis")->capture_default_str();
    app.add_option("--max-stalled", options.max_stalled_count, "Stalls before a job fails")->capture_default_str();
    app.add_flag("--redis-clock", options.redis_clock, "Go by Redis' clock instead of this machine's");
    app.add_option("--metrics", options.metrics_points, "Minutes of metrics to keep");
    CLI11_PARSE(app, argc, argv);

    options.lock_duration = bull::Millis(lock_ms);
    options.stalled_interval = bull::Millis(stalled_ms);
    options.drain_delay = bull::Millis(drain_ms);
    options.remove_on_complete = bull::RemovePolicy(std::int64_t{settings.remove_on_complete});
    // One line is one write, so that the lines of several threads do not mix.
    options.on_event = [&](const bull::WorkerEvent& event) {
        using Kind = bull::WorkerEvent::Kind;
        const bool important =
            event.kind == Kind::error || event.kind == Kind::lock_lost || event.kind == Kind::disconnected;
        if (!settings.quiet || (important && !no_losses)) {
            std::string line(name_of(event.kind));
            line.append("\t").append(event.job_id).append("\t").append(event.text).append("\n");
            std::cout << line << std::flush;
        }
    };

    // Blocked before any thread starts, so that all threads inherit it and only sigwait sees them.
    sigset_t signals;
    sigemptyset(&signals);
    for (int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) {
        sigaddset(&signals, signal);
    }
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN);

    auto redis = headrace::redis::parse_redis_url(settings.url);
    redis.reply_timeout = bull::Millis(reply_ms);
    bull::Worker worker(redis, settings.queue, options, [&](bull::Job& job, bull::JobContext& context) {
        return process(settings, job, context);
    });
    worker.start();
    for (int signal = 0; signal != SIGTERM && signal != SIGINT;) {
        sigwait(&signals, &signal);
        if (signal == SIGUSR1) {
            worker.pause();
        } else if (signal == SIGUSR2) {
            worker.resume();
        }
    }
    return worker.stop(bull::Millis(settings.grace_ms)) ? 0 : 3;
} catch (const std::exception& error) {
    std::cerr << "worker: " << error.what() << '\n';
    return 1;
}
