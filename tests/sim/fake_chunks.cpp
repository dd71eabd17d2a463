// The chunk ledger, as run/chunks.
#include "sim/fake_postgres.hpp"

#include <algorithm>

namespace headrace::sim {

std::vector<run::Chunk> FakeLedger::take_chunks(std::string_view run_id) {
    std::vector<run::Chunk> chunks;
    bool whole = true;
    for (const auto& row : db_.tables.chunks) {
        if (row.run_id == run_id) {
            chunks.push_back(row.chunk);
            for (const auto& part : row.chunk.parts) {
                whole = whole && !db_.lost_tables.contains(part.rows.table);
            }
        }
    }
    if (!whole) {
        std::erase_if(db_.tables.chunks, [&](const ChunkRow& one) { return one.run_id == run_id; });
        return {};
    }
    std::stable_sort(chunks.begin(), chunks.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
    return chunks;
}

// The transaction's last moment. False: fenced.
bool FakeLedger::added(std::string_view run_id, std::string_view attempt_id, const run::Chunk& chunk) {
    const auto* row = db_.run(run_id);
    if (row == nullptr) {
        return false;
    }
    const bool blind = scene_.mutant() == Mutant::zombie_chunk;
    bool mine = row->state == "running" && row->attempt_id == attempt_id;
    for (const auto& part : chunk.parts) {
        const auto* output = db_.output(part.output_id);
        mine = mine && output != nullptr && output->owner == attempt_id;
    }
    if (!mine && !blind) {
        return false;
    }
    int last = 0;
    for (const auto& known : db_.tables.chunks) {
        if (known.run_id != run_id) {
            continue;
        }
        if (known.chunk.number == chunk.number && known.attempt_id == attempt_id) {
            return true;
        }
        last = std::max(last, known.chunk.number);
    }
    if (last != chunk.number - 1 && !blind) {
        return false;
    }
    db_.tables.chunks.push_back({std::string(run_id), row->pipeline, std::string(attempt_id), chunk});
    return true;
}

bool FakeLedger::add_chunk(std::string_view run_id, std::string_view attempt_id, const run::Chunk& chunk) {
    scene_.before("add_chunk", run_id);
    wait_for_lock(run_id);
    const std::string id(run_id);
    const std::string attempt(attempt_id);
    const auto commit = [this, id, attempt, chunk] { return added(id, attempt, chunk); };
    const auto* row = db_.run(run_id);
    const bool mine = row != nullptr && row->state == "running" && row->attempt_id == attempt_id;
    const auto fate = mine ? scene_.commit_fate() : Fate::answered;
    if (fate == Fate::answered) {
        const bool good = commit();
        scene_.after(good ? "added" : "fenced");
        return good;
    }
    if (fate == Fate::done_unanswered) {
        commit();
    } else if (fate == Fate::in_flight) {
        db_.locked_runs.insert(id);
        db_.leave_orphan(
            id, scene_.draw(2) == 0 ? std::function<void()>() : [commit] { commit(); }
        );
    }
    throw postgres::CommitUnknown("the link broke after COMMIT was sent");
}

}  // namespace headrace::sim
