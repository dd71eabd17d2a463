// The ledger in memory: what run/ledger, run/control and the queries of run/postgres_ledger do in Postgres. A call is
// one transaction: it happens at one moment, but a decision holds its run's row locked for a while before that, and its
// COMMIT may still be on its way when the caller has already lost the connection.
#pragma once

#include "run/stores.hpp"
#include "sim/scene.hpp"

#include <functional>
#include <set>

namespace headrace::sim {

inline constexpr int table_units = 4;  // of the cursor that a run of tables reads; each but the last is a chunk

struct PipelineRow {
    std::string name;
    bool queue_overlap = false;  // overlap: queue; otherwise skip
    bool paused = false;
    int max_attempts = 3;
    int death_limit = 3;
    bool removed = false;
};

struct RunRow {
    std::string id;
    std::string pipeline;
    std::string trigger;
    std::string state = "queued";
    std::string attempt_id;
    std::string job_id;
    std::int64_t job_timestamp = 0;
    int sends = 0;
    int attempt = 0;
    int spared = 0;
    int crash_count = 0;
    std::int64_t worker_id = 0;
    std::int64_t lease_until = 0;
    std::int64_t available_at = 0;
    std::int64_t committed_at = 0;
    bool cancel_requested = false;
};

struct OutputRow {
    std::int64_t id = 0;
    std::string pipeline;
    std::string name;
    std::string owner;
    std::int64_t seq = 0;
    std::string run_id;
    std::string attempt_id;
    pipeline::Manifest manifest;
    bool published = true;
    std::int64_t decided_at = 0;
};

// As etl_commits; also the rows that a Postgres output would hold.
struct CommitRow {
    std::string run_id;
    std::int64_t output_id = 0;
    std::int64_t epoch = 0;
    std::int64_t seq = 0;
    std::string attempt_id;
    std::string rows;  // of a table: what its chunks held (sim/worker)
};

struct ChunkRow {
    std::string run_id;
    std::string pipeline;
    std::string attempt_id;
    run::Chunk chunk;
};

struct OutboxRow {
    std::int64_t id = 0;
    std::string run_id;
    bool sent = false;
    bool locked = false;
};

struct Tables {
    std::int64_t epoch = 1;
    int known_server = 1;
    std::vector<PipelineRow> pipelines;
    std::vector<RunRow> runs;
    std::vector<OutputRow> outputs;
    std::vector<CommitRow> commits;
    std::vector<OutboxRow> outbox;
    std::vector<ChunkRow> chunks;
};

class FakePostgres {
public:
    explicit FakePostgres(Scene& scene) : scene_(scene) {}

    Tables tables;
    std::set<std::int64_t> worker_locks;  // advisory: these workers live
    std::set<std::string> locked_runs;
    std::vector<CommitRow> ever_decided;  // what no failover forgets
    std::set<std::string> lost_tables;    // staged chunks that are gone
    int server = 1;

    Scene& scene() { return scene_; }

    RunRow* run(std::string_view id);
    PipelineRow* pipeline(std::string_view name);
    OutputRow* output(std::int64_t id);

    // An asynchronous standby takes over: what was committed after `older` is forgotten, all connections break.
    void fail_over(Tables older);
    // COMMITs on their way arrive, or do not.
    void land_orphans();
    void leave_orphan(std::string run_id, std::function<void()> commit);

    // What run/lease_keeper does once a second. Ids of `attempts` that are still theirs, and those to be cancelled.
    struct Kept {
        std::set<std::string> alive;
        std::set<std::string> cancelled;
    };

    Kept renew(const std::vector<std::string>& attempts, std::int64_t lease_ms);
    std::string cancel(std::string_view run_id);  // as run::cancel_run; the state after it
    std::string next_id(std::string_view what);
    void to_outbox(const std::string& run_id);

private:
    struct Orphan {
        std::string run_id;
        std::int64_t due;
        std::function<void()> commit;  // empty: it never arrived
    };

    Scene& scene_;
    std::vector<Orphan> orphans_;
    int ids_ = 0;
    std::int64_t outbox_ids_ = 0;
};

class FakeLedger final : public run::LedgerStore {
public:
    // `patience`: how long to wait for a row lock, as lock_timeout.
    FakeLedger(FakePostgres& db, std::int64_t patience) : db_(db), scene_(db.scene()), patience_(patience) {}

    std::optional<run::RunHead> read_head(const run::Delivery& delivery) override;
    run::Claim claim(
        std::string_view run_id,
        const run::WorkerIdentity& worker,
        const std::vector<run::OutputSpec>& outputs,
        run::milliseconds lease,
        const std::string& attempt_id
    ) override;
    run::Decision decide(
        std::string_view run_id,
        std::string_view attempt_id,
        const run::Sealed& sealed,
        const run::Counters& counters,
        Deadline deadline,
        const StopToken& stop
    ) override;
    bool add_chunk(std::string_view run_id, std::string_view attempt_id, const run::Chunk& chunk) override;
    run::Verdict verdict(std::string_view run_id, std::string_view attempt_id) override;
    void acknowledge(std::int64_t output_id, std::int64_t seq, std::string_view run_id) override;
    bool abandon(std::string_view run_id) override;
    run::Ending end_attempt(std::string_view run_id, std::string_view attempt_id, const run::AttemptEnd& end) override;
    void release(std::string_view run_id, std::string_view attempt_id) override;
    void fail_unclaimed(std::string_view run_id, const Error& error) override;
    run::Triggered trigger(const run::TriggerRequest& request) override;

    std::optional<run::Generation> generation(std::int64_t output_id) override;
    std::vector<run::Generation> generations() override;
    std::vector<std::int64_t> unpublished(std::string_view run_id) override;
    std::optional<std::string> payload(const run::Generation& generation) override;
    std::vector<run::Retirable> retirable() override;

    bool check_epoch() override;
    bool raise_epoch_over(std::int64_t output_id, const run::Live& live) override;
    std::vector<run::Reaped> reap() override;
    std::size_t send_outbox(run::RunQueue& queue) override;
    std::vector<run::QueuedRun> queued_for(run::milliseconds age) override;
    void send_again(const run::QueuedRun& run) override;
    std::vector<std::int64_t> overdue_outputs() override;
    std::vector<run::DecidedRun> overdue_runs() override;
    std::vector<std::string> sweep_staging() override;

private:
    void wait_for_lock(std::string_view run_id);
    bool decided(std::string_view run_id, std::string_view attempt_id, const run::Sealed& sealed);
    bool added(std::string_view run_id, std::string_view attempt_id, const run::Chunk& chunk);
    std::vector<run::Chunk> take_chunks(std::string_view run_id);
    run::Generation generation_of(const OutputRow& output) const;
    void queue_again(RunRow& run);
    bool dead(const RunRow& run) const;

    FakePostgres& db_;
    Scene& scene_;
    std::int64_t patience_;
};

}  // namespace headrace::sim
