#include "run/publisher.hpp"

#include "base/encoding.hpp"
#include "base/ids.hpp"
#include "base/killpoint.hpp"
#include "redis/script.hpp"
#include "run/ledger.hpp"
#include "run/manifest.hpp"

#include <fmt/core.h>

namespace headrace::run {
namespace {

using postgres::Connection;

// KEYS: applied marker, meta hash, then staging, live for each key.
// ARGV: epoch, seq, run id, ttl in ms (0 = none), force (0/1), number of meta words, the words, then R(ename) or
// D(elete) per pair. All checks come before the first write, because a script does not roll back. EXISTS: RENAME of a
// missing key would fail half-way. PERSIST: RENAME hands the staging's TTL on. D: an empty hash or list cannot exist as
// a key. allow-oom: publishing frees memory, so a full Redis must not refuse it.
constexpr std::string_view publish_text = R"lua(#!lua flags=allow-oom
local a = redis.call('HMGET', KEYS[1], 'e', 's')
local e, s = tonumber(a[1] or -1), tonumber(a[2] or -1)
local ne, ns = tonumber(ARGV[1]), tonumber(ARGV[2])
if ne < e or (ne == e and (ns < s or (ns == s and ARGV[5] == '0'))) then return {'ALREADY', e, s} end
local words = tonumber(ARGV[6])
for i = 3, #KEYS, 2 do
  if ARGV[6 + words + (i - 1) / 2] == 'R' and redis.call('EXISTS', KEYS[i]) == 0 then return {'NOSTAGE', KEYS[i]} end
end
redis.call('HSET', KEYS[1], 'e', ne, 's', ns, 'r', ARGV[3])
for i = 3, #KEYS, 2 do
  if ARGV[6 + words + (i - 1) / 2] == 'R' then
    redis.call('RENAME', KEYS[i], KEYS[i + 1])
    if ARGV[4] == '0' then redis.call('PERSIST', KEYS[i + 1]) else redis.call('PEXPIRE', KEYS[i + 1], ARGV[4]) end
  else
    redis.call('UNLINK', KEYS[i + 1])
  end
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], unpack(ARGV, 7, 6 + words))
if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
return {'APPLIED'}
)lua";

struct Decided {
    std::int64_t output_id = 0;
    std::string pipeline;
    std::int64_t epoch = 0;
    std::int64_t seq = 0;
    std::string run_id;
    std::string decided_at;
    std::int64_t age_ms = 0;
    bool has_payload = false;
    pipeline::Manifest manifest;
};

std::string marker_key(std::int64_t output_id) {
    return fmt::format("{{o:{}}}:applied", output_id);
}

constexpr std::string_view decided_columns =
    "o.output_id, o.pipeline, m.epoch, o.seq, o.run_id, o.manifest, o.decided_at, o.payload is not null as has_payload,"
    " floor(extract(epoch from now() - o.decided_at) * 1000)::bigint as age_ms";

Decided decided_of(const postgres::Result& rows, std::size_t i) {
    return {
        .output_id = rows.integer(i, "output_id"),
        .pipeline = std::string(rows.text(i, "pipeline")),
        .epoch = rows.integer(i, "epoch"),
        .seq = rows.integer(i, "seq"),
        .run_id = std::string(rows.text(i, "run_id")),
        .decided_at = format_rfc3339(rows.time(i, "decided_at").value_or(Timestamp())),
        .age_ms = rows.integer(i, "age_ms"),
        .has_payload = rows.boolean(i, "has_payload"),
        .manifest = parse_manifest(rows.text(i, "manifest"))};
}

std::int64_t ttl_left(const Decided& output) {
    return output.manifest.ttl_ms == 0 ? 0 : output.manifest.ttl_ms - output.age_ms;
}

bool has_expired(const Decided& output) {
    return output.manifest.ttl_ms > 0 && ttl_left(output) <= 0;
}

// One call of the script. `staging`: the keys to rename, in the manifest's order.
std::string
call_publish(redis::Connection& cache, const Decided& output, const std::vector<std::string>& staging, bool force) {
    static const redis::Script script("publish", 0, publish_text);
    std::vector<std::string> keys = {marker_key(output.output_id), output.manifest.meta_key};
    std::vector<std::string> operations;
    for (std::size_t i = 0; i < staging.size(); ++i) {
        const bool rename = !staging[i].empty() && !has_expired(output);
        keys.push_back(rename ? staging[i] : marker_key(output.output_id));
        keys.push_back(output.manifest.keys[i].live);
        operations.emplace_back(rename ? "R" : "D");
    }
    const std::vector<std::string> meta = {
        "pipeline",
        output.pipeline,
        "run",
        output.run_id,
        "rows",
        std::to_string(output.manifest.rows),
        "bytes",
        std::to_string(output.manifest.bytes),
        "asOf",
        output.decided_at,
        "schema",
        output.manifest.schema_hash,
        "epoch",
        std::to_string(output.epoch),
        "seq",
        std::to_string(output.seq),
        "generation",
        fmt::format("{}.{}", output.epoch, output.seq)};
    auto called = script;
    called.key_count = keys.size();
    std::vector<std::string> words = keys;
    for (const auto& value :
         {std::to_string(output.epoch),
          std::to_string(output.seq),
          output.run_id,
          std::to_string(std::max<std::int64_t>(ttl_left(output), 0)),
          std::string(force ? "1" : "0"),
          std::to_string(meta.size())}) {
        words.push_back(value);
    }
    words.insert(words.end(), meta.begin(), meta.end());
    words.insert(words.end(), operations.begin(), operations.end());
    const std::vector<std::string_view> args(words.begin(), words.end());
    auto reply = redis::eval(cache, called, args);
    HEADRACE_POINT("K13");
    return reply.at(0).str();
}

// The payload is the DUMP of the (single) staged key.
std::optional<std::vector<std::string>>
rebuild_staging(Connection& db, redis::Connection& cache, const Decided& output) {
    if (!output.has_payload || output.manifest.keys.size() != 1) {
        return std::nullopt;
    }
    const auto row = db.exec(
        "select payload from etl_outputs where output_id = $1 and seq = $2 and payload is not null",
        {output.output_id, output.seq}
    );
    if (row.empty()) {
        return std::nullopt;
    }
    const auto key = fmt::format("{{o:{}}}:s:rebuild-{}:0", output.output_id, make_uuid_v4());
    const auto payload = row.bytes(0, "payload");
    cache.command({"RESTORE", key, "3600000", payload, "REPLACE"});
    return std::vector<std::string>{key};
}

}  // namespace

PublishResult publish_output(Connection& db, redis::Connection& cache, std::int64_t output_id, bool force) {
    const auto rows = db.exec(
        fmt::format(
            "select {} from etl_outputs o, etl_meta m where o.output_id = $1 and o.seq > 0 and not o.removed",
            decided_columns
        ),
        {output_id}
    );
    if (rows.empty()) {
        return PublishResult::nothing;
    }
    const auto output = decided_of(rows, 0);
    std::vector<std::string> staging;
    for (const auto& key : output.manifest.keys) {
        staging.push_back(key.staging);
    }
    HEADRACE_POINT("K12");
    auto answer = call_publish(cache, output, staging, force);
    if (answer == "NOSTAGE") {
        const auto rebuilt = rebuild_staging(db, cache, output);
        if (!rebuilt) {
            return PublishResult::no_stage;
        }
        answer = call_publish(cache, output, *rebuilt, force);
    }
    acknowledge(db, output.output_id, output.seq, output.run_id);
    return answer == "APPLIED" ? PublishResult::applied : PublishResult::already;
}

bool publish_run(Connection& db, const std::function<redis::Connection()>& connect, std::string_view run_id) {
    const auto rows =
        db.exec("select output_id from etl_outputs where run_id = $1 and not published order by output_id", {run_id});
    if (rows.empty()) {
        // Everything of it is out (or a newer run's generation is): only the run's own state is missing.
        acknowledge(db, 0, 0, run_id);
        return true;
    }
    auto cache = connect();
    bool all = true;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        all = publish_output(db, cache, rows.integer(i, "output_id")) != PublishResult::no_stage && all;
    }
    return all;
}

std::vector<Stale> find_stale(Connection& db, redis::Connection& cache) {
    const auto rows = db.exec(fmt::format(
        "select {} from etl_outputs o, etl_meta m where o.seq > 0 and not o.removed and o.manifest->'keys' <> '[]'"
        " order by o.output_id",
        decided_columns
    ));
    std::vector<Decided> outputs;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        auto output = decided_of(rows, i);
        if (!has_expired(output)) {
            outputs.push_back(std::move(output));
        }
    }
    for (const auto& output : outputs) {
        cache.append({"HMGET", marker_key(output.output_id), "e", "s"});
        for (const auto& key : output.manifest.keys) {
            cache.append({"EXISTS", key.live});
        }
    }
    std::vector<Stale> stale;
    for (const auto& output : outputs) {
        const auto applied = redis::checked(cache.read_reply());
        const bool same = !applied.at(0).is_nil() && applied.at(0).integer() == output.epoch &&
                          !applied.at(1).is_nil() && applied.at(1).integer() == output.seq;
        bool lost = false;
        for (const auto& key : output.manifest.keys) {
            const bool there = redis::checked(cache.read_reply()).integer() == 1;
            lost = lost || (!there && !key.staging.empty());
        }
        if (!same || lost) {
            stale.push_back({output.output_id, same && lost});
        }
    }
    return stale;
}

}  // namespace headrace::run
