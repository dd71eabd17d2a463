#include "sim/fake_postgres.hpp"

#include <algorithm>

namespace headrace::sim {

RunRow* FakePostgres::run(std::string_view id) {
    for (auto& row : tables.runs) {
        if (row.id == id) {
            return &row;
        }
    }
    return nullptr;
}

PipelineRow* FakePostgres::pipeline(std::string_view name) {
    for (auto& row : tables.pipelines) {
        if (row.name == name) {
            return &row;
        }
    }
    return nullptr;
}

OutputRow* FakePostgres::output(std::int64_t id) {
    for (auto& row : tables.outputs) {
        if (row.id == id) {
            return &row;
        }
    }
    return nullptr;
}

void FakePostgres::fail_over(Tables older) {
    tables = std::move(older);
    for (auto& row : tables.outbox) {
        row.locked = false;
    }
    worker_locks.clear();
    locked_runs.clear();
    orphans_.clear();
    ++server;
}

void FakePostgres::leave_orphan(std::string run_id, std::function<void()> commit) {
    orphans_.push_back(
        {std::move(run_id), scene_.now() + 1 + static_cast<std::int64_t>(scene_.draw(400)), std::move(commit)}
    );
}

void FakePostgres::land_orphans() {
    for (std::size_t i = 0; i < orphans_.size();) {
        if (orphans_[i].due > scene_.now()) {
            ++i;
            continue;
        }
        const auto one = std::move(orphans_[i]);
        orphans_.erase(orphans_.begin() + static_cast<std::ptrdiff_t>(i));
        if (one.commit) {
            one.commit();
        }
        locked_runs.erase(one.run_id);
    }
}

FakePostgres::Kept FakePostgres::renew(const std::vector<std::string>& attempts, std::int64_t lease_ms) {
    Kept kept;
    for (auto& row : tables.runs) {
        if (std::find(attempts.begin(), attempts.end(), row.attempt_id) == attempts.end() ||
            (row.state != "running" && row.state != "committed" && row.state != "succeeded")) {
            continue;
        }
        kept.alive.insert(row.attempt_id);
        if (row.cancel_requested && row.state == "running") {
            kept.cancelled.insert(row.attempt_id);
        }
        if (!locked_runs.contains(row.id)) {
            row.lease_until = scene_.now() + lease_ms;
        }
    }
    return kept;
}

std::string FakePostgres::cancel(std::string_view run_id) {
    auto* row = run(run_id);
    if (row == nullptr) {
        throw Error(ErrorKind::invalid, "run.not_found", "there is no such run");
    }
    if (row->state == "cancelled") {
        return row->state;
    }
    if (row->state != "queued" && row->state != "running") {
        throw Error(ErrorKind::invalid, "run.not_cancellable", "the run is already " + row->state);
    }
    row->cancel_requested = true;
    if (row->state == "queued") {
        row->state = "cancelled";
    }
    return row->state;
}

std::string FakePostgres::next_id(std::string_view what) {
    return std::string(what) + std::to_string(++ids_);
}

void FakePostgres::to_outbox(const std::string& run_id) {
    tables.outbox.push_back({.id = ++outbox_ids_, .run_id = run_id});
}

}  // namespace headrace::sim
