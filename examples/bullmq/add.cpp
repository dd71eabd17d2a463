// Adds jobs to a BullMQ queue and prints their ids, one a line.
#include "bullmq/queue.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <vector>

namespace bull = headrace::bullmq;

int main(int argc, char** argv) try {
    std::string url = "redis://127.0.0.1:6379";
    std::string queue_name = "etl";
    std::string prefix = "bull";
    std::string job_name = "example";
    std::string data = "{}";
    int count = 1;
    int delay_ms = 0;
    int backoff_ms = 0;
    bull::JobOptions options;

    CLI::App app("Adds jobs to a BullMQ queue");
    app.add_option("--redis", url, "redis://[user:password@]host:port/db, rediss://, redis+unix:///path")
        ->envname("REDIS_URL");
    app.add_option("--queue", queue_name, "Queue")->capture_default_str();
    app.add_option("--prefix", prefix, "Key prefix")->capture_default_str();
    app.add_option("--name", job_name, "Name of the job")->capture_default_str();
    app.add_option("--data", data, "JSON")->capture_default_str();
    app.add_option("--count", count, "How many")->check(CLI::Range(1, 1'000'000));
    app.add_option("--job-id", options.job_id, "Own id (with --count 1)");
    app.add_option("--delay", delay_ms, "Milliseconds to wait before it may start");
    app.add_option("--priority", options.priority, "1 (first) to 2097151");
    app.add_option("--attempts", options.attempts, "Tries in all");
    app.add_option("--backoff", backoff_ms, "Milliseconds between tries, doubling");
    app.add_flag("--lifo", options.lifo, "In front of the others");
    CLI11_PARSE(app, argc, argv);

    options.delay = bull::Millis(delay_ms);
    if (backoff_ms > 0) {
        options.backoff = bull::Backoff{"exponential", bull::Millis(backoff_ms), std::nullopt};
    }
    bull::Queue queue(headrace::redis::parse_redis_url(url), queue_name, prefix);
    if (count == 1) {
        std::cout << queue.add(job_name, data, options) << '\n';
    } else {
        std::vector<bull::NewJob> jobs(static_cast<std::size_t>(count), bull::NewJob{job_name, data, options});
        for (const auto& id : queue.add_bulk(jobs)) {
            std::cout << id << '\n';
        }
    }
    return 0;
} catch (const std::exception& error) {
    std::cerr << "add: " << error.what() << '\n';
    return 1;
}
