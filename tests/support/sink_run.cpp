#include "support/sink_run.hpp"

#include "app/registry.hpp"
#include "base/time.hpp"
#include "pipeline/parse.hpp"
#include "postgres/migrate.hpp"
#include "redis/options.hpp"
#include "run/attempt.hpp"
#include "run/catalog.hpp"
#include "run/control.hpp"

#include <stdexcept>

namespace headrace::support {

SinkRun::SinkRun(const std::string& database_url, const std::string& cache_url, const std::string& sinks)
    : db_(postgres::Connection::connect({.url = database_url})),
      cache_(redis::Connection::connect(redis::parse_redis_url(cache_url), StopToken())),
      pool_({.url = database_url}, 1),
      outputs_(redis::parse_redis_url(cache_url)),
      registry_(app::make_registry(redis::parse_redis_url(cache_url), {.url = database_url})) {
    postgres::migrate(db_);
    auto parsed = pipeline::parse_definition(
        "version: 1\nname: t\nsource: { type: clickhouse, credential: c, query: \"SELECT 1\" }\nsinks:\n" + sinks,
        "t.yaml",
        registry_
    );
    if (!parsed.ok()) {
        throw std::runtime_error(parsed.problems.front().text());
    }
    definition_ = parsed.definition;
    run::sync_catalog(db_, registry_, {parsed});
    worker_ = db_.exec(
                     "insert into etl_workers (name, host, pid, concurrency) values ('test', 'here', 1, 1) returning "
                     "worker_id"
    )
                  .integer(0, "worker_id");
}

data::Batch SinkRun::rows(int from, int count, int v) {
    data::Batch batch(data::Schema{
        {{.name = "id", .kind = data::Kind::int64},
         {.name = "name", .kind = data::Kind::string},
         {.name = "v", .kind = data::Kind::int64},
         {.name = "nothing", .kind = data::Kind::string}}});
    for (int i = from; i < from + count; ++i) {
        batch.column(0).add_int64(i);
        batch.column(1).add_text("name " + std::to_string(i));
        batch.column(2).add_int64(v);
        batch.column(3).add_null();
    }
    return batch;
}

std::string SinkRun::decide(const std::vector<data::Batch>& batches) {
    run_id_ = run::trigger_run(db_, {.pipeline = "t", .trigger = "manual", .by = "test"}).run_id;
    const auto claim = run::claim(
        db_, run_id_, {worker_, "test"}, run::output_specs(registry_, definition_), std::chrono::seconds(60)
    );
    if (claim.outcome != run::ClaimOutcome::claimed) {
        throw std::runtime_error("the run was not claimed: " + claim.state);
    }
    std::vector<std::unique_ptr<pipeline::Sink>> sinks;
    warnings_.clear();
    try {
        run::Sealed sealed{.outputs = {}, .proof = "test"};
        for (std::size_t i = 0; i < definition_.sinks.size(); ++i) {
            sinks.push_back(pipeline::find_type(registry_.sinks(), definition_.sinks[i].type)
                                .make(definition_, definition_.sinks[i], nullptr));
            sinks[i]->open(
                {.stop = {},
                 .deadline = Deadline::never(),
                 .pipeline = "t",
                 .run_id = run_id_,
                 .attempt_id = claim.attempt_id,
                 .output_id = std::to_string(claim.outputs.at(i).id),
                 .previous_bytes = static_cast<std::uint64_t>(claim.outputs.at(i).previous_bytes),
                 .log = [this](std::string_view, std::string message) { warnings_.push_back(std::move(message)); }},
                batches.front().schema()
            );
        }
        for (const auto& batch : batches) {
            for (const auto& sink : sinks) {
                sink->stage(batch);
            }
        }
        for (std::size_t i = 0; i < sinks.size(); ++i) {
            sealed.outputs.push_back({claim.outputs.at(i).id, sinks[i]->seal()});
        }
        run::decide(db_, run_id_, claim.attempt_id, sealed, {}, Deadline::never());
        return "committed";
    } catch (const Error& e) {
        error_ = e.message();
        for (const auto& sink : sinks) {
            sink->discard();
        }
        run::end_attempt(
            db_,
            run_id_,
            claim.attempt_id,
            {.error = Error(ErrorKind::permanent, e.code(), e.message()),
             .step = "stage",
             .backoff = std::chrono::seconds(1),
             .backoff_max = std::chrono::seconds(1),
             .counters = {}}
        );
        return e.code();
    }
}

bool SinkRun::make_visible(const std::string& run_id) {
    return run::publish_run(ledger_, outputs_, run_id);
}

std::string SinkRun::publish(const std::vector<data::Batch>& batches) {
    auto outcome = decide(batches);
    if (outcome != "committed") {
        return outcome;
    }
    make_visible();
    return sql("select state as x from etl_runs where run_id = $1", {run_id_});
}

std::int64_t SinkRun::output_id(std::size_t sink) {
    const auto names = run::output_specs(registry_, definition_);
    return std::stoll(sql("select output_id as x from etl_outputs where name = $1", {names.at(sink).name}));
}

std::string SinkRun::sql(const std::string& statement, const std::vector<postgres::Param>& params) {
    const auto rows = db_.exec(statement, params);
    return rows.empty() ? std::string() : std::string(rows.text(0, "x"));
}

std::string SinkRun::get(const std::string& key) {
    auto reply = cache_.command({"GET", key});
    return reply.is_nil() ? std::string() : reply.text();
}

run::PublishResult SinkRun::publish_output(std::int64_t output_id, bool force, Deadline until) {
    return run::publish(ledger_, outputs_, ledger_.generation(output_id).value(), force, until);
}

void SinkRun::retire() {
    outputs_.retire(ledger_.retirable(), Deadline::in(std::chrono::seconds(30)));
}

}  // namespace headrace::support
