// Our worker in --mode wake of producer.cpp: bullmq_wake_worker --port P --queue Q; returns the time at which its
// processor began, in ns of the monotonic clock. Ends by SIGTERM.
#include "bullmq/worker.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <csignal>
#include <iostream>
#include <string>

namespace bull = headrace::bullmq;

namespace {

int run(int argc, char** argv) {
    int port = 6379;
    std::string queue = "wake";
    CLI::App app("Tells when its jobs began");
    app.add_option("--port", port);
    app.add_option("--queue", queue);
    CLI11_PARSE(app, argc, argv);

    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    const auto redis = headrace::redis::parse_redis_url("redis://127.0.0.1:" + std::to_string(port));
    bull::WorkerOptions options;
    options.concurrency = 10;
    bull::Worker worker(redis, queue, options, [](bull::Job&, bull::JobContext&) {
        const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
        return bull::ProcessResult::completed(std::to_string(now));
    });
    worker.start();
    int signal = 0;
    sigwait(&ends, &signal);
    return worker.stop(bull::Millis(1'000)) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "worker: " << error.what() << '\n';
        return 1;
    }
}
