// The moves of runs; what the sweep looks for is in fake_ledger_sweep.cpp.
#include "sim/fake_postgres.hpp"

#include <algorithm>

namespace headrace::sim {
namespace {

using run::milliseconds;

std::string_view word(run::ClaimOutcome outcome) {
    constexpr std::string_view words[] = {"claimed", "redo", "finished", "busy"};
    return words[static_cast<std::size_t>(outcome)];
}

std::string_view word(run::Verdict found) {
    constexpr std::string_view words[] = {"committed", "undecided", "fenced"};
    return words[static_cast<std::size_t>(found)];
}

Error broken_link() {
    return {ErrorKind::transient, "postgres.connect", "the link to Postgres broke"};
}

}  // namespace

void FakeLedger::wait_for_lock(std::string_view run_id) {
    const auto server = db_.server;
    const auto until = scene_.now() + patience_;
    while (db_.locked_runs.contains(std::string(run_id))) {
        if (scene_.now() >= until) {
            throw Error(ErrorKind::transient, "postgres.conflict", "somebody holds the row");
        }
        scene_.wait(20);
        if (db_.server != server) {
            throw broken_link();
        }
    }
}

std::optional<run::RunHead> FakeLedger::read_head(const run::Delivery& delivery) {
    scene_.before("read_head", delivery.job_id);
    auto* row = db_.run(delivery.run_id);
    if (delivery.run_id.empty()) {
        for (auto& known : db_.tables.runs) {
            if (known.job_id == delivery.job_id && known.job_timestamp == delivery.job_timestamp) {
                row = &known;
            }
        }
        if (row == nullptr && db_.pipeline(delivery.pipeline) != nullptr) {
            RunRow made;
            made.id = db_.next_id("foreign-");
            made.pipeline = delivery.pipeline;
            made.trigger = "queue";
            made.job_id = delivery.job_id;
            made.job_timestamp = delivery.job_timestamp;
            made.available_at = scene_.now();
            row = &db_.tables.runs.emplace_back(std::move(made));
        }
    }
    std::optional<run::RunHead> head;
    if (row != nullptr) {
        head.emplace();
        head->run_id = row->id;
        head->pipeline = row->pipeline;
        head->state = row->state;
        head->trigger = row->trigger;
        head->max_attempts = db_.pipeline(row->pipeline)->max_attempts;
    }
    scene_.after();
    return head;
}

run::Claim FakeLedger::
    claim(std::string_view run_id, const run::WorkerIdentity& worker, const std::vector<run::OutputSpec>& outputs, milliseconds lease, const std::string&) {
    scene_.before("claim", run_id);
    wait_for_lock(run_id);
    auto* row = db_.run(run_id);
    run::Claim claim;
    claim.state = row != nullptr ? row->state : "";
    const auto busy = [&](std::int64_t ms) {
        claim.outcome = run::ClaimOutcome::busy;
        claim.wait = milliseconds(ms);
    };
    if (row == nullptr) {
        claim.outcome = run::ClaimOutcome::finished;
    } else if (row->state == "committed") {
        claim.outcome = run::ClaimOutcome::redo;
    } else if (row->state == "running") {
        busy(std::clamp<std::int64_t>(row->lease_until - scene_.now(), 200, lease.count()));
    } else if (row->state == "queued" && row->cancel_requested) {
        row->state = claim.state = "cancelled";
    } else if (row->state == "queued" && row->available_at > scene_.now()) {
        busy(row->available_at - scene_.now());
    } else if (row->state == "queued") {
        for (const auto& spec : outputs) {
            OutputRow* output = nullptr;
            for (auto& known : db_.tables.outputs) {
                if (known.pipeline == row->pipeline && known.name == spec.name) {
                    output = &known;
                }
            }
            if (output == nullptr) {
                OutputRow made;
                made.id = static_cast<std::int64_t>(db_.tables.outputs.size()) + 1;
                made.pipeline = row->pipeline;
                made.name = spec.name;
                output = &db_.tables.outputs.emplace_back(std::move(made));
            }
            claim.outputs.push_back({output->id, spec.name, output->seq > 0 ? 1 : -1, 0});
        }
        const bool other = std::any_of(db_.tables.runs.begin(), db_.tables.runs.end(), [&](const RunRow& one) {
            return one.pipeline == row->pipeline && one.id != row->id &&
                   (one.state == "running" || one.state == "committed");
        });
        if (other) {
            busy(500);
        } else {
            claim.outcome = run::ClaimOutcome::claimed;
            claim.state = row->state = "running";
            claim.attempt = ++row->attempt;
            claim.tries = row->attempt - row->spared;
            claim.attempt_id = row->attempt_id = db_.next_id("attempt-");
            row->worker_id = worker.id;
            row->lease_until = scene_.now() + lease.count();
            for (const auto& output : claim.outputs) {
                db_.output(output.id)->owner = claim.attempt_id;
            }
            claim.chunks = take_chunks(run_id);
        }
    }
    scene_.after(word(claim.outcome));
    return claim;
}

// The transaction's last moment. False: fenced.
bool FakeLedger::decided(std::string_view run_id, std::string_view attempt_id, const run::Sealed& sealed) {
    auto* row = db_.run(run_id);
    if (row == nullptr) {
        return false;
    }
    if (scene_.mutant() == Mutant::no_fence) {
        row->state = "running";
        row->attempt_id = attempt_id;
        for (const auto& one : sealed.outputs) {
            if (auto* output = db_.output(one.output_id)) {
                output->owner = attempt_id;
            }
        }
    }
    if (row->state != "running" || row->attempt_id != attempt_id) {
        return false;
    }
    for (const auto& one : sealed.outputs) {
        const auto* output = db_.output(one.output_id);
        if (output == nullptr || output->owner != attempt_id) {
            return false;
        }
    }
    for (const auto& one : sealed.outputs) {
        auto& output = *db_.output(one.output_id);
        ++output.seq;
        output.run_id = run_id;
        output.attempt_id = attempt_id;
        output.manifest = one.manifest;
        output.published = one.manifest.keys.empty();
        output.decided_at = scene_.now();
        const CommitRow commit{
            std::string(run_id),
            one.output_id,
            db_.tables.epoch,
            output.seq,
            std::string(attempt_id),
            one.manifest.schema_hash};
        db_.tables.commits.push_back(commit);
        db_.ever_decided.push_back(commit);
    }
    row->state = "committed";
    row->committed_at = scene_.now();
    std::erase_if(db_.tables.chunks, [&](const ChunkRow& one) {
        return one.run_id == run_id || (one.pipeline == row->pipeline && scene_.mutant() != Mutant::stale_chunks);
    });
    return true;
}

run::Decision FakeLedger::decide(
    std::string_view run_id,
    std::string_view attempt_id,
    const run::Sealed& sealed,
    const run::Counters&,
    Deadline,
    const StopToken& stop
) {
    scene_.before("decide", run_id);
    stop.throw_if_stopped();
    wait_for_lock(run_id);
    const std::string id(run_id);
    const std::string attempt(attempt_id);
    const auto* row = db_.run(run_id);
    const bool mine = row != nullptr && row->state == "running" && row->attempt_id == attempt_id;
    if (!mine && scene_.mutant() != Mutant::no_fence) {
        return run::Decision::fenced;
    }
    if (row != nullptr && (row->cancel_requested || db_.pipeline(row->pipeline)->removed)) {
        db_.run(run_id)->cancel_requested = true;
        return run::Decision::cancelled;
    }

    // Statements of the manifests take their time; who dies here lets the lock go.
    struct Held {
        FakePostgres& db;
        const std::string& id;
        int server = db.server;
        bool mine = true;

        ~Held() {
            if (mine && db.server == server) {
                db.locked_runs.erase(id);
            }
        }
    };

    Held held{db_, id};
    db_.locked_runs.insert(id);
    scene_.within("statements of the decision");
    if (db_.server != held.server) {
        throw broken_link();
    }
    const auto commit = [this, id, attempt, sealed] { return decided(id, attempt, sealed); };
    switch (scene_.commit_fate()) {
        case Fate::answered:
            return commit() ? run::Decision::committed : run::Decision::fenced;
        case Fate::done_unanswered:
            commit();
            break;
        case Fate::undone_unanswered:
            break;
        case Fate::in_flight:
            held.mine = false;
            if (scene_.draw(2) == 0) {
                db_.leave_orphan(id, nullptr);
            } else {
                db_.leave_orphan(id, [commit] { commit(); });
            }
            break;
    }
    if (scene_.mutant() == Mutant::no_verdict) {
        throw broken_link();
    }
    throw postgres::CommitUnknown("the link broke after COMMIT was sent");
}

run::Verdict FakeLedger::verdict(std::string_view run_id, std::string_view attempt_id) {
    scene_.before("verdict", run_id);
    if (scene_.mutant() != Mutant::blind_verdict) {
        wait_for_lock(run_id);
    }
    const auto* row = db_.run(run_id);
    auto found = run::Verdict::fenced;
    if (row != nullptr && row->attempt_id == attempt_id) {
        found = row->state == "committed" || row->state == "succeeded" ? run::Verdict::committed
                : row->state == "running"                              ? run::Verdict::undecided
                                                                       : run::Verdict::fenced;
    }
    scene_.after(word(found));
    return found;
}

void FakeLedger::acknowledge(std::int64_t output_id, std::int64_t seq, std::string_view run_id) {
    scene_.before("acknowledge", run_id);
    wait_for_lock(run_id);
    if (auto* output = db_.output(output_id); output != nullptr && output->seq == seq) {
        output->published = true;
    }
    if (auto* row = db_.run(run_id); row != nullptr && row->state == "committed") {
        const bool waits = std::any_of(db_.tables.outputs.begin(), db_.tables.outputs.end(), [&](const OutputRow& one) {
            return one.run_id == run_id && !one.published;
        });
        if (!waits || scene_.mutant() == Mutant::half_ack) {
            row->state = "succeeded";
        }
    }
    scene_.after();
}

bool FakeLedger::abandon(std::string_view run_id) {
    scene_.before("abandon", run_id);
    wait_for_lock(run_id);
    auto* row = db_.run(run_id);
    const bool moved = row != nullptr && row->state == "committed";
    if (moved) {
        row->state = "superseded";
    }
    scene_.after();
    return moved;
}

run::Ending FakeLedger::end_attempt(std::string_view run_id, std::string_view attempt_id, const run::AttemptEnd& end) {
    scene_.before("end_attempt", run_id);
    wait_for_lock(run_id);
    auto* row = db_.run(run_id);
    run::Ending ending{.state = row != nullptr ? row->state : ""};
    if (row != nullptr && row->state == "running" && row->attempt_id == attempt_id) {
        const int tries = row->attempt - row->spared;
        if (end.error.code() == "run.chunks") {
            std::erase_if(db_.tables.chunks, [&](const ChunkRow& one) { return one.run_id == run_id; });
        }
        if (row->cancel_requested || end.error.code() == "run.cancelled") {
            row->state = "cancelled";
        } else if (end.error.kind() == ErrorKind::transient && tries < db_.pipeline(row->pipeline)->max_attempts) {
            ending.wait = milliseconds(
                end.backoff.count() / 2 +
                static_cast<std::int64_t>(scene_.draw(static_cast<std::uint64_t>(end.backoff.count())))
            );
            row->state = "queued";
            row->attempt_id.clear();
            row->available_at = scene_.now() + ending.wait.count();
        } else {
            row->state = "failed";
        }
        ending.state = row->state;
    }
    scene_.after(ending.state);
    return ending;
}

void FakeLedger::release(std::string_view run_id, std::string_view attempt_id) {
    scene_.before("release", run_id);
    wait_for_lock(run_id);
    auto* row = db_.run(run_id);
    if (row != nullptr && row->state == "running" && row->attempt_id == attempt_id) {
        row->state = "queued";
        row->attempt_id.clear();
        row->available_at = scene_.now();
        ++row->spared;
    }
    scene_.after();
}

void FakeLedger::fail_unclaimed(std::string_view run_id, const Error&) {
    scene_.before("fail_unclaimed", run_id);
    wait_for_lock(run_id);
    if (auto* row = db_.run(run_id); row != nullptr && row->state == "queued") {
        row->state = "failed";
    }
    scene_.after();
}

run::Triggered FakeLedger::trigger(const run::TriggerRequest& request) {
    scene_.before("trigger", request.pipeline);
    const auto* pipeline = db_.pipeline(request.pipeline);
    if (pipeline == nullptr) {
        throw Error(ErrorKind::invalid, "pipeline.not_found", "there is no such pipeline");
    }
    if (pipeline->paused && !request.forced && request.trigger != "republish") {
        throw Error(ErrorKind::invalid, "pipeline.paused", "the pipeline is paused");
    }
    for (const auto& row : db_.tables.runs) {
        if (!pipeline->queue_overlap && row.pipeline == request.pipeline &&
            (row.state == "queued" || row.state == "running" || row.state == "committed")) {
            throw Error(ErrorKind::invalid, "run.already_active", "run " + row.id + " is " + row.state);
        }
    }
    RunRow made;
    made.id = db_.next_id("run-");
    made.pipeline = request.pipeline;
    made.trigger = request.trigger;
    made.job_id = "job-" + made.id;
    made.available_at = scene_.now();
    const run::Triggered done{made.id, true};
    db_.to_outbox(made.id);
    db_.tables.runs.push_back(std::move(made));
    scene_.after();
    return done;
}

}  // namespace headrace::sim
