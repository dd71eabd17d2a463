// RunQueue in BullMQ. Any thread, as bullmq::Queue.
#pragma once

#include "bullmq/queue.hpp"
#include "run/stores.hpp"

namespace headrace::run {

class BullmqQueue final : public RunQueue {
public:
    BullmqQueue(redis::Options options, std::string_view name, std::string_view prefix = "bull");

    void add(const RunJob& job) override;
    std::string state(std::string_view job_id) override;
    void promote(std::string_view job_id) override;

private:
    bullmq::Queue queue_;
};

}  // namespace headrace::run
