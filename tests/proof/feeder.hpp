// Keeps every pipeline busy: as soon as a run is over the next is triggered, and its job is put into the queue one to
// four times more, at once or late. A pipeline that a quarantine paused is resumed, as an operator would.
#pragma once

#include "bullmq/queue.hpp"
#include "proof/installation.hpp"

#include <atomic>
#include <random>
#include <thread>

namespace headrace::proof {

class Feeder {
public:
    Feeder(Installation& installation, std::uint64_t seed, Violations& violations);
    ~Feeder();
    Feeder(const Feeder&) = delete;
    Feeder& operator=(const Feeder&) = delete;

    void stop();

    long runs() const { return runs_; }

    long duplicates() const { return duplicates_; }

    long resumed() const { return resumed_; }

private:
    void feed();
    void resume_paused();
    void trigger(bullmq::Queue& queue, const std::string& pipeline);

    Installation& installation_;
    std::mt19937_64 random_;
    Violations& violations_;
    Database db_;
    std::atomic<long> runs_{0};
    std::atomic<long> duplicates_{0};
    std::atomic<long> resumed_{0};
    int version_ = 0;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace headrace::proof
