// Reads outputs as an application would, all the time and on its own connection: value and meta hash in one MULTI.
// What it must never see: a mixture of two generations, a part of one, another one than meta says, an output that is
// gone, one older than before. Each row carries the mark of its generation: "@<version>:<random number>@".
#pragma once

#include "proof/stores.hpp"
#include "proof/violations.hpp"

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace headrace::proof {

struct Output {
    std::string pipeline;
    std::string as;  // json hash list zset set
    std::string key;
    long rows = 0;

    std::vector<std::string> read_command(const std::string& from) const;

    std::vector<std::string> read_command() const { return read_command(key); }
};

struct Marks {
    std::string mark;  // of the first row
    long count = 0;
    bool mixed = false;
};

Marks marks_in(const std::string& text);

struct Generation {
    std::string run;
    std::string mark;
};

class OutputReader {
public:
    using Clock = std::chrono::steady_clock;
    using Number = std::pair<long, long>;  // epoch, seq

    OutputReader(std::string redis_url, std::vector<Output> outputs, Violations& violations);
    ~OutputReader();
    OutputReader(const OutputReader&) = delete;
    OutputReader& operator=(const OutputReader&) = delete;

    // Around emptying the Redis: from then on an output may be missing or old, until it has come back.
    void begin_loss() { ++losses_begun_; }

    void end_loss() { ++losses_ended_; }

    long reads() const { return reads_; }

    // After stop(): what was seen, per output.
    void stop();

    const std::vector<std::map<Number, Generation>>& seen() const { return seen_; }

    std::chrono::milliseconds longest_heal() const { return longest_heal_; }

private:
    struct Watched {
        Number last{0, 0};
        std::string mark;
        bool present = false;
        bool healing = false;
        Clock::time_point since;
    };

    void run();
    void round(Cache& cache);
    void judge(std::size_t i, const Answer& answer, bool overlaps_loss);
    void judge_content(std::size_t i, const Marks& marks, const Answer& meta);
    void note(const std::string& kind, std::size_t i, const std::string& what);

    std::string url_;
    std::vector<Output> outputs_;
    Violations& violations_;
    std::vector<Watched> watched_;
    std::vector<std::map<Number, Generation>> seen_;
    std::chrono::milliseconds longest_heal_{0};
    std::atomic<long> reads_{0};
    std::atomic<long> losses_begun_{0};
    std::atomic<long> losses_ended_{0};
    long losses_known_ = 0;
    long rounds_ = 0;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace headrace::proof
