#include "run/worker.hpp"

#include "base/log.hpp"
#include "bullmq/worker.hpp"
#include "pipeline/parse.hpp"
#include "postgres/migrate.hpp"
#include "postgres/pool.hpp"
#include "run/bullmq_queue.hpp"
#include "run/catalog.hpp"
#include "run/dispatcher.hpp"
#include "run/executor.hpp"
#include "run/postgres_ledger.hpp"
#include "run/reconciler.hpp"
#include "schedule/scheduler.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value_to.hpp>

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

namespace headrace::run {
namespace {

using std::chrono::milliseconds;

// Job data is untrusted: anybody with access to Redis can write it. It can at most start an existing pipeline.
Delivery delivery_of(const bullmq::Job& job, const std::string& queue) {
    Delivery delivery{.queue = queue, .job_id = job.id, .job_timestamp = 0, .run_id = {}, .pipeline = job.name};
    boost::system::error_code error;
    const auto data = boost::json::parse(job.data, error);
    if (!error && data.is_object()) {
        if (const auto* run_id = data.as_object().if_contains("runId"); run_id != nullptr && run_id->is_string()) {
            delivery.run_id = boost::json::value_to<std::string>(*run_id);
        }
    }
    if (delivery.run_id.empty()) {
        delivery.job_timestamp = job.timestamp;
    }
    return delivery;
}

std::map<std::string, std::filesystem::file_time_type> times_of(const std::string& folder) {
    std::map<std::string, std::filesystem::file_time_type> times;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
        if (entry.path().extension() == ".yaml") {
            times[entry.path().string()] = entry.last_write_time(ignored);
        }
    }
    return times;
}

// Before anything else, and before this worker is entered anywhere. The connection is the scheduler thread's later on.
postgres::Connection refuse_unfit(const WorkerSettings& settings) {
    auto db = postgres::Connection::connect(settings.db);
    postgres::require_schema(db);
    if (settings.verify) {
        settings.verify(db);
    }
    return db;
}

}  // namespace

struct Worker::State {
    WorkerSettings settings;
    const pipeline::Registry& registry;
    std::shared_ptr<Redactor> redactor = std::make_shared<Redactor>();
    postgres::Pool pool;
    PostgresLedger ledger{pool};
    JournalWriter journal;
    LeaseKeeper keeper;
    OwedEnds owed;  // before the keeper goes
    Services services;
    Executor executor;
    BullmqQueue queue;
    std::optional<Reconciler> reconciler;
    std::optional<bullmq::Worker> worker;

    std::mutex mutex;
    std::condition_variable wake;
    bool stopping = false;
    std::map<std::string, std::filesystem::file_time_type> seen_files;
    std::optional<postgres::Connection> db;  // the scheduler thread's
    std::thread scheduler;

    State(WorkerSettings s, const pipeline::Registry& r)
        : settings(std::move(s)),
          registry(r),
          pool(settings.db, settings.concurrency + 2),
          journal({.db = settings.db, .redis = settings.queue_redis, .stream = settings.events_stream}),
          keeper(
              {.db = settings.db, .name = settings.name, .concurrency = settings.concurrency, .lease = settings.lease}
          ),
          services{
              .ledger = ledger,
              .cache = settings.cache_redis,
              .registry = registry,
              .credential = [this](const std::string& name) { return settings.credential(*pool.take(), name); },
              .journal = journal,
              .keeper = keeper,
              .owed = owed,
              .redactor = redactor,
              .lease = settings.lease},
          executor(services),
          queue(settings.queue_redis, settings.queue, settings.prefix) {}

    void load_catalog(postgres::Connection& c) {
        if (settings.pipelines_folder.empty()) {
            return;
        }
        auto times = times_of(settings.pipelines_folder);
        if (times == seen_files && !seen_files.empty()) {
            return;
        }
        seen_files = std::move(times);
        const auto files = pipeline::load_folder(settings.pipelines_folder, registry);
        for (const auto& file : files) {
            for (const auto& problem : file.problems) {
                log::error(
                    "pipeline file is not valid; the last good version stays in force", {{"problem", problem.text()}}
                );
            }
        }
        for (const auto& change : sync_catalog(c, registry, files)) {
            log::info(
                change.removed ? "pipeline removed" : "pipeline loaded",
                {{"pipeline", change.pipeline}, {"version", std::to_string(change.version)}}
            );
            journal.pipeline_changed(change.pipeline);
        }
    }

    bullmq::ProcessResult process(bullmq::Job& job, bullmq::JobContext& context) {
        using bullmq::ProcessResult;
        const auto done = executor.execute(delivery_of(job, settings.queue), context.stop());
        switch (done.kind) {
            case Done::Kind::completed:
                return ProcessResult::completed(done.text);
            case Done::Kind::failed:
                return ProcessResult::failed(done.text, true);
            case Done::Kind::again:
                break;
        }
        return ProcessResult::delayed(done.wait);
    }

    void plan() {
        std::unique_lock lock(mutex);
        while (!stopping) {
            lock.unlock();
            const auto wait = plan_once();
            lock.lock();
            wake.wait_for(lock, wait, [&] { return stopping; });
        }
    }

    milliseconds plan_once() {
        try {
            if (!db || db->broken()) {
                db.emplace(postgres::Connection::connect(settings.db));
            }
            load_catalog(*db);
            if (!settings.schedule) {
                return milliseconds(1000);
            }
            const auto plan = schedule::tick(*db);
            if (!plan.planned.empty()) {
                dispatch(*db, queue);
            }
            for (const auto& run : plan.planned) {
                journal.state_changed(run.run_id, run.pipeline, true);
            }
            return plan.wait;
        } catch (const std::exception& e) {
            log::warn("scheduler: tried again in a second", {{"error", e.what()}});
            db.reset();
            return milliseconds(1000);
        }
    }

    bullmq::WorkerOptions queue_options() const {
        bullmq::WorkerOptions options;
        options.prefix = settings.prefix;
        options.name = settings.name;
        options.concurrency = settings.concurrency;
        options.lock_duration = std::min(milliseconds(30'000), settings.lease);
        options.stalled_interval = options.lock_duration;
        options.max_stalled_count = crash_limit;
        options.redis_clock = true;  // workers of one installation agree on when a job is due
        options.remove_on_complete = bullmq::KeepJobs{.count = 1000, .age = std::nullopt, .limit = std::nullopt};
        options.remove_on_fail = bullmq::KeepJobs{.count = 5000, .age = std::nullopt, .limit = std::nullopt};
        options.on_event = [](const bullmq::WorkerEvent& event) {
            if (event.kind == bullmq::WorkerEvent::Kind::error ||
                event.kind == bullmq::WorkerEvent::Kind::disconnected) {
                log::warn("queue", {{"job", std::string(event.job_id)}, {"error", std::string(event.text)}});
            }
        };
        return options;
    }
};

Worker::Worker(WorkerSettings settings, const pipeline::Registry& registry) {
    auto db = refuse_unfit(settings);
    state_ = std::make_unique<State>(std::move(settings), registry);
    state_->load_catalog(db);
    state_->db.emplace(std::move(db));
}

Worker::~Worker() {
    stop(milliseconds(0));
}

void Worker::start() {
    auto& s = *state_;
    s.reconciler.emplace(
        Reconciler::Options{
            .db = s.settings.db,
            .cache = s.settings.cache_redis,
            .queue = s.settings.queue_redis,
            .queue_name = s.settings.queue,
            .queue_prefix = s.settings.prefix,
            .sweep = s.settings.sweep},
        s.journal,
        s.owed
    );
    s.worker.emplace(
        s.settings.queue_redis,
        s.settings.queue,
        s.queue_options(),
        [state = state_.get()](bullmq::Job& job, bullmq::JobContext& context) { return state->process(job, context); }
    );
    s.worker->start();
    s.scheduler = std::thread([state = state_.get()] { state->plan(); });
}

void Worker::stop(milliseconds grace) {
    auto& s = *state_;
    {
        std::lock_guard lock(s.mutex);
        s.stopping = true;
    }
    s.wake.notify_one();
    if (s.scheduler.joinable()) {
        s.scheduler.join();
    }
    if (s.worker) {
        s.worker->stop(grace);
        s.worker.reset();
    }
    s.reconciler.reset();
    try {
        s.owed.settle(s.ledger);
    } catch (const std::exception& e) {
        log::warn("the end of an attempt stays unwritten: it will look like a death", {{"error", e.what()}});
    }
}

void Worker::poke() {
    if (state_->reconciler) {
        state_->reconciler->poke();
    }
}

}  // namespace headrace::run
