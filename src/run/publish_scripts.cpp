#include "run/publish_scripts.hpp"

#include "base/killpoint.hpp"
#include "redis/script.hpp"
#include "run/broken_twin.hpp"
#include "run/manifest.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::run {
namespace {

using pipeline::Form;

// KEYS: 1 marker, 2 meta hash, then those of the form. ARGV: 1 epoch, 2 seq, 3 run id, 4 ttl in ms (0 = none), 5 force
// (0/1), 6 ms to keep the generation before, 7 base of the names, 8 word of the form, 9 generation, 10 staged,
// 11 decided at (ms; 0 = do not remember when rows came), 12… the words of the meta hash.
// Marker: e, s, r as applied; p = label of the generation before, if it is kept; g = generation that the pointer names;
// b = the one that it named before. PERSIST: RENAME hands the staging's TTL on.
constexpr std::string_view every_form = R"lua(#!lua flags=allow-oom
local ne, ns = tonumber(ARGV[1]), tonumber(ARGV[2])
local ttl, keep, base, gen, staged = tonumber(ARGV[4]), tonumber(ARGV[6]), ARGV[7], ARGV[9], tonumber(ARGV[10])
local a = redis.call('HMGET', KEYS[1], 'e', 's', 'p', 'g', 'b')
local e, s = tonumber(a[1] or -1), tonumber(a[2] or -1)
if ne < e or (ne == e and (ns < s or (ns == s and ARGV[5] == '0'))) then return {'ALREADY', e, s} end
local again = ne == e and ns == s
local function expire(key)
  if ttl > 0 then redis.call('PEXPIRE', key, ttl) else redis.call('PERSIST', key) end
end
local function set(field, value)
  if value then redis.call('HSET', KEYS[1], field, value) else redis.call('HDEL', KEYS[1], field) end
end
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function finish()
  redis.call('HSET', KEYS[1], 'e', ARGV[1], 's', ARGV[2], 'r', ARGV[3])
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], unpack(ARGV, 12))
  expire(KEYS[2])
  return {'APPLIED'}
end
)lua";

// KEYS: 3 live, 4 staging. Word R(ename) or D(elete): an empty hash or list cannot exist as a key. The old key is moved
// or unlinked before the RENAME, which would delete it on the spot: a second for a million fields.
// The staging of a rollback is the very key kept from before, so that one is removed last.
constexpr std::string_view key_body = R"lua(
if ARGV[8] == 'R' and redis.call('EXISTS', KEYS[4]) == 0 then return {'NOSTAGE'} end
local kept
if not again and a[1] and keep > 0 and redis.call('EXISTS', KEYS[3]) == 1 then
  kept = a[1] .. '.' .. a[2]
  redis.call('RENAME', KEYS[3], base .. ':p:' .. kept)
  redis.call('PEXPIRE', base .. ':p:' .. kept, keep)
else
  redis.call('UNLINK', KEYS[3])
end
if ARGV[8] == 'R' then
  redis.call('RENAME', KEYS[4], KEYS[3])
  expire(KEYS[3])
end
if not again then
  if a[3] and a[3] ~= kept then redis.call('UNLINK', base .. ':p:' .. a[3]) end
  set('p', kept)
end
return finish()
)lua";

// KEYS: 3 pointer, 4 hash of the live rows, 5 staging (rows: hash, pointer: index), 6 registry. Word rows, pointer or
// gone. Both forms go over into each other: a reader who asks the pointer first does not notice.
// The generation that the pointer named stays a minute longer in any case: a reader may just have asked for it.
constexpr std::string_view rows_body = R"lua(
local form = ARGV[8]
if form == 'rows' and staged > 0 and redis.call('EXISTS', KEYS[5]) == 0 then return {'NOSTAGE'} end
if form == 'pointer' and redis.call('LLEN', KEYS[5]) ~= staged then return {'NOSTAGE'} end
local had, old, kept = redis.call('EXISTS', KEYS[4]) == 1, a[4], nil
local stays = form == 'pointer' and gen
if not again and a[1] and keep > 0 and (had or old) then kept = a[1] .. '.' .. a[2] end
for _, k in ipairs(redis.call('HKEYS', KEYS[4])) do
  if form ~= 'rows' or staged == 0 or redis.call('HEXISTS', KEYS[5], k) == 0 then redis.call('UNLINK', k) end
end
if had and kept then
  redis.call('RENAME', KEYS[4], base .. ':p:' .. kept)
  redis.call('PEXPIRE', base .. ':p:' .. kept, keep)
elseif had then
  redis.call('UNLINK', KEYS[4])
end
if old and old ~= stays then redis.call('ZADD', KEYS[6], now() + math.max(keep, 60000), old) end
if form == 'rows' and staged > 0 then
  local flat = redis.call('HGETALL', KEYS[5])
  for i = 1, #flat, 2 do
    redis.call('SET', flat[i], flat[i + 1])
    if ttl > 0 then redis.call('PEXPIRE', flat[i], ttl) end
  end
  redis.call('RENAME', KEYS[5], KEYS[4])
  expire(KEYS[4])
end
if form == 'pointer' then redis.call('ZREM', KEYS[6], gen) end
if form == 'gone' then
  redis.call('DEL', KEYS[3])
else
  redis.call('SET', KEYS[3], form == 'pointer' and base .. ':g:' .. gen .. ':' or '')
  expire(KEYS[3])
end
set('g', stays)
if not again then
  if a[3] and a[3] ~= kept then redis.call('UNLINK', base .. ':p:' .. a[3]) end
  if a[5] and a[5] ~= stays and a[5] ~= old then redis.call('ZADD', KEYS[6], 'XX', 0, a[5]) end
  set('p', kept)
  set('b', old and old ~= stays and old)
end
return finish()
)lua";

// KEYS: 3 pointer, 4 hash of the live rows (of a former mode), 5 index, 6 registry, 7 seen. The index is the progress:
// what is taken from it is in, so that anybody may go on after a death. The marker comes with the last row.
constexpr std::string_view merge_body = R"lua(
local names = redis.call('LPOP', KEYS[5], 1000)
if not names and staged > 0 then return {'NOSTAGE'} end
names = names or {}
for _, k in ipairs(names) do
  local from = base .. ':g:' .. gen .. ':' .. k
  if redis.call('EXISTS', from) == 1 then
    redis.call('RENAME', from, k)
    if ttl > 0 then redis.call('PEXPIRE', k, ttl) end
  end
  if ARGV[11] ~= '0' then redis.call('ZADD', KEYS[7], ARGV[11], k) end
end
if redis.call('EXISTS', KEYS[5]) == 1 then return {'MORE'} end
redis.call('ZREM', KEYS[6], gen)
for i = 4, 5 do
  if a[i] then redis.call('ZADD', KEYS[6], 0, a[i]) end
end
if a[3] then redis.call('UNLINK', base .. ':p:' .. a[3]) end
redis.call('HDEL', KEYS[1], 'p', 'g', 'b')
redis.call('UNLINK', KEYS[4])
redis.call('SET', KEYS[3], '')
ttl = 0
return finish()
)lua";

// KEYS: seen. ARGV: rows last seen before this (ms) go.
constexpr std::string_view sweep_text = R"lua(#!lua flags=allow-oom
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1], 'LIMIT', 0, 1000)
if #old > 0 then
  redis.call('UNLINK', unpack(old))
  redis.call('ZREM', KEYS[1], unpack(old))
end
return #old
)lua";

// KEYS: hash of the live rows, pointer.
constexpr std::string_view rows_present_text = R"lua(#!lua flags=no-writes
if redis.call('EXISTS', KEYS[2]) == 0 or redis.call('HLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
for _, k in ipairs(redis.call('HKEYS', KEYS[1])) do
  if redis.call('EXISTS', k) == 0 then return 0 end
end
return 1
)lua";

// KEYS: pointer, index.
constexpr std::string_view pointer_present_text = R"lua(#!lua flags=no-writes
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('LLEN', KEYS[2]) ~= tonumber(ARGV[1]) then return 0 end
return 1
)lua";

// KEYS: 1 marker, 2 registry, 3 pointer. ARGV: base, 1 when the output has expired, generations to keep.
constexpr std::string_view retire_text = R"lua(#!lua flags=allow-oom
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local live = redis.call('HGET', KEYS[1], 'g')
if live and ARGV[2] == '1' and redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('ZADD', KEYS[2], 0, live)
  redis.call('HDEL', KEYS[1], 'g')
  live = false
end
for i = 3, #ARGV do
  redis.call('ZADD', KEYS[2], 'XX', 'GT', now + 3600000, ARGV[i])
end
local gen = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1)[1]
if not gen then return 0 end
local names = gen ~= live and redis.call('LPOP', ARGV[1] .. ':i:' .. gen, 1000)
if not names then
  redis.call('ZREM', KEYS[2], gen)
  return 1
end
for i, k in ipairs(names) do
  names[i] = ARGV[1] .. ':g:' .. gen .. ':' .. k
end
redis.call('UNLINK', unpack(names))
return 1
)lua";

struct Scripts {
    std::string key_text = std::string(every_form) + std::string(key_body);
    std::string rows_text = std::string(every_form) + std::string(rows_body);
    std::string merge_text = std::string(every_form) + std::string(merge_body);
    redis::Script key{"publish key", 4, key_text};
    redis::Script rows{"publish rows", 6, rows_text};
    redis::Script merge{"publish merge", 7, merge_text};
};

const Scripts& scripts() {
    static const Scripts all;
    return all;
}

std::vector<std::string> meta_words(const Generation& generation) {
    const auto& m = generation.manifest;
    return {
        "pipeline",
        generation.pipeline,
        "run",
        generation.run_id,
        "rows",
        std::to_string(m.rows),
        "bytes",
        std::to_string(m.bytes),
        "asOf",
        m.as_of.empty() ? generation.decided_at : m.as_of,
        "schema",
        m.schema_hash,
        "epoch",
        std::to_string(generation.epoch),
        "seq",
        std::to_string(generation.seq),
        "generation",
        fmt::format("{}.{}", generation.epoch, generation.seq)};
}

// What the script does: R(ename) or D(elete) of form key, else the form's word, or gone.
std::string word_of(const Generation& generation, const std::string& staging) {
    const auto form = generation.manifest.form;
    if (form == Form::key) {
        return staging.empty() || generation.has_expired() ? "D" : "R";
    }
    return generation.has_expired() && form != Form::merge ? "gone" : std::string(to_string(form));
}

redis::Reply call(redis::Connection& cache, const redis::Script& script, const std::vector<std::string>& words) {
    const std::vector<std::string_view> args(words.begin(), words.end());
    return redis::eval(cache, script, args);
}

}  // namespace

std::string pointer_key(const Generation& generation) {
    return generation.manifest.form == Form::key ? std::string() : generation.key().live + ":current";
}

Applied apply_script(redis::Connection& cache, const Generation& generation, const std::string& staging, bool force) {
    const auto& m = generation.manifest;
    const auto space = generation.space();
    // A key that is not there on purpose still needs a name in the right slot.
    const auto staged_at = staging.empty() ? space.staging("none") : staging;
    std::vector<std::string> words = {space.marker(), m.meta_key};
    if (m.form == Form::key) {
        words.insert(words.end(), {generation.key().live, staged_at});
    } else {
        words.insert(words.end(), {pointer_key(generation), space.current(), staged_at, space.registry()});
    }
    if (m.form == Form::merge) {
        words.push_back(space.seen());
    }
    const auto ttl = m.form == Form::merge ? m.ttl_ms : std::max<std::int64_t>(generation.ttl_left(), 0);
    for (const auto& value :
         {std::to_string(generation.epoch),
          std::to_string(generation.seq),
          generation.run_id,
          std::to_string(ttl),
          std::string(force ? "1" : "0"),
          std::to_string(m.keep_ms),
          space.base(),
          word_of(generation, staging),
          m.generation,
          std::to_string(m.staged),
          std::to_string(m.sweep_ms > 0 ? generation.decided_ms : 0)}) {
        words.push_back(value);
    }
    const auto meta = meta_words(generation);
    words.insert(words.end(), meta.begin(), meta.end());
    const auto& script = m.form == Form::key ? scripts().key : m.form == Form::merge ? scripts().merge : scripts().rows;
    HEADRACE_POINT("K12");
    if (m.form == Form::key && !staging.empty()) {
        broken_twin::loose_publish(cache, {space.marker(), m.meta_key, staging, generation.key().live});
    }
    const auto answer = call(cache, script, words).at(0).text();
    HEADRACE_POINT("K13");
    return answer == "APPLIED"   ? Applied::applied
           : answer == "NOSTAGE" ? Applied::no_stage
           : answer == "MORE"    ? Applied::more
                                 : Applied::already;
}

bool sweep_rows_script(redis::Connection& cache, const Generation& generation) {
    static const redis::Script script("sweep rows", 1, sweep_text);
    const auto before = generation.decided_ms - generation.manifest.sweep_ms;
    return call(cache, script, {generation.space().seen(), std::to_string(before)}).integer() > 0;
}

void append_presence(redis::Connection& cache, const Generation& generation) {
    const auto& m = generation.manifest;
    const auto staged = std::to_string(m.staged);
    const auto space = generation.space();
    switch (m.form) {
        case Form::key:
            if (generation.key().staging.empty()) {
                cache.append({"ECHO", "1"});
            } else {
                cache.append({"EXISTS", generation.key().live});
            }
            return;
        case Form::rows:
            cache.append({"EVAL", rows_present_text, "2", space.current(), pointer_key(generation), staged});
            return;
        case Form::pointer:
            cache.append({"EVAL", pointer_present_text, "2", pointer_key(generation), space.index(m.generation), staged}
            );
            return;
        case Form::merge:
            cache.append({"ECHO", "1"});  // its rows come and go one by one
            return;
    }
}

bool retire_script(redis::Connection& cache, const Retirable& output) {
    static const redis::Script script("retire", 3, retire_text);
    const auto& space = output.space;
    std::vector<std::string> words = {
        space.marker(),
        space.registry(),
        output.pointer.empty() ? space.marker() : output.pointer,
        space.base(),
        output.expired ? "1" : "0"};
    words.insert(words.end(), output.keep.begin(), output.keep.end());
    return call(cache, script, words).integer() == 1;
}

}  // namespace headrace::run
