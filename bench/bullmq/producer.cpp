// Our producer, as bench/bullmq/run.mjs asks for it: bullmq_producer --port P --queue Q --mode seq|inflight|bulk --n N
// Prints one line of JSON: {"seconds": …, "cpuSeconds": …}. --mode wake: how fast whatever worker waits at the queue
// is; in ms, medians of n: from the return of an add to the start of the processor (which returns the time at which it
// started, in ns of the clock that all programs of a machine share), and to the news that the job is completed.
#include "bullmq/add_stream.hpp"
#include "bullmq/queue.hpp"
#include "redis/connection.hpp"

#include <CLI/CLI.hpp>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

namespace bull = headrace::bullmq;

namespace {

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double milliseconds(std::chrono::steady_clock::duration span) {
    return std::chrono::duration<double, std::milli>(span).count();
}

// The worker has to be idle at each add: XREAD with nothing to come is the pause between them.
int wake(const headrace::redis::Options& redis, bull::Queue& queue, long n) {
    using Clock = std::chrono::steady_clock;
    auto events = headrace::redis::Connection::connect(redis, {});
    const auto key = queue.keys().events;
    std::vector<double> starts;
    std::vector<double> ends;
    for (long i = 0; i < n; ++i) {
        while (!events.command({"XREAD", "BLOCK", "30", "STREAMS", key, "$"}).is_nil()) {
        }
        auto last = events.command({"XREVRANGE", key, "+", "-", "COUNT", "1"}).at(0).at(0).text();
        const auto id = queue.add("job", "{}");
        const auto added = Clock::now();
        for (bool done = false; !done;) {
            const auto news = events.command({"XREAD", "BLOCK", "5000", "STREAMS", key, last});
            for (const auto& entry : news.at(0).at(1).elements()) {
                last = entry.at(0).str();
                done = done || entry.at(1).at(1).str() == "completed";
            }
        }
        ends.push_back(milliseconds(Clock::now() - added));
        const auto started = std::stoll(queue.job(id).value().return_value);
        starts.push_back(milliseconds(Clock::duration(started) - added.time_since_epoch()));
    }
    std::sort(starts.begin(), starts.end());
    std::sort(ends.begin(), ends.end());
    const auto middle = static_cast<std::size_t>(n / 2);
    std::cout << R"({"start":)" << starts[middle] << R"(,"worstStart":)" << starts.back() << R"(,"end":)"
              << ends[middle] << "}\n";
    return 0;
}

int run(int argc, char** argv) {
    int port = 6379;
    long n = 10'000;
    std::string name = "add";
    std::string mode = "seq";
    CLI::App app("Adds jobs as fast as it can");
    app.add_option("--port", port);
    app.add_option("--queue", name);
    app.add_option("--mode", mode)->check(CLI::IsMember({"seq", "inflight", "bulk", "wake"}));
    app.add_option("--n", n);
    CLI11_PARSE(app, argc, argv);

    const std::string data = R"({"userId":12345,"kind":"extract","path":"s3://bucket/some/object/key.json","n":42})";
    const auto redis = headrace::redis::parse_redis_url("redis://127.0.0.1:" + std::to_string(port));
    bull::Queue queue(redis, name);
    if (mode == "wake") {
        return wake(redis, queue, n);
    }
    queue.add("warm", data);
    const auto start = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    if (mode == "seq") {
        for (long i = 0; i < n; ++i) {
            queue.add("job", data);
        }
    } else if (mode == "inflight") {
        bull::AddStream stream(queue, 100);
        for (long i = 0; i < n; ++i) {
            stream.add("job", data);
        }
        stream.finish();
    } else {
        const std::vector<bull::NewJob> jobs(1000, bull::NewJob{"job", data, {}});
        for (long i = 0; i < n; i += 1000) {
            queue.add_bulk(std::span(jobs).first(static_cast<std::size_t>(std::min(1000L, n - i))));
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::cout << R"({"seconds":)" << took.count() << R"(,"cpuSeconds":)" << cpu_seconds() - cpu << "}\n";
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "producer: " << error.what() << '\n';
        return 1;
    }
}
