#include "proof/ledger_check.hpp"

#include <fmt/core.h>

#include <set>

namespace headrace::proof {
namespace {

std::string bytes_of_hex(const std::string& hex) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

const std::vector<std::string> queue_lists = {"bull:etl:wait", "bull:etl:active", "bull:etl:paused"};
const std::vector<std::string> queue_sets = {"bull:etl:delayed", "bull:etl:prioritized"};

}  // namespace

LedgerCheck::LedgerCheck(Database& db, Cache& queue, Cache& cache, std::vector<Output> outputs, Violations& violations)
    : db_(db), queue_(queue), cache_(cache), outputs_(std::move(outputs)), violations_(violations) {}

// Every row of the query is one violation; its columns say which.
void LedgerCheck::none(const std::string& kind, const std::string& what, const std::string& sql) {
    for (const auto& row : db_.rows(sql)) {
        std::string words;
        for (const auto& word : row) {
            words += " " + word;
        }
        violations_.add(kind, what + ":" + words);
    }
}

void LedgerCheck::stuck() {
    none(
        "stuck",
        "a lease ran out and nobody took the run",
        "select run_id, worker, now() - lease_until from etl_runs where state = 'running' and lease_until < now() - "
        "interval '15 seconds'"
    );
    none(
        "stuck",
        "decided, not visible",
        "select run_id, committed_at from etl_runs where state = 'committed' and committed_at < now() - interval '20 "
        "seconds'"
    );
    none(
        "stuck",
        "a run waits",
        "select run_id, available_at, job_id from etl_runs where state = 'queued' and available_at < now() - interval "
        "'30 seconds'"
    );
}

bool LedgerCheck::settled() {
    if (db_.number("select count(*) from etl_runs where state in ('queued', 'running', 'committed')") > 0 ||
        db_.number("select count(*) from etl_outputs where not published") > 0 ||
        db_.number("select count(*) from etl_outbox where sent_at is null") > 0) {
        return false;
    }
    for (const auto& list : queue_lists) {
        if (queue_.call({"LLEN", list}).number > 0) {
            return false;
        }
    }
    for (const auto& set : queue_sets) {
        if (queue_.call({"ZCARD", set}).number > 0) {
            return false;
        }
    }
    return true;
}

void LedgerCheck::unsettled() {
    none(
        "stuck",
        "not over",
        "select run_id, pipeline, state, attempt, crash_count, coalesce(error::text, '') from etl_runs where state in "
        "('queued', 'running', 'committed')"
    );
    none("stuck", "not published", "select pipeline, name, seq from etl_outputs where not published");
    none("stuck", "not sent", "select run_id, created_at from etl_outbox where sent_at is null");
    for (const auto& list : queue_lists) {
        for (const auto& job : queue_.call({"LRANGE", list, "0", "-1"}).parts) {
            violations_.add("stuck", "a job in " + list + ": " + job.text);
        }
    }
    for (const auto& set : queue_sets) {
        for (const auto& job : queue_.call({"ZRANGE", set, "0", "-1"}).parts) {
            violations_.add("stuck", "a job in " + set + ": " + job.text);
        }
    }
}

void LedgerCheck::finals() {
    runs();
    commits();
    outputs();
    leftovers();
}

// Nothing is wrong with the pipelines: a run succeeds, or three workers died during it.
void LedgerCheck::runs() {
    none(
        "lost",
        "a run ended otherwise",
        "select run_id, pipeline, state, attempt, crash_count, coalesce(error::text, reason, '') from etl_runs where "
        "state not in ('succeeded', 'queued', 'running', 'committed') and not (state = 'quarantined' and crash_count "
        ">= 3)"
    );
}

void LedgerCheck::commits() {
    none("lost", "Redis had a decision that Postgres does not know", "select epoch from etl_meta where epoch <> 1");
    // A run that repairs Redis leaves the tables alone: they have lost nothing, and must not be appended to again.
    none(
        "lost",
        "succeeded without a decision for each output",
        "select r.run_id, r.pipeline, r.trigger, count(k.output_id) from etl_runs r left join etl_commits k using "
        "(run_id) where r.state = 'succeeded' group by r.run_id, r.pipeline having count(k.output_id) <> (select "
        "count(*) from etl_outputs o where o.pipeline = r.pipeline and (r.trigger <> 'republish' or o.name like "
        "'redis:%'))"
    );
    none(
        "doubled",
        "decided by one attempt, owned by another",
        "select r.run_id, r.state, r.attempt_id, k.attempt_id from etl_runs r join etl_commits k using (run_id) where "
        "k.attempt_id is distinct from r.attempt_id"
    );
    none(
        "doubled",
        "decided, but the run did not succeed",
        "select distinct r.run_id, r.state from etl_runs r join etl_commits k using (run_id) where r.state not in "
        "('succeeded', 'committed')"
    );
    none(
        "doubled",
        "decisions and numbers of an output differ",
        "select o.pipeline, o.name, o.seq, count(k.run_id), coalesce(max(k.seq), 0) from etl_outputs o left join "
        "etl_commits k using (output_id) group by o.output_id having o.seq <> count(k.run_id) or o.seq <> "
        "coalesce(max(k.seq), 0)"
    );
    none(
        "doubled",
        "not one successful attempt",
        "select r.run_id, count(a.attempt) from etl_runs r left join etl_attempts a on a.run_id = r.run_id and "
        "a.outcome = 'succeeded' where r.state = 'succeeded' group by r.run_id having count(a.attempt) <> 1"
    );
}

void LedgerCheck::outputs() {
    for (const auto& one : outputs_) {
        output(one);
    }
}

void LedgerCheck::output(const Output& output) {
    const auto decided = db_.rows(
        "select o.output_id, m.epoch, o.seq, o.run_id, o.published, encode(o.payload, 'hex') from etl_outputs o, "
        "etl_meta m where o.pipeline = $1 and o.manifest->'keys'->0->>'live' = $2",
        {output.pipeline, output.key}
    );
    if (decided.size() != 1 || decided[0][2] == "0") {
        violations_.add("lost", fmt::format("{}: nothing was ever decided for it", output.key));
        return;
    }
    const auto& row = decided[0];
    const auto marker = cache_.call({"HMGET", fmt::format("{{o:{}}}:applied", row[0]), "e", "s", "r"});
    const auto meta = cache_.call({"HMGET", output.key + ":meta", "epoch", "seq", "run"});
    for (const auto* at : {&marker, &meta}) {
        for (std::size_t i = 0; i < 3; ++i) {
            if (at->parts.at(i).text != row[i + 1]) {
                violations_.add(
                    "lost",
                    fmt::format("{}: Redis has `{}`, Postgres decided `{}`", output.key, at->parts[i].text, row[i + 1])
                );
            }
        }
    }
    const auto live = cache_.call(output.read_command()).all_text();
    const auto marks = marks_in(live);
    if (marks.mixed || marks.count != output.rows) {
        violations_.add("torn", fmt::format("{}: at the end {} rows", output.key, marks.count));
    }
    if (row[4] != "t") {
        violations_.add("stuck", output.key + ": not marked as published");
    }
    if (cache_.call({"TTL", output.key}).number != -1) {
        violations_.add("other", output.key + ": the live key has the TTL of its staging");
    }
    static const std::string scratch = "proof:copy";
    cache_.call({"RESTORE", scratch, "0", bytes_of_hex(row[5]), "REPLACE"});
    if (marks_in(cache_.call(output.read_command(scratch)).all_text()).mark != marks.mark) {
        violations_.add("lost", output.key + ": Redis shows another content than Postgres decided");
    }
    cache_.call({"DEL", scratch});
}

void LedgerCheck::seen(const std::vector<std::map<OutputReader::Number, Generation>>& seen) {
    std::map<std::string, std::string> mark_of_run;
    const auto epoch = db_.number("select epoch from etl_meta");
    for (std::size_t i = 0; i < seen.size(); ++i) {
        // By their numbers within the output; once the epoch has risen, what was decided is published again under it.
        struct Decided {
            long epoch;
            std::string run;
        };

        std::map<long, Decided> decided;
        for (const auto& row : db_.rows(
                 "select k.epoch, k.seq, k.run_id from etl_commits k join etl_outputs o using (output_id) where "
                 "o.pipeline = $1 and o.manifest->'keys'->0->>'live' = $2",
                 {outputs_[i].pipeline, outputs_[i].key}
             )) {
            decided[std::stol(row[1])] = {std::stol(row[0]), row[2]};
        }
        for (const auto& [number, generation] : seen[i]) {
            const auto found = decided.find(number.second);
            if (found == decided.end() || found->second.run != generation.run || number.first < found->second.epoch ||
                number.first > epoch) {
                violations_.add(
                    "torn",
                    fmt::format(
                        "{}: ({}, {}) of run {} was seen and never decided",
                        outputs_[i].key,
                        number.first,
                        number.second,
                        generation.run
                    )
                );
            }
            const auto [known, is_new] = mark_of_run.try_emplace(generation.run, generation.mark);
            if (!is_new && known->second != generation.mark) {
                violations_.add("doubled", fmt::format("run {} was seen with two contents", generation.run));
            }
        }
    }
}

void LedgerCheck::leftovers() {
    const auto deadlocks = db_.number("select deadlocks from pg_stat_database where datname = current_database()");
    if (deadlocks != 0) {
        violations_.add("other", fmt::format("{} deadlocks in Postgres", deadlocks));
    }
    std::string cursor = "0";
    do {
        const auto page = cache_.call({"SCAN", cursor, "MATCH", "{o:*}:s:*", "COUNT", "1000"});
        cursor = page.parts.at(0).text;
        for (const auto& key : page.parts.at(1).parts) {
            if (cache_.call({"TTL", key.text}).number == -1) {
                violations_.add("other", "staging that never dies: " + key.text);
            }
        }
    } while (cursor != "0");
}

}  // namespace headrace::proof
