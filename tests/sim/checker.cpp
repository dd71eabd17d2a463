#include "sim/checker.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <sstream>

namespace headrace::sim {

void Checker::add(std::string kind, std::string text) {
    if (!violation_) {
        violation_ = Violation{std::move(kind), std::move(text)};
    }
}

void Checker::redis_loses_all() {
    redis_lost_ = true;
    last_.clear();
    excused_live_.clear();
    for (const auto& [key, content] : redis_.staged) {
        rows_lost_.insert(content.run_id);
    }
    for (const auto& [id, shown] : redis_.shown) {
        if (shown.live) {
            rows_lost_.insert(shown.live->run_id);
        }
    }
}

void Checker::redis_loses_live(std::int64_t output_id) {
    redis_lost_ = true;
    excused_live_.insert(output_id);
    if (const auto& live = redis_.shown[output_id].live) {
        rows_lost_.insert(live->run_id);
    }
}

// Who says "succeeded" must have shown it.
void Checker::look_at_ends() {
    for (const auto& run : db_.tables.runs) {
        if (run.state != "succeeded" || succeeded_.contains(run.id)) {
            continue;
        }
        succeeded_.insert(run.id);
        for (const auto& commit : db_.tables.commits) {
            if (commit.run_id != run.id || !commit.rows.empty()) {  // tables show what is decided
                continue;
            }
            const auto shown = redis_.shown.find(commit.output_id);
            if (shown == redis_.shown.end() || !shown->second.marker || shown->second.marker->seq < commit.seq) {
                add("lost", fmt::format("{} has succeeded and output {} was not published", run.id, commit.output_id));
            }
        }
    }
}

void Checker::look() {
    if (!redis_lost_ && !failovers_) {
        look_at_ends();
    }
    if (seen_changes_ == redis_.changes) {
        return;
    }
    seen_changes_ = redis_.changes;
    for (const auto& [id, shown] : redis_.shown) {
        look_at(id, shown);
    }
}

void Checker::look_at(std::int64_t output_id, const Shown& shown) {
    if (!shown.live) {
        if (shown.meta && !excused_live_.contains(output_id)) {
            add("torn", fmt::format("output {} has a meta hash and no live key", output_id));
        }
        return;
    }
    excused_live_.erase(output_id);
    if (!shown.meta) {
        add("torn", fmt::format("output {} has a live key and no meta hash", output_id));
        return;
    }
    const auto& meta = *shown.meta;
    const bool decided = std::any_of(db_.ever_decided.begin(), db_.ever_decided.end(), [&](const CommitRow& one) {
        return one.output_id == output_id && one.seq == meta.seq && one.run_id == meta.run_id &&
               one.run_id == shown.live->run_id && one.attempt_id == shown.live->attempt_id;
    });
    if (!decided) {
        add("torn",
            fmt::format(
                "output {} shows rows of {} ({}), its meta hash says {}.{} of {}",
                output_id,
                shown.live->run_id,
                shown.live->attempt_id,
                meta.epoch,
                meta.seq,
                meta.run_id
            ));
    }
    auto& last = last_[output_id];
    if (std::pair(meta.epoch, meta.seq) < last) {
        add("backwards",
            fmt::format("output {} went from {}.{} to {}.{}", output_id, last.first, last.second, meta.epoch, meta.seq)
        );
    }
    last = {meta.epoch, meta.seq};
}

std::string Checker::open_end() const {
    for (const auto& run : db_.tables.runs) {
        if (run.state == "queued" || run.state == "running" || run.state == "committed") {
            return fmt::format("{} is {}", run.id, run.state);
        }
    }
    for (const auto& output : db_.tables.outputs) {
        if (output.seq == 0) {
            continue;
        }
        if (!output.published) {
            return fmt::format("output {} is decided and not published", output.id);
        }
        if (output.manifest.keys.empty()) {
            continue;
        }
        const auto shown = redis_.shown.find(output.id);
        if (shown == redis_.shown.end() || !shown->second.live) {
            return fmt::format("output {} is not in Redis", output.id);
        }
        const auto& [live, meta, marker] = shown->second;
        if (*live != Content{output.run_id, output.attempt_id} || !marker || marker->epoch != db_.tables.epoch ||
            marker->seq != output.seq) {
            return fmt::format(
                "output {} shows {}.{} of {}, decided is {}.{} of {}",
                output.id,
                marker ? marker->epoch : 0,
                marker ? marker->seq : 0,
                live->run_id,
                db_.tables.epoch,
                output.seq,
                output.run_id
            );
        }
    }
    return "";
}

void Checker::judge_run(const RunRow& run, std::size_t outputs) {
    const auto commits = static_cast<std::size_t>(std::count_if(
        db_.tables.commits.begin(), db_.tables.commits.end(), [&](const CommitRow& one) { return one.run_id == run.id; }
    ));
    const auto lost = [&](std::string_view why) { add("lost", fmt::format("{} is {}: {}", run.id, run.state, why)); };
    if (commits > 0 && run.state != "succeeded" && run.state != "superseded") {
        lost("it was decided");
    }
    if (run.crash_count > looked_dead_) {
        lost(fmt::format("{} deaths are counted, {} workers died", run.crash_count, looked_dead_));
    }
    if (run.state == "succeeded") {
        if (commits < outputs) {
            lost(fmt::format("{} of its {} outputs are decided", commits, outputs));
        }
    } else if (run.state == "failed") {
        const auto errors = transient_.find(run.id);
        const int broken = (errors == transient_.end() ? 0 : errors->second) + (failovers_ ? 1 : 0);  // its links too
        if (!permanent_.contains(run.id) && broken < 3) {
            lost("nothing of it failed for good");
        }
    } else if (run.state == "cancelled") {
        if (!cancelled_.contains(run.id)) {
            lost("nobody cancelled it");
        }
    } else if (run.state == "superseded") {
        if (!rows_lost_.contains(run.id) && !failovers_) {
            lost("Redis lost nothing of it");
        }
    } else if (run.state == "quarantined") {
        if (looked_dead_ < 3) {
            lost(fmt::format("{} workers died", looked_dead_));
        }
    }
}

// What a decision put into a table: each unit of the cursor once, in order, and none older than what was there.
void Checker::judge_tables() {
    std::map<std::pair<std::int64_t, int>, std::int64_t> newest;  // by output and unit
    for (const auto& commit : db_.ever_decided) {
        std::istringstream rows(commit.rows);
        std::string word;
        int wanted = 0;
        while (rows >> word) {
            const int unit = std::stoi(word);
            const auto read_at = std::stoll(word.substr(word.find(':') + 1));
            if (unit != ++wanted) {
                add(unit < wanted ? "double" : "lost",
                    fmt::format("{} decided the rows {} for output {}", commit.run_id, commit.rows, commit.output_id));
                return;
            }
            auto& known = newest[{commit.output_id, unit}];
            if (read_at < known && !failovers_) {
                add("backwards", fmt::format("{} put older rows over newer ones: {}", commit.run_id, commit.rows));
            }
            known = read_at;
        }
        if (wanted != 0 && wanted != table_units) {
            add("lost", fmt::format("{} decided {} of {} units", commit.run_id, wanted, table_units));
        }
    }
}

void Checker::judge(const std::map<std::string, std::size_t>& outputs) {
    judge_tables();
    for (const auto& run : db_.tables.runs) {
        judge_run(run, outputs.at(run.pipeline));
    }
    std::set<std::pair<std::string, std::int64_t>> once;
    std::map<std::string, std::string> attempts;
    for (const auto& commit : db_.tables.commits) {
        if (!once.insert({commit.run_id, commit.output_id}).second) {
            add("double", fmt::format("{} is decided twice for output {}", commit.run_id, commit.output_id));
        }
        if (attempts.emplace(commit.run_id, commit.attempt_id).first->second != commit.attempt_id) {
            add("double", fmt::format("{} is decided by two attempts", commit.run_id));
        }
    }
}

}  // namespace headrace::sim
