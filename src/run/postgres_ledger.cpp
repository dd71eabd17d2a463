#include "run/postgres_ledger.hpp"

#include "run/dispatcher.hpp"
#include "run/epoch.hpp"
#include "run/publish_scripts.hpp"
#include "run/staging_sweep.hpp"

#include <fmt/core.h>

namespace headrace::run {
namespace {

constexpr std::string_view redis_kind = "redis:";  // names of outputs in Redis are this and the live key

// Also of outputs without any decision yet (an attempt that died) and of removed ones: their names hold the live key.
Retirable retirable_of(const postgres::Result& rows, std::size_t row) {
    const auto name = rows.text(row, "name");
    const auto live = name.starts_with(redis_kind) ? name.substr(redis_kind.size()) : name;
    Retirable one{.space = {rows.text(row, "output_id"), live}, .pointer = {}, .expired = false, .keep = {}};
    if (rows.is_null(row, "manifest")) {
        return one;
    }
    const auto output = generation_of(rows, row);
    one.pointer = output.manifest.keys.empty() ? std::string() : pointer_key(output);
    one.expired = output.manifest.form == pipeline::Form::pointer && output.has_expired();
    if (!one.expired && !output.manifest.generation.empty()) {
        one.keep.push_back(output.manifest.generation);
    }
    return one;
}

std::vector<std::int64_t> ids_of(const postgres::Result& rows) {
    std::vector<std::int64_t> ids;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        ids.push_back(rows.integer(i, "output_id"));
    }
    return ids;
}

}  // namespace

std::optional<RunHead> PostgresLedger::read_head(const Delivery& delivery) {
    return run::read_head(*db_.take(), delivery);
}

Claim PostgresLedger::claim(
    std::string_view run_id,
    const WorkerIdentity& worker,
    const std::vector<OutputSpec>& outputs,
    milliseconds lease,
    const std::string& attempt_id
) {
    return run::claim(*db_.take(), run_id, worker, outputs, lease, attempt_id);
}

bool PostgresLedger::add_chunk(std::string_view run_id, std::string_view attempt_id, const Chunk& chunk) {
    return run::add_chunk(*db_.take(), run_id, attempt_id, chunk);
}

Decision PostgresLedger::decide(
    std::string_view run_id,
    std::string_view attempt_id,
    const Sealed& sealed,
    const Counters& counters,
    Deadline deadline,
    const StopToken& stop
) {
    return run::decide(*db_.take(stop), run_id, attempt_id, sealed, counters, deadline);
}

Verdict PostgresLedger::verdict(std::string_view run_id, std::string_view attempt_id) {
    return run::verdict(*db_.take(), run_id, attempt_id);
}

void PostgresLedger::acknowledge(std::int64_t output_id, std::int64_t seq, std::string_view run_id) {
    run::acknowledge(*db_.take(), output_id, seq, run_id);
}

bool PostgresLedger::abandon(std::string_view run_id) {
    return run::abandon(*db_.take(), run_id);
}

Ending PostgresLedger::end_attempt(std::string_view run_id, std::string_view attempt_id, const AttemptEnd& end) {
    return run::end_attempt(*db_.take(), run_id, attempt_id, end);
}

void PostgresLedger::release(std::string_view run_id, std::string_view attempt_id) {
    run::release(*db_.take(), run_id, attempt_id);
}

void PostgresLedger::fail_unclaimed(std::string_view run_id, const Error& error) {
    run::fail_unclaimed(*db_.take(), run_id, error);
}

Triggered PostgresLedger::trigger(const TriggerRequest& request) {
    return trigger_run(*db_.take(), request);
}

std::optional<Generation> PostgresLedger::generation(std::int64_t output_id) {
    const auto rows = db_.take()->exec(
        fmt::format(
            "select {} from etl_outputs o, etl_meta m where o.output_id = $1 and o.seq > 0 and not o.removed",
            generation_columns
        ),
        {output_id}
    );
    return rows.empty() ? std::nullopt : std::make_optional(generation_of(rows, 0));
}

std::vector<Generation> PostgresLedger::generations() {
    const auto rows = db_.take()->exec(fmt::format(
        "select {} from etl_outputs o, etl_meta m where o.seq > 0 and not o.removed and o.manifest->'keys' <> '[]'"
        " order by o.output_id",
        generation_columns
    ));
    std::vector<Generation> generations;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        generations.push_back(generation_of(rows, i));
    }
    return generations;
}

std::vector<std::int64_t> PostgresLedger::unpublished(std::string_view run_id) {
    return ids_of(db_.take()->exec(
        "select output_id from etl_outputs where run_id = $1 and not published order by output_id", {run_id}
    ));
}

std::optional<std::string> PostgresLedger::payload(const Generation& generation) {
    const auto row = db_.take()->exec(
        "select payload from etl_outputs where output_id = $1 and seq = $2 and run_id = $3 and payload is not null",
        {generation.output_id, generation.seq, generation.run_id}
    );
    return row.empty() ? std::nullopt : std::make_optional(row.bytes(0, "payload"));
}

std::vector<Retirable> PostgresLedger::retirable() {
    const auto rows = db_.take()->exec(fmt::format(
        "select {}, o.name from etl_outputs o, etl_meta m where o.kind = 'redis' order by o.output_id",
        generation_columns
    ));
    std::vector<Retirable> outputs;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        outputs.push_back(retirable_of(rows, i));
    }
    return outputs;
}

bool PostgresLedger::check_epoch() {
    return run::check_epoch(*db_.take());
}

bool PostgresLedger::raise_epoch_over(std::int64_t output_id, const Live& live) {
    return run::raise_epoch_over(*db_.take(), output_id, live.epoch, live.seq, live.run_id);
}

std::vector<Reaped> PostgresLedger::reap() {
    return run::reap(*db_.take());
}

std::size_t PostgresLedger::send_outbox(RunQueue& queue) {
    return dispatch(*db_.take(), queue);
}

std::vector<QueuedRun> PostgresLedger::queued_for(milliseconds age) {
    const auto rows = db_.take()->exec(
        "select run_id, job_id from etl_runs r where state = 'queued' and available_at < now() - $1 * interval '1 ms'"
        " and not exists (select 1 from etl_outbox o where o.run_id = r.run_id and o.sent_at is null)",
        {static_cast<std::int64_t>(age.count())}
    );
    std::vector<QueuedRun> runs;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        runs.push_back({std::string(rows.text(i, "run_id")), std::string(rows.text(i, "job_id"))});
    }
    return runs;
}

void PostgresLedger::send_again(const QueuedRun& run) {
    db_.take()->transaction([&](postgres::Connection& c) {
        const auto moved = c.exec(
            "update etl_runs set sends = sends + 1, job_timestamp = 0, job_id = 'run-' || run_id || '-' || (sends + 1)"
            " where run_id = $1 and state = 'queued' and job_id = $2",
            {run.run_id, run.job_id}
        );
        if (moved.affected() == 1) {
            c.exec("insert into etl_outbox (run_id) values ($1)", {run.run_id});
        }
    });
}

std::vector<std::int64_t> PostgresLedger::overdue_outputs() {
    return ids_of(
        db_.take()->exec("select output_id from etl_outputs where not published and not removed and "
                         "decided_at < now() - interval '2 seconds' order by output_id")
    );
}

std::vector<DecidedRun> PostgresLedger::overdue_runs() {
    const auto rows = db_.take()->exec(
        "select run_id, pipeline from etl_runs r where state = 'committed' and committed_at < now() - interval '2 "
        "seconds' and not exists (select 1 from etl_outputs o where o.run_id = r.run_id and not o.published)"
    );
    std::vector<DecidedRun> runs;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        runs.push_back({std::string(rows.text(i, "run_id")), std::string(rows.text(i, "pipeline"))});
    }
    return runs;
}

std::vector<std::string> PostgresLedger::sweep_staging() {
    return run::sweep_staging(*db_.take());
}

}  // namespace headrace::run
