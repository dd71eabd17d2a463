#include "run/bullmq_queue.hpp"

namespace headrace::run {

BullmqQueue::BullmqQueue(redis::Options options, std::string_view name, std::string_view prefix)
    : queue_(std::move(options), name, prefix) {}

void BullmqQueue::add(const RunJob& job) {
    bullmq::JobOptions options;
    options.job_id = job.id;
    options.delay = job.delay;
    // Attempts are counted in Postgres; a job that BullMQ fails is sent again by the reconciler if its run is not over.
    options.attempts = 1;
    queue_.add(job.pipeline, job.data, options);
}

std::string BullmqQueue::state(std::string_view job_id) {
    return queue_.state(job_id);
}

void BullmqQueue::promote(std::string_view job_id) {
    queue_.promote(job_id);
}

}  // namespace headrace::run
