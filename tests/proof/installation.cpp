#include "proof/installation.hpp"

#include <fmt/core.h>

namespace headrace::proof {
namespace {

std::string table_sinks(const std::string& pipeline) {
    return fmt::format(
        R"(  - {{ type: postgres, table: out.{0}_replace, key: id }}
  - {{ type: postgres, table: out.{0}_merge, mode: merge, key: id }}
  - {{ type: postgres, table: out.{0}_append, mode: append }}
)",
        pipeline
    );
}

}  // namespace

Installation::Installation() : cache_url_(support::servers().fresh_cache_redis()) {
    stack_.clickhouse("CREATE TABLE version (v UInt32) ENGINE = Memory");
    stack_.set_version(0);
}

void Installation::add_pipeline(const std::string& name, long rows, bool with_tables) {
    stack_.write_pipeline(
        name,
        fmt::format(
            R"(source:
  type: clickhouse
  credential: clickhouse
  query: |
    SELECT number AS id,
           concat('@', toString((SELECT max(v) FROM version)), ':', toString((SELECT rand64())), '@', toString(number)) AS mark
    FROM system.numbers LIMIT {1}
sinks:
  - {{ type: redis, as: json, key: "cache:{0}:json" }}
  - {{ type: redis, as: hash, key: "cache:{0}:hash", field: id }}
  - {{ type: redis, as: list, key: "cache:{0}:list", chunk_rows: 25 }}
  - {{ type: redis, as: zset, key: "cache:{0}:zset", member: mark, score: id }}
  - {{ type: redis, as: set, key: "cache:{0}:set", member: mark }}
{2}retry: {{ attempts: 5, backoff: 100ms, max: 200ms }}
timeout: 30s
)",
            name,
            rows,
            with_tables ? table_sinks(name) : ""
        )
    );
    pipelines_.push_back(name);
    for (const auto* as : {"json", "hash", "list", "zset", "set"}) {
        outputs_.push_back({.pipeline = name, .as = as, .key = fmt::format("cache:{}:{}", name, as), .rows = rows});
    }
    if (with_tables) {
        for (const auto* mode : {"replace", "merge", "append"}) {
            tables_.push_back(
                {.pipeline = name, .mode = mode, .name = fmt::format("out.{}_{}", name, mode), .rows = rows}
            );
        }
    }
}

support::HeadraceProcess::Env Installation::environment() const {
    auto env = stack_.environment();
    std::erase_if(env, [](const auto& pair) {
        return pair.first == "HEADRACE_LEASE" || pair.first == "HEADRACE_SWEEP";
    });
    env.emplace_back("HEADRACE_LEASE", "1s");
    env.emplace_back("HEADRACE_SWEEP", "100ms");
    env.emplace_back("CACHE_REDIS_URL", cache_url_);
    env.emplace_back("HEADRACE_WORKER_CONCURRENCY", "2");
    return env;
}

}  // namespace headrace::proof
