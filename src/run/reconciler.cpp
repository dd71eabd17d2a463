#include "run/reconciler.hpp"

#include "postgres/pool.hpp"
#include "run/bullmq_queue.hpp"
#include "run/postgres_ledger.hpp"
#include "run/redis_outputs.hpp"
#include "run/sweep.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace headrace::run {
namespace {

// A worker that is frozen within a transaction holds the rows of its run: the others must not wait for it.
constexpr std::chrono::milliseconds lock_patience{100};

postgres::ConnectOptions impatient(postgres::ConnectOptions options) {
    options.lock_timeout = lock_patience;
    return options;
}

}  // namespace

struct Reconciler::State {
    postgres::Pool db;
    PostgresLedger ledger{db};
    RedisOutputs outputs;
    BullmqQueue queue;
    Sweep sweep;
    const std::chrono::milliseconds interval;
    std::mutex mutex;
    std::condition_variable wake;
    bool stopping = false;
    bool poked = false;
    std::thread thread;

    State(Options options, JournalWriter& journal, OwedEnds& owed)
        : db(impatient(options.db), 1),
          outputs(options.cache),
          queue(options.queue, options.queue_name, options.queue_prefix),
          sweep(
              ledger,
              outputs,
              queue,
              owed,
              options.sweep,
              [&journal](const std::string& run_id, const std::string& pipeline, bool created) {
                  journal.state_changed(run_id, pipeline, created);
              }
          ),
          interval(options.sweep) {}

    void run() {
        std::unique_lock lock(mutex);
        while (!stopping) {
            poked = false;
            lock.unlock();
            sweep.run();
            lock.lock();
            wake.wait_for(lock, interval, [&] { return stopping || poked; });
        }
    }
};

Reconciler::Reconciler(Options options, JournalWriter& journal, OwedEnds& owed)
    : state_(std::make_unique<State>(std::move(options), journal, owed)) {
    state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Reconciler::~Reconciler() {
    {
        std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->wake.notify_one();
    state_->thread.join();
}

void Reconciler::poke() {
    {
        std::lock_guard lock(state_->mutex);
        state_->poked = true;
    }
    state_->wake.notify_one();
}

}  // namespace headrace::run
