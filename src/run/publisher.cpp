#include "run/publisher.hpp"

#include "base/ids.hpp"
#include "base/killpoint.hpp"
#include "run/ledger.hpp"
#include "run/manifest.hpp"

#include <fmt/core.h>

#include <optional>
#include <utility>

namespace headrace::run {
namespace {

using postgres::Connection;

constexpr std::string_view redis_kind = "redis:";  // names of outputs in Redis are this and the live key

// The payload is the DUMP of the staged key. "" when there is none.
std::string rebuild_staging(Connection& db, redis::Connection& cache, const Generation& generation) {
    if (!generation.has_payload) {
        return {};
    }
    const auto row = db.exec(
        "select payload from etl_outputs where output_id = $1 and seq = $2 and payload is not null",
        {generation.output_id, generation.seq}
    );
    if (row.empty()) {
        return {};
    }
    auto key = generation.space().staging("rebuild-" + make_uuid_v4());
    const auto payload = row.bytes(0, "payload");
    cache.command({"RESTORE", key, "3600000", payload, "REPLACE"});
    return key;
}

// A merge takes many calls; every other form one.
Applied apply_all(redis::Connection& cache, const Generation& generation, bool force, Deadline until) {
    for (;;) {
        const auto answer = apply(cache, generation, generation.key().staging, force);
        if (answer != Applied::more || until.passed()) {
            return answer;
        }
    }
}

// Rows that no run brought for long go after the merge; what is left at the deadline goes with the next one.
void sweep(redis::Connection& cache, const Generation& generation, Deadline until) {
    const auto& m = generation.manifest;
    if (m.form != pipeline::Form::merge || m.sweep_ms == 0) {
        return;
    }
    while (sweep_rows(cache, generation) && !until.passed()) {
    }
}

}  // namespace

const std::string_view generation_columns =
    "o.output_id, o.pipeline, m.epoch, o.seq, o.run_id, o.manifest, o.decided_at, o.payload is not null as "
    "has_payload, o.published,"
    " floor(extract(epoch from now() - o.decided_at) * 1000)::bigint as age_ms,"
    " floor(extract(epoch from o.decided_at) * 1000)::bigint as decided_ms";

Generation generation_of(const postgres::Result& rows, std::size_t row) {
    return {
        .output_id = rows.integer(row, "output_id"),
        .pipeline = std::string(rows.text(row, "pipeline")),
        .epoch = rows.integer(row, "epoch"),
        .seq = rows.integer(row, "seq"),
        .run_id = std::string(rows.text(row, "run_id")),
        .decided_at = format_rfc3339(rows.time(row, "decided_at").value_or(Timestamp())),
        .decided_ms = rows.integer(row, "decided_ms"),
        .age_ms = rows.integer(row, "age_ms"),
        .has_payload = rows.boolean(row, "has_payload"),
        .published = rows.boolean(row, "published"),
        .manifest = parse_manifest(rows.text(row, "manifest"))};
}

PublishResult
publish_output(Connection& db, redis::Connection& cache, std::int64_t output_id, bool force, Deadline until) {
    const auto rows = db.exec(
        fmt::format(
            "select {} from etl_outputs o, etl_meta m where o.output_id = $1 and o.seq > 0 and not o.removed",
            generation_columns
        ),
        {output_id}
    );
    if (rows.empty()) {
        return PublishResult::nothing;
    }
    const auto generation = generation_of(rows, 0);
    if (generation.manifest.keys.empty()) {  // not in Redis: the decision made it visible
        acknowledge(db, generation.output_id, generation.seq, generation.run_id);
        return PublishResult::already;
    }
    auto answer = apply_all(cache, generation, force, until);
    if (answer == Applied::no_stage) {
        const auto rebuilt = rebuild_staging(db, cache, generation);
        if (rebuilt.empty()) {
            return PublishResult::no_stage;
        }
        answer = apply(cache, generation, rebuilt, force);
    }
    if (answer == Applied::more) {
        return PublishResult::partly;
    }
    sweep(cache, generation, until);
    if (!generation.published) {  // what Redis only had lost needs no row lock
        acknowledge(db, generation.output_id, generation.seq, generation.run_id);
    }
    return answer == Applied::applied ? PublishResult::applied : PublishResult::already;
}

bool publish_run(Connection& db, const std::function<redis::Connection&()>& connect, std::string_view run_id) {
    const auto rows =
        db.exec("select output_id from etl_outputs where run_id = $1 and not published order by output_id", {run_id});
    if (rows.empty()) {
        // Everything of it is out (or a newer run's generation is): only the run's own state is missing.
        acknowledge(db, 0, 0, run_id);
        return true;
    }
    auto& cache = connect();
    bool all = true;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        all = publish_output(db, cache, rows.integer(i, "output_id")) != PublishResult::no_stage && all;
    }
    return all;
}

bool publish_run(Connection& db, redis::Connection& cache, std::string_view run_id) {
    return publish_run(
        db, [&]() -> redis::Connection& { return cache; }, run_id
    );
}

std::vector<Stale> find_stale(Connection& db, redis::Connection& cache) {
    const auto rows = db.exec(fmt::format(
        "select {} from etl_outputs o, etl_meta m where o.seq > 0 and not o.removed and o.manifest->'keys' <> '[]'"
        " order by o.output_id",
        generation_columns
    ));
    std::vector<Generation> outputs;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        auto output = generation_of(rows, i);
        if (!output.manifest.keys.empty() && (!output.has_expired() || output.manifest.form == pipeline::Form::merge)) {
            outputs.push_back(std::move(output));
        }
    }
    for (const auto& output : outputs) {
        cache.append({"HMGET", output.space().marker(), "e", "s", "r"});
        append_presence(cache, output);
    }
    std::vector<Stale> stale;
    for (const auto& output : outputs) {
        const auto applied = redis::checked(cache.read_reply());
        const bool lost = redis::checked(cache.read_reply()).integer() != 1;
        if (applied.at(0).is_nil() || applied.at(1).is_nil() || applied.at(2).is_nil()) {
            stale.push_back({.output_id = output.output_id, .run_id = {}});
            continue;
        }
        Stale one{.output_id = output.output_id, .run_id = applied.at(2).str()};
        one.epoch = applied.at(0).integer();
        one.seq = applied.at(1).integer();
        const bool numbers = one.epoch == output.epoch && one.seq == output.seq;
        const bool same = numbers && one.run_id == output.run_id;
        one.ahead = !same && std::pair(one.epoch, one.seq) >= std::pair(output.epoch, output.seq);
        one.lost = same && lost;
        if (!same || lost) {
            stale.push_back(std::move(one));
        }
    }
    return stale;
}

// Also of outputs without any decision yet (an attempt that died) and of removed ones: their names hold the live key.
void retire_rows(Connection& db, redis::Connection& cache, Deadline until) {
    const auto rows = db.exec(fmt::format(
        "select {}, o.name from etl_outputs o, etl_meta m where o.kind = 'redis' order by o.output_id",
        generation_columns
    ));

    struct Candidate {
        pipeline::RedisSpace space;
        std::string pointer;
        bool expired = false;
        std::vector<std::string> keep;
    };

    std::vector<Candidate> candidates;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        const auto name = rows.text(i, "name");
        const auto live = name.starts_with(redis_kind) ? name.substr(redis_kind.size()) : name;
        Candidate one{.space = {rows.text(i, "output_id"), live}, .pointer = {}};
        if (!rows.is_null(i, "manifest")) {
            const auto output = generation_of(rows, i);
            one.pointer = output.manifest.keys.empty() ? std::string() : pointer_key(output);
            one.expired = output.manifest.form == pipeline::Form::pointer && output.has_expired();
            if (!one.expired && !output.manifest.generation.empty()) {
                one.keep.push_back(output.manifest.generation);
            }
        }
        cache.append({"EXISTS", one.space.registry()});
        candidates.push_back(std::move(one));
    }
    std::vector<bool> busy;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        // The rows of an expired pointer are in no registry yet.
        busy.push_back(redis::checked(cache.read_reply()).integer() == 1 || candidates[i].expired);
    }
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const auto& one = candidates[i];
        while (busy[i] && !until.passed() && retire(cache, one.space, one.pointer, one.expired, one.keep)) {
        }
    }
}

}  // namespace headrace::run
