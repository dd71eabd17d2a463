// A BullMQ queue in memory: jobs with locks, delays, stalls. `FakeRunQueue` is what the ledger's side sees of it.
#pragma once

#include "run/course.hpp"
#include "run/stores.hpp"
#include "sim/scene.hpp"

#include <optional>
#include <vector>

namespace headrace::sim {

struct Job {
    std::string id;
    std::string run_id;  // "" of a foreign producer's
    std::string pipeline;
    std::string state = "waiting";  // waiting, active, delayed, completed, failed
    std::int64_t timestamp = 0;
    std::int64_t due = 0;
    int token = 0;  // of the lock
    std::int64_t locked_until = 0;
    int stalls = 0;
};

class FakeQueue {
public:
    explicit FakeQueue(Scene& scene) : scene_(scene) {}

    std::vector<Job> jobs;

    Scene& scene() { return scene_; }

    Job* job(std::string_view id);

    // The worker's side, as bullmq/worker.
    bool has_work() const;
    std::optional<Job> take(std::int64_t lock_ms);
    bool renew(std::string_view id, int token, std::int64_t lock_ms);    // false: the lock is lost
    void finish(std::string_view id, int token, const run::Done& done);  // nothing when the lock is lost
    void check_stalled();
    // A second worker gets the job as well.
    std::optional<Job> deliver_again(std::size_t which);

private:
    Scene& scene_;
    int tokens_ = 0;
};

class FakeRunQueue final : public run::RunQueue {
public:
    explicit FakeRunQueue(FakeQueue& queue) : queue_(queue) {}

    void add(const run::RunJob& job) override;
    std::string state(std::string_view job_id) override;
    void promote(std::string_view job_id) override;

private:
    FakeQueue& queue_;
};

}  // namespace headrace::sim
