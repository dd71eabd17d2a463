#include "sim/worker.hpp"

#include "run/chunk_log.hpp"
#include "run/lease_keeper.hpp"
#include "run/sweep.hpp"

namespace headrace::sim {

// Reads a source that takes its time and sometimes fails, and stages one key per output.
class SimWork final : public run::Work {
public:
    SimWork(Worker& worker, const run::RunHead& head) : worker_(worker), shared_(worker.shared_), head_(head) {
        definition_.retry.backoff = run::milliseconds(1'000);
    }

    std::vector<run::OutputSpec> outputs() override {
        std::vector<run::OutputSpec> specs;
        for (const auto& output : shared_.outputs.at(head_.pipeline)) {
            specs.push_back({output.name, shared_.tables.contains(head_.pipeline) ? "postgres" : "redis"});
        }
        return specs;
    }

    const pipeline::Definition& definition() const override { return definition_; }

    run::Journal& begin(const run::Claim& claim) override {
        claim_ = claim;
        journal_.emplace(
            head_.run_id, head_.pipeline, claim.attempt_id, claim.attempt, claim.last_log_seq, shared_.redactor
        );
        lease_ = std::make_shared<Worker::Kept>(Worker::Kept{claim.attempt_id, StopSource()});
        worker_.kept_.push_back(lease_);
        stop_ = lease_->stop.token();
        return *journal_;
    }

    std::shared_ptr<const void> lease() const override { return lease_; }

    StopToken stop() const override { return stop_; }

    Deadline deadline() const override { return Deadline::never(); }

    run::Sealed stage() override {
        if (shared_.tables.contains(head_.pipeline)) {
            return stage_tables();
        }
        auto& world = shared_.world;
        run::Sealed sealed;
        sealed.proof = "simulated";
        const auto& plans = shared_.outputs.at(head_.pipeline);
        const Content content{head_.run_id, claim_.attempt_id};
        for (std::size_t i = 0; i < plans.size(); ++i) {
            work(static_cast<std::int64_t>(world.random.below(800)));
            const auto key = "s-" + claim_.attempt_id + "-" + std::to_string(i);
            shared_.redis.stage(key, content);
            staged_.push_back(key);
            pipeline::Manifest manifest;
            manifest.keys.push_back({plans[i].name, key});
            manifest.rows = 1;
            if (plans[i].keeps_payload) {
                manifest.payload = payload_of(content);
            }
            sealed.outputs.push_back({claim_.outputs.at(i).id, std::move(manifest)});
        }
        if (shared_.sources_fail && world.random.one_in(10)) {
            fail();
        }
        journal_->begin("commit");
        for (const auto& key : staged_) {
            stop_.throw_if_stopped();
            if (!shared_.redis.sealed(key)) {
                shared_.checker.transient_error(head_.run_id);
                throw Error(ErrorKind::transient, "redis.command", "the staged rows are gone");
            }
        }
        if (world.mutant() == Mutant::publish_first) {
            publish_too_early(sealed);
        }
        return sealed;
    }

    void settle(bool keep) noexcept override {
        if (keep) {
            return;
        }
        try {
            for (const auto& key : staged_) {
                shared_.redis.discard(key);
            }
        } catch (...) {
            return;  // it is dead, or Redis is away: the keys' own time ends them
        }
    }

    void close_journal() override {}

    void state_changed() override {}

private:
    void work(std::int64_t ms) {
        shared_.world.wait(ms);
        stop_.throw_if_stopped();
    }

    // One unit of the cursor after the other, behind the chunks of earlier attempts. A unit is read as it is at that
    // moment: "3:1000345", its number and the time.
    run::Sealed stage_tables() {
        auto& world = shared_.world;
        run::ChunkLog chunks(worker_.ledger_, head_.run_id, claim_.attempt_id, claim_.chunks.size());
        std::string rows;
        int unit = 1;
        for (const auto& chunk : claim_.chunks) {
            rows += chunk.parts.front().rows.table + " ";
            unit = std::stoi(chunk.through) + 1;
        }
        for (; unit <= table_units; ++unit) {
            work(static_cast<std::int64_t>(world.random.below(800)));
            if (shared_.sources_fail && world.random.one_in(10)) {
                fail();
            }
            const auto read = std::to_string(unit) + ":" + std::to_string(world.now());
            rows += read + " ";
            if (unit == table_units) {
                break;
            }
            run::Chunk chunk;
            chunk.through = std::to_string(unit);
            for (const auto& output : claim_.outputs) {
                chunk.parts.push_back({output.id, {.table = read, .shape = {}}});
            }
            chunks.add(chunk);
        }
        journal_->begin("commit");
        run::Sealed sealed;
        for (const auto& output : claim_.outputs) {
            pipeline::Manifest manifest;
            manifest.schema_hash = rows;
            sealed.outputs.push_back({output.id, std::move(manifest)});
        }
        return sealed;
    }

    void fail() {
        if (shared_.world.random.one_in(3)) {
            shared_.checker.permanent_error(head_.run_id);
            throw Error(ErrorKind::permanent, "source.incomplete", "the source did not prove its end");
        }
        shared_.checker.transient_error(head_.run_id);
        throw Error(ErrorKind::transient, "source.unavailable", "the source is away");
    }

    void publish_too_early(const run::Sealed& sealed) {
        for (const auto& one : sealed.outputs) {
            run::Generation generation;
            generation.output_id = one.output_id;
            generation.epoch = shared_.db.tables.epoch;
            generation.seq = shared_.db.output(one.output_id)->seq + 1;
            generation.run_id = head_.run_id;
            generation.published = true;
            worker_.outputs_.apply(generation, one.manifest.keys.front().staging, false);
        }
    }

    Worker& worker_;
    Shared& shared_;
    run::RunHead head_;
    run::Claim claim_;
    pipeline::Definition definition_;
    std::optional<run::Journal> journal_;
    std::shared_ptr<Worker::Kept> lease_;
    StopToken stop_;
    std::vector<std::string> staged_;
};

Worker::Worker(Shared& shared, int number)
    : shared_(shared),
      ledger_(shared.db, 25'000),
      impatient_(shared.db, 100),
      outputs_(shared.redis, ledger_),
      sweep_outputs_(shared.redis, impatient_),
      run_queue_(shared.queue),
      identity_{number, "worker " + std::to_string(number)} {
    process.number = number;
    shared.db.worker_locks.insert(number);
}

void Worker::start(bool sweeps) {
    shared_.world.start(&process, [this] { take_deliveries(); });
    shared_.world.start(&process, [this, sweeps] { sweeps ? sweep() : settle(); });
}

// What every worker's sweep does first; few schedules need more than one whole one.
void Worker::settle() {
    for (;;) {
        try {
            owed_.settle(impatient_);
        } catch (const std::exception&) {
            // at the next round
        }
        shared_.world.wait(sweep_ms);
    }
}

void Worker::take_deliveries() {
    const std::function<bool()> work_to_do = [this] {
        return shutting_down || !shared_.extra.empty() || shared_.queue.has_work();
    };
    while (!shutting_down) {
        try {
            std::optional<Job> job;
            if (!shared_.extra.empty()) {
                job = shared_.extra.back();
                shared_.extra.pop_back();
            } else if (shared_.queue.has_work()) {
                job = shared_.queue.take(queue_lock_ms);
            }
            if (job) {
                handle(*job);
                continue;
            }
        } catch (const std::exception&) {
            job_.reset();  // Redis is away for a moment
        }
        shared_.world.wait_until(work_to_do);
    }
    process.dead = true;
    process.on_death();
}

void Worker::handle(const Job& job) {
    job_ = job;
    run_id = job.run_id;
    const run::Delivery delivery{
        .queue = "etl",
        .job_id = job.id,
        .job_timestamp = job.run_id.empty() ? job.timestamp : 0,
        .run_id = job.run_id,
        .pipeline = job.pipeline};
    run::OwedEnds forgotten;
    auto& owed = shared_.world.mutant() == Mutant::lost_end ? forgotten : owed_;
    const run::Hands hands{ledger_, outputs_, owed, identity_, run::milliseconds(lease_ms)};
    const auto done = run::run_course(hands, delivery, [this](const run::RunHead& head) {
        run_id = head.run_id;
        return std::make_unique<SimWork>(*this, head);
    });
    shared_.queue.finish(job.id, job.token, done);
    run_id.clear();
    job_.reset();
}

void Worker::sweep() {
    run::Sweep sweep(
        impatient_,
        sweep_outputs_,
        run_queue_,
        owed_,
        run::milliseconds(sweep_ms),
        [](const std::string&, const std::string&, bool) {}
    );
    for (;;) {
        sweep.run();
        shared_.world.wait(sweep_ms);
    }
}

// As run/lease_keeper and the keeper of bullmq/worker.
void Worker::keep() {
    shared_.db.worker_locks.insert(process.number);
    const bool queue_lost = job_ && job_->token > 0 && !shared_.queue.renew(job_->id, job_->token, queue_lock_ms);
    std::erase_if(kept_, [](const auto& one) { return one.expired(); });
    for (const auto& one : kept_) {
        const auto kept = one.lock();
        const auto renewed = shared_.db.renew({kept->attempt_id}, lease_ms);
        if (renewed.cancelled.contains(kept->attempt_id)) {
            kept->stop.request_stop(std::string(run::stop_cancelled));
        } else if (!renewed.alive.contains(kept->attempt_id) || queue_lost) {
            kept->stop.request_stop(std::string(run::stop_lease_lost));
        } else if (shutting_down) {
            kept->stop.request_stop(std::string(run::stop_shutdown));
        }
    }
}

}  // namespace headrace::sim
