// LedgerStore in Postgres: each call takes a connection from the pool for one transaction of run/ledger and its
// neighbours. Any thread; the pool outlives it.
#pragma once

#include "postgres/pool.hpp"
#include "run/stores.hpp"

namespace headrace::run {

class PostgresLedger final : public LedgerStore {
public:
    explicit PostgresLedger(postgres::Pool& db) : db_(db) {}

    std::optional<RunHead> read_head(const Delivery& delivery) override;
    Claim claim(
        std::string_view run_id,
        const WorkerIdentity& worker,
        const std::vector<OutputSpec>& outputs,
        milliseconds lease,
        const std::string& attempt_id
    ) override;
    bool add_chunk(std::string_view run_id, std::string_view attempt_id, const Chunk& chunk) override;
    Decision decide(
        std::string_view run_id,
        std::string_view attempt_id,
        const Sealed& sealed,
        const Counters& counters,
        Deadline deadline,
        const StopToken& stop
    ) override;
    Verdict verdict(std::string_view run_id, std::string_view attempt_id) override;
    void acknowledge(std::int64_t output_id, std::int64_t seq, std::string_view run_id) override;
    bool abandon(std::string_view run_id) override;
    Ending end_attempt(std::string_view run_id, std::string_view attempt_id, const AttemptEnd& end) override;
    void release(std::string_view run_id, std::string_view attempt_id) override;
    void fail_unclaimed(std::string_view run_id, const Error& error) override;
    Triggered trigger(const TriggerRequest& request) override;

    std::optional<Generation> generation(std::int64_t output_id) override;
    std::vector<Generation> generations() override;
    std::vector<std::int64_t> unpublished(std::string_view run_id) override;
    std::optional<std::string> payload(const Generation& generation) override;
    std::vector<Retirable> retirable() override;

    bool check_epoch() override;
    bool raise_epoch_over(std::int64_t output_id, const Live& live) override;
    std::vector<Reaped> reap() override;
    std::size_t send_outbox(RunQueue& queue) override;
    std::vector<QueuedRun> queued_for(milliseconds age) override;
    void send_again(const QueuedRun& run) override;
    std::vector<std::int64_t> overdue_outputs() override;
    std::vector<DecidedRun> overdue_runs() override;
    std::vector<std::string> sweep_staging() override;

private:
    postgres::Pool& db_;
};

}  // namespace headrace::run
