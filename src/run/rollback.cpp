#include "run/rollback.hpp"

#include "base/ids.hpp"
#include "base/killpoint.hpp"
#include "pipeline/redis_space.hpp"
#include "redis/script.hpp"
#include "run/manifest.hpp"
#include "run/publisher.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/core.h>

namespace headrace::run {
namespace {

using pipeline::Form;
using postgres::Connection;
using postgres::Param;

// So long nobody removes what a rollback is about to point at.
constexpr std::string_view secured_ms = "3600000";
// KEYS: registry, index. ARGV: generation, ms. The length of the index.
constexpr std::string_view secure_text = R"lua(#!lua flags=allow-oom
local t = redis.call('TIME')
redis.call('ZADD', KEYS[1], 'XX', 'GT', t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[2], ARGV[1])
return redis.call('LLEN', KEYS[2])
)lua";

constexpr std::uint64_t largest_payload = 4u << 20;

struct Target {
    RolledBack::Output shown;
    Generation current;
    pipeline::Manifest manifest;  // of the generation before, as this decision stores it
};

Error no_previous(std::string message) {
    return {ErrorKind::invalid, "run.no_previous", std::move(message)};
}

// The rows of the generation are there and stay there while we decide.
bool secure(redis::Connection& cache, const pipeline::RedisSpace& space, const pipeline::Manifest& manifest) {
    const auto& staging = manifest.keys.front().staging;
    if (manifest.form != Form::pointer) {
        cache.command({"PEXPIRE", staging, secured_ms, "GT"});
        return cache.command({"EXISTS", staging}).integer() == 1;
    }
    static const redis::Script script("secure", 2, secure_text);
    const auto registry = space.registry();
    const std::string_view args[] = {registry, staging, manifest.generation, secured_ms};
    return redis::eval(cache, script, args).integer() == static_cast<std::int64_t>(manifest.staged);
}

// The generation that Redis keeps beside the live one, with what Postgres knows about it.
Target target_of(Connection& db, const CacheAt& cache_at, Generation current, std::string_view name) {
    if (current.manifest.keys.empty()) {
        throw no_previous(fmt::format("{} is not in Redis", name));
    }
    if (current.manifest.form == Form::merge) {
        throw no_previous(fmt::format("{} is merged row by row: there is no generation before", name));
    }
    const auto space = current.space();
    auto& cache = cache_at(space);
    const auto marker = cache.command({"HMGET", space.marker(), "e", "s", "p"});
    if (marker.at(0).is_nil() || marker.at(0).integer() != current.epoch || marker.at(1).integer() != current.seq) {
        throw no_previous(fmt::format("Redis does not show the last generation of {} yet", name))
            .with_hint("Try again in a few seconds; `headrace runs` shows what is going on.");
    }
    if (marker.at(2).is_nil()) {
        throw no_previous(fmt::format("no previous generation of {} is kept", name));
    }
    const auto label = marker.at(2).text();
    const auto dot = label.find('.');
    const auto commit = db.exec(
        "select run_id, rows, manifest, coalesce(manifest->>'asOf', to_char(committed_at at time zone 'UTC',"
        " 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) as as_of from etl_commits"
        " where output_id = $1 and epoch = $2 and seq = $3 and manifest is not null",
        {current.output_id, label.substr(0, dot), label.substr(dot + 1)}
    );
    if (commit.empty()) {
        throw no_previous(fmt::format("Postgres does not know generation {} of {}", label, name));
    }
    Target target{.shown = {}, .current = std::move(current), .manifest = parse_manifest(commit.text(0, "manifest"))};
    auto& m = target.manifest;
    if (m.form != Form::pointer) {
        m.keys.front().staging = space.previous(label);
    }
    m.keep_ms = target.current.manifest.keep_ms;
    m.as_of = commit.text(0, "as_of");
    if (!secure(cache, space, m)) {
        throw no_previous(fmt::format("generation {} of {} has gone from Redis", label, name));
    }
    if (m.form != Form::pointer && m.bytes <= largest_payload) {
        m.payload = cache.command({"DUMP", m.keys.front().staging}).text();
    }
    target.shown = {
        .output_id = target.current.output_id,
        .name = std::string(name),
        .generation = label,
        .run_id = std::string(commit.text(0, "run_id")),
        .as_of = m.as_of,
        .rows = commit.integer(0, "rows")};
    return target;
}

// A run at work would replace what we are about to show.
void refuse_while_active(Connection& c, std::string_view pipeline) {
    const auto active = c.exec(
        "select run_id, state from etl_runs where pipeline = $1 and state in ('running', 'committed') limit 1",
        {pipeline}
    );
    if (!active.empty()) {
        throw Error(
            ErrorKind::invalid,
            "run.already_active",
            fmt::format(
                "run {} of {} is {} and would replace it", active.text(0, "run_id"), pipeline, active.text(0, "state")
            )
        );
    }
}

std::vector<Target> targets_of(Connection& db, const CacheAt& cache_at, const RollbackRequest& request) {
    if (db.exec("select 1 from etl_pipelines where name = $1 and not removed", {request.pipeline}).empty()) {
        throw Error(ErrorKind::invalid, "pipeline.not_found", fmt::format("there is no pipeline {}", request.pipeline));
    }
    refuse_while_active(db, request.pipeline);
    const auto rows = db.exec(
        fmt::format(
            "select {}, o.name from etl_outputs o, etl_meta m where o.pipeline = $1 and o.seq > 0 and not o.removed"
            " and ($2 = '' or o.name = $2 or o.name = 'redis:' || $2) order by o.output_id",
            generation_columns
        ),
        {request.pipeline, request.output}
    );
    if (rows.empty()) {
        throw no_previous(
            request.output.empty() ? fmt::format("{} has no output yet", request.pipeline)
                                   : fmt::format("{} has no output {}", request.pipeline, request.output)
        );
    }
    std::vector<Target> targets;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        targets.push_back(target_of(db, cache_at, generation_of(rows, i), rows.text(i, "name")));
    }
    return targets;
}

// Under the output's row lock: it is still what was looked at.
void check_still(Connection& c, const RollbackRequest& request, const std::vector<Target>& targets) {
    std::vector<std::string> ids;
    for (const auto& target : targets) {
        ids.push_back(std::to_string(target.current.output_id));
    }
    const auto rows = c.exec(
        "select output_id, seq from etl_outputs where output_id = any($1::bigint[]) order by output_id for update",
        {Param::array(ids)}
    );
    refuse_while_active(c, request.pipeline);
    for (std::size_t i = 0; i < targets.size(); ++i) {
        if (rows.integer(i, "seq") != targets[i].current.seq) {
            throw no_previous(fmt::format("{} was replaced in this moment", targets[i].shown.name))
                .with_hint("Look at it again before you go back.");
        }
    }
}

void insert_rollback(
    Connection& c,
    const RollbackRequest& request,
    const std::string& run_id,
    const std::vector<Target>& targets
) {
    std::string reason;
    std::int64_t rows = 0;
    std::uint64_t bytes = 0;
    for (const auto& [shown, current, manifest] : targets) {
        reason += fmt::format(
            "{}{} back to generation {} of run {}",
            reason.empty() ? "" : "; ",
            shown.name,
            shown.generation,
            shown.run_id
        );
        rows = std::max(rows, shown.rows);
        bytes += manifest.bytes;
    }
    c.exec(
        "insert into etl_runs (run_id, pipeline, definition_version, trigger, triggered_by, trigger_reason, job_id, "
        "state, rows_written, bytes_written, started_at, committed_at, proof)"
        " select $1, name, definition_version, 'rollback', $3, $4, $5, 'committed', $6, $7, now(), now(), $4 from "
        "etl_pipelines where name = $2",
        {run_id, request.pipeline, request.by, reason, "rollback-" + run_id, rows, bytes}
    );
    c.exec(
        "insert into etl_audit (actor, action, object, detail) values ($1, 'pipeline.rollback', $2, $3)",
        {request.by, request.pipeline, boost::json::serialize(boost::json::object{{"run", run_id}, {"what", reason}})}
    );
}

void decide_output(Connection& c, const std::string& run_id, const std::string& attempt_id, const Target& target) {
    const auto& m = target.manifest;
    const auto text = manifest_json(m);
    const auto next = c.exec(
        "update etl_outputs o set seq = o.seq + 1, epoch = m.epoch, owner = $3, run_id = $2, attempt_id = $3, manifest "
        "= "
        "$4, payload = $5, rows = $6, bytes = $7, schema_hash = $8, published = false, decided_at = now() from "
        "etl_meta m"
        " where o.output_id = $1 returning o.seq, o.epoch",
        {target.current.output_id,
         run_id,
         attempt_id,
         text,
         m.payload.empty() ? Param(nullptr) : Param::bytes(m.payload),
         m.rows,
         m.bytes,
         m.schema_hash}
    );
    c.exec(
        "insert into etl_commits (run_id, output_id, epoch, seq, attempt_id, rows, bytes, manifest) values ($1, $2, "
        "$3, "
        "$4, $5, $6, $7, $8)",
        {run_id,
         target.current.output_id,
         next.text(0, "epoch"),
         next.text(0, "seq"),
         attempt_id,
         m.rows,
         m.bytes,
         text}
    );
}

}  // namespace

RolledBack rollback(Connection& db, const CacheAt& cache_at, const RollbackRequest& request) {
    const auto targets = targets_of(db, cache_at, request);
    const auto run_id = make_uuid_v7();
    const auto attempt_id = make_uuid_v4();
    db.transaction([&](Connection& c) {
        check_still(c, request, targets);
        insert_rollback(c, request, run_id, targets);
        for (const auto& target : targets) {
            decide_output(c, run_id, attempt_id, target);
        }
        HEADRACE_POINT("K10");
    });
    HEADRACE_POINT("K11");
    RolledBack done{.run_id = run_id, .outputs = {}};
    for (const auto& target : targets) {
        done.outputs.push_back(target.shown);
    }
    return done;
}

}  // namespace headrace::run
