// The floor of a BullMQ client: one connection, `depth` calls of BullMQ's own scripts in flight, no job is decoded or
// run.
//   bullmq_floor --port P --queue Q --mode add|drain|wake --n N --depth D
// Prints one line of JSON: {"seconds": …, "cpuSeconds": …}. All but what differs from call to call is written once.
// wake: waits in BZPOPMIN, fetches, and finishes each of n jobs with the time at which it had it (producer.cpp).
#include "base/embedded.hpp"
#include "bullmq/msgpack.hpp"
#include "redis/resp.hpp"

#include <CLI/CLI.hpp>
#include <hiredis/hiredis.h>
#include <sys/resource.h>

#include <chrono>
#include <deque>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace headrace::bullmq::scripts {
std::span<const EmbeddedFile> all();
}

namespace {

using headrace::bullmq::MapPacker;
using headrace::bullmq::Packer;
using headrace::redis::append_argument;
using Reply = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;

// Of every job that run.mjs adds; workers give it back as their result.
constexpr std::string_view job_data =
    R"({"userId":12345,"kind":"extract","path":"s3://bucket/some/object/key.json","n":42})";

struct Settings {
    int port = 6379;
    std::string queue = "floor";
    std::string mode = "drain";
    long n = 50'000;
    std::size_t depth = 100;
};

std::string now_ms() {
    using namespace std::chrono;
    return std::to_string(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Floor {
public:
    explicit Floor(const Settings& settings)
        : settings_(settings), base_("bull:" + settings.queue + ":"), redis_(redisConnect("127.0.0.1", settings.port)) {
        if (redis_ == nullptr || redis_->err != 0) {
            throw std::runtime_error("no Redis");
        }
    }

    Floor(const Floor&) = delete;
    Floor& operator=(const Floor&) = delete;

    ~Floor() { redisFree(redis_); }

    void run() {
        if (settings_.mode == "add") {
            add();
        } else if (settings_.mode == "drain") {
            drain();
        } else {
            wake();
        }
    }

    void prepare() {
        if (settings_.mode == "add") {
            add_head_ = head(
                "addStandardJob-9",
                9,
                3,
                {"wait", "paused", "meta", "id", "completed", "delayed", "active", "events", "marker"}
            );
            return;
        }
        active_head_ = head(
            "moveToActive-11",
            11,
            3,
            {"wait",
             "active",
             "prioritized",
             "events",
             "stalled",
             "limiter",
             "delayed",
             "paused",
             "meta",
             "pc",
             "marker"}
        );
        finish_head_ = head(
            "moveToFinished-14",
            14,
            9,
            {"wait",
             "active",
             "prioritized",
             "events",
             "stalled",
             "limiter",
             "delayed",
             "paused",
             "meta",
             "pc",
             "completed"}
        );
    }

private:
    // EVALSHA sha count keys…, up to where the calls begin to differ.
    std::string head(std::string_view name, int keys, std::size_t args, std::vector<std::string> names) {
        for (const auto& file : headrace::bullmq::scripts::all()) {
            if (file.name == name) {
                Reply reply(
                    static_cast<redisReply*>(
                        redisCommand(redis_, "SCRIPT LOAD %b", file.content.data(), file.content.size())
                    ),
                    freeReplyObject
                );
                std::string out;
                headrace::redis::append_head(out, 3 + static_cast<std::size_t>(keys) + args);
                append_argument(out, "EVALSHA");
                append_argument(out, std::string_view(reply->str, reply->len));
                append_argument(out, std::int64_t{keys});
                for (const auto& key : names) {
                    append_argument(out, base_ + key);
                }
                return out;
            }
        }
        throw std::runtime_error("no script " + std::string(name));
    }

    void send(const std::string& call) { redisAppendFormattedCommand(redis_, call.data(), call.size()); }

    Reply receive() {
        void* reply = nullptr;
        if (redisGetReply(redis_, &reply) != REDIS_OK) {
            throw std::runtime_error("lost Redis");
        }
        Reply out(static_cast<redisReply*>(reply), freeReplyObject);
        if (out->type == REDIS_REPLY_ERROR || (out->type == REDIS_REPLY_INTEGER && out->integer < 0)) {
            throw std::runtime_error("a script refused");
        }
        return out;
    }

    void add() {
        Packer packed;
        packed.map(1);
        packed.string("attempts");
        packed.integer(0);
        const auto options = packed.take();
        long sent = 0;
        for (long done = 0; done < settings_.n; ++done) {
            for (; sent < settings_.n && sent - done < static_cast<long>(settings_.depth); ++sent) {
                Packer job;
                job.array(10);
                job.string(base_);
                job.string("");
                job.string("job");
                job.integer(std::stoll(now_ms()));
                for (int i = 0; i < 6; ++i) {
                    job.nil();
                }
                call_ = add_head_;
                append_argument(call_, job.take());
                append_argument(call_, job_data);
                append_argument(call_, options);
                send(call_);
            }
            receive();
        }
    }

    void drain() {
        std::deque<std::size_t> asked;
        std::vector<std::string> finish_options;
        for (std::size_t slot = 0; slot < settings_.depth; ++slot) {
            const auto token = "9f1c2d3e-0000-4000-8000-00000000f100:" + std::to_string(slot);
            finish_options.push_back(packed_finish(token));
            fetch(token);
            asked.push_back(slot);
        }
        while (!asked.empty()) {
            const auto slot = asked.front();
            asked.pop_front();
            auto reply = receive();
            if (reply->type == REDIS_REPLY_ARRAY && reply->element[0]->type == REDIS_REPLY_ARRAY) {
                finish({reply->element[1]->str, reply->element[1]->len}, job_data, true, finish_options[slot]);
                asked.push_back(slot);
            }
        }
    }

    void wake() {
        const std::string token = "9f1c2d3e-0000-4000-8000-00000000f100:0";
        const auto options = packed_finish(token);
        const std::string marker = base_ + "marker";
        for (long done = 0; done < settings_.n;) {
            Reply(static_cast<redisReply*>(redisCommand(redis_, "BZPOPMIN %s 5", marker.c_str())), freeReplyObject);
            fetch(token);
            const auto reply = receive();
            if (reply->type == REDIS_REPLY_ARRAY && reply->element[0]->type == REDIS_REPLY_ARRAY) {
                const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
                finish({reply->element[1]->str, reply->element[1]->len}, std::to_string(now), false, options);
                receive();
                ++done;
            }
        }
    }

    void fetch(const std::string& token) {
        MapPacker options;
        options.add("token", token);
        options.add("lockDuration", std::int64_t{30'000});
        call_ = active_head_;
        append_argument(call_, base_);
        append_argument(call_, now_ms());
        append_argument(call_, options.take());
        send(call_);
    }

    static std::string packed_finish(const std::string& token) {
        MapPacker keep;
        keep.add("count", std::int64_t{-1});
        MapPacker options;
        options.add("token", token);
        options.add("lockDuration", std::int64_t{30'000});
        options.add_packed("keepJobs", keep.take());
        options.add("attempts", std::int64_t{0});
        options.add("maxMetricsSize", "");
        for (const auto* flag : {"fpof", "cpof", "idof", "rdof"}) {
            options.add(flag, false);
        }
        return options.take();
    }

    void finish(std::string_view id, std::string_view value, bool fetch_next, const std::string& options) {
        call_ = finish_head_;
        append_argument(call_, base_ + std::string(id));
        append_argument(call_, base_ + "metrics:completed");
        append_argument(call_, base_ + "marker");
        append_argument(call_, id);
        append_argument(call_, now_ms());
        append_argument(call_, "returnvalue");
        append_argument(call_, value);
        append_argument(call_, "completed");
        append_argument(call_, fetch_next ? "1" : "0");
        append_argument(call_, base_);
        append_argument(call_, options);
        append_argument(call_, "");
        send(call_);
    }

    Settings settings_;
    std::string base_;
    redisContext* redis_;
    std::string add_head_, active_head_, finish_head_, call_;
};

int run(int argc, char** argv) {
    Settings settings;
    CLI::App app("The floor of a BullMQ client");
    app.add_option("--port", settings.port);
    app.add_option("--queue", settings.queue);
    app.add_option("--mode", settings.mode)->check(CLI::IsMember({"add", "drain", "wake"}));
    app.add_option("--n", settings.n);
    app.add_option("--depth", settings.depth);
    CLI11_PARSE(app, argc, argv);
    Floor floor(settings);
    floor.prepare();
    const auto start = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    floor.run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::cout << R"({"seconds":)" << took.count() << R"(,"cpuSeconds":)" << cpu_seconds() - cpu << "}\n";
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "floor: " << error.what() << '\n';
        return 1;
    }
}
