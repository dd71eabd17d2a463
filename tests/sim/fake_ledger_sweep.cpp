#include "sim/fake_postgres.hpp"

#include <algorithm>

namespace headrace::sim {

using run::milliseconds;

namespace {

constexpr std::int64_t overdue_ms = 2'000;

}  // namespace

run::Generation FakeLedger::generation_of(const OutputRow& output) const {
    run::Generation one;
    one.output_id = output.id;
    one.pipeline = output.pipeline;
    one.epoch = db_.tables.epoch;
    one.seq = output.seq;
    one.run_id = output.run_id;
    one.decided_ms = output.decided_at;
    one.age_ms = scene_.now() - output.decided_at;
    one.has_payload = !output.manifest.payload.empty();
    one.published = output.published;
    one.manifest = output.manifest;
    one.manifest.payload.clear();
    return one;
}

std::optional<run::Generation> FakeLedger::generation(std::int64_t output_id) {
    scene_.before("generation", {});
    const auto* output = db_.output(output_id);
    std::optional<run::Generation> found;
    if (output != nullptr && output->seq > 0) {
        found = generation_of(*output);
    }
    scene_.after();
    return found;
}

std::vector<run::Generation> FakeLedger::generations() {
    scene_.before("generations", {});
    std::vector<run::Generation> found;
    for (const auto& output : db_.tables.outputs) {
        if (output.seq > 0 && !output.manifest.keys.empty() && scene_.mutant() != Mutant::no_heal) {
            found.push_back(generation_of(output));
        }
    }
    scene_.after();
    return found;
}

std::vector<std::int64_t> FakeLedger::unpublished(std::string_view run_id) {
    scene_.before("unpublished", run_id);
    std::vector<std::int64_t> ids;
    for (const auto& output : db_.tables.outputs) {
        if (output.run_id == run_id && !output.published) {
            ids.push_back(output.id);
        }
    }
    scene_.after();
    return ids;
}

std::optional<std::string> FakeLedger::payload(const run::Generation& generation) {
    scene_.before("payload", {});
    const auto* output = db_.output(generation.output_id);
    std::optional<std::string> found;
    if (output != nullptr && output->seq == generation.seq && output->run_id == generation.run_id &&
        !output->manifest.payload.empty()) {
        found = output->manifest.payload;
    }
    scene_.after();
    return found;
}

std::vector<run::Retirable> FakeLedger::retirable() {
    return {};  // the fake outputs have one key: nothing of them is retired
}

bool FakeLedger::check_epoch() {
    scene_.before("check_epoch", {});
    bool raised = false;
    if (db_.tables.known_server != db_.server && scene_.mutant() != Mutant::no_epoch) {
        db_.tables.known_server = db_.server;
        ++db_.tables.epoch;
        raised = true;
    }
    scene_.after();
    return raised;
}

bool FakeLedger::raise_epoch_over(std::int64_t output_id, const run::Live& live) {
    scene_.before("raise_epoch_over", {});
    auto& tables = db_.tables;
    const auto output = std::find_if(tables.outputs.begin(), tables.outputs.end(), [&](const OutputRow& one) {
        return one.id == output_id;
    });
    const bool unknown = output != tables.outputs.end() &&
                         (tables.epoch < live.epoch ||
                          (tables.epoch == live.epoch &&
                           (output->seq < live.seq || (output->seq == live.seq && output->run_id != live.run_id))));
    const bool raised = unknown && scene_.mutant() != Mutant::no_epoch;
    if (raised) {
        tables.epoch = std::max(tables.epoch, live.epoch) + 1;
    }
    scene_.after();
    return raised;
}

bool FakeLedger::dead(const RunRow& run) const {
    return run.state == "running" && (run.lease_until < scene_.now() || !db_.worker_locks.contains(run.worker_id) ||
                                      scene_.mutant() == Mutant::hasty_reaper);
}

void FakeLedger::queue_again(RunRow& run) {
    run.state = "queued";
    run.attempt_id.clear();
    run.available_at = scene_.now();
    ++run.spared;
    run.job_timestamp = 0;
    run.job_id = "job-" + run.id + "-" + std::to_string(++run.sends);
    db_.to_outbox(run.id);
}

std::vector<run::Reaped> FakeLedger::reap() {
    scene_.before("reap", {});
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& row : db_.tables.runs) {
        if (dead(row)) {
            found.emplace_back(row.id, row.attempt_id);
        }
    }
    std::vector<run::Reaped> reaped;
    for (const auto& [id, attempt_id] : found) {
        scene_.within("reap");
        auto* row = db_.run(id);
        if (row == nullptr || row->state != "running" || row->attempt_id != attempt_id ||
            db_.locked_runs.contains(id)) {
            continue;
        }
        auto* pipeline = db_.pipeline(row->pipeline);
        if (row->cancel_requested) {
            row->state = "cancelled";
        } else if (++row->crash_count >= pipeline->death_limit) {
            row->state = "quarantined";
            pipeline->paused = true;
        } else {
            queue_again(*row);
        }
        reaped.push_back({row->id, row->pipeline, row->state});
    }
    scene_.after();
    return reaped;
}

// The rows stay locked while their jobs are added; who dies here leaves them to the next.
std::size_t FakeLedger::send_outbox(run::RunQueue& queue) {
    scene_.before("send_outbox", {});

    struct Rows {
        FakePostgres& db;
        std::vector<std::pair<std::int64_t, std::string>> rows = {};
        int server = db.server;

        void each(bool sent) {
            if (db.server != server) {
                return;
            }
            for (auto& row : db.tables.outbox) {
                for (const auto& [id, run_id] : rows) {
                    if (row.id == id) {
                        row.locked = false;
                        row.sent = sent;
                    }
                }
            }
            rows.clear();
        }

        ~Rows() { each(false); }
    };

    Rows mine{db_};
    for (auto& row : db_.tables.outbox) {
        if (!row.sent && !row.locked) {
            row.locked = true;
            mine.rows.emplace_back(row.id, row.run_id);
        }
    }
    std::size_t count = 0;
    for (const auto& [number, id] : mine.rows) {
        const auto* row = db_.run(id);
        if (row != nullptr && row->state == "queued") {
            const auto wait = std::max<std::int64_t>(row->available_at - scene_.now(), 0);
            queue.add({.id = row->job_id, .pipeline = row->pipeline, .data = id, .delay = milliseconds(wait)});
            ++count;
        }
    }
    if (db_.server != mine.server) {
        throw Error(ErrorKind::transient, "postgres.connect", "the link to Postgres broke");
    }
    mine.each(true);
    std::erase_if(db_.tables.outbox, [](const OutboxRow& row) { return row.sent; });
    scene_.after();
    return count;
}

std::vector<run::QueuedRun> FakeLedger::queued_for(milliseconds age) {
    scene_.before("queued_for", {});
    std::vector<run::QueuedRun> found;
    for (const auto& row : db_.tables.runs) {
        const bool waits = std::any_of(db_.tables.outbox.begin(), db_.tables.outbox.end(), [&](const OutboxRow& one) {
            return one.run_id == row.id && !one.sent;
        });
        if (row.state == "queued" && row.available_at < scene_.now() - age.count() && !waits &&
            scene_.mutant() != Mutant::no_resend) {
            found.push_back({row.id, row.job_id});
        }
    }
    scene_.after();
    return found;
}

void FakeLedger::send_again(const run::QueuedRun& run) {
    scene_.before("send_again", run.run_id);
    wait_for_lock(run.run_id);
    auto* row = db_.run(run.run_id);
    if (row != nullptr && row->state == "queued" && row->job_id == run.job_id) {
        row->job_timestamp = 0;
        row->job_id = "job-" + row->id + "-" + std::to_string(++row->sends);
        db_.to_outbox(row->id);
    }
    scene_.after();
}

std::vector<std::int64_t> FakeLedger::overdue_outputs() {
    scene_.before("overdue_outputs", {});
    std::vector<std::int64_t> ids;
    for (const auto& output : db_.tables.outputs) {
        if (!output.published && output.decided_at < scene_.now() - overdue_ms) {
            ids.push_back(output.id);
        }
    }
    scene_.after();
    return ids;
}

std::vector<run::DecidedRun> FakeLedger::overdue_runs() {
    scene_.before("overdue_runs", {});
    std::vector<run::DecidedRun> found;
    for (const auto& row : db_.tables.runs) {
        const bool waits = std::any_of(db_.tables.outputs.begin(), db_.tables.outputs.end(), [&](const OutputRow& one) {
            return one.run_id == row.id && !one.published;
        });
        if (row.state == "committed" && row.committed_at < scene_.now() - overdue_ms && !waits) {
            found.push_back({row.id, row.pipeline});
        }
    }
    scene_.after();
    return found;
}

std::vector<std::string> FakeLedger::sweep_staging() {
    return {};
}

}  // namespace headrace::sim
