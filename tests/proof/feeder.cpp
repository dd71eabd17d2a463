#include "proof/feeder.hpp"

#include "base/error.hpp"

#include <fmt/core.h>
#include <poll.h>

namespace headrace::proof {

Feeder::Feeder(Installation& installation, std::uint64_t seed, Violations& violations)
    : installation_(installation),
      random_(seed),
      violations_(violations),
      db_(installation.stack().database_url()),
      thread_([this] { feed(); }) {}

Feeder::~Feeder() {
    stop();
}

void Feeder::stop() {
    stopping_ = true;
    if (thread_.joinable()) {
        thread_.join();
    }
}

void Feeder::feed() {
    try {
        bullmq::Queue queue(redis::parse_redis_url(installation_.stack().redis_url()), "etl");
        while (!stopping_) {
            resume_paused();
            for (const auto& idle : db_.rows(
                     "select name from etl_pipelines p where not exists (select 1 from etl_runs r where r.pipeline = "
                     "p.name and r.state in ('queued', 'running', 'committed')) order by name"
                 )) {
                trigger(queue, idle[0]);
            }
            ::poll(nullptr, 0, 10);
        }
    } catch (const std::exception& e) {
        violations_.add("other", std::string("the feeder ended: ") + e.what());
    }
}

void Feeder::resume_paused() {
    resumed_ +=
        static_cast<long>(db_.rows("update etl_pipelines set paused = false, paused_by = null, paused_at = null, "
                                   "pause_reason = null, version = version + 1 where paused returning name")
                              .size());
}

void Feeder::trigger(bullmq::Queue& queue, const std::string& pipeline) {
    installation_.stack().set_version(++version_);
    std::string run_id;
    try {
        run_id = installation_.stack().trigger(pipeline);
    } catch (const Error& e) {
        if (e.code() != "run.already_active" && e.code() != "pipeline.paused") {
            throw;
        }
        return;  // the reconciler was quicker, or a quarantine
    }
    ++runs_;
    const auto copies = std::uniform_int_distribution<int>(1, 4)(random_);
    for (int i = 0; i < copies; ++i) {
        bullmq::JobOptions options;
        options.job_id = fmt::format("copy-{}", ++duplicates_);
        options.attempts = 1;
        options.delay = bullmq::Millis(std::max(0, std::uniform_int_distribution<int>(-200, 400)(random_)));
        queue.add(pipeline, fmt::format(R"({{"runId":"{}","pipeline":"{}"}})", run_id, pipeline), options);
    }
}

}  // namespace headrace::proof
