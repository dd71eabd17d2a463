// headrace rollback: shows the generation before again.
#include "run/rollback.hpp"

#include "app/commands.hpp"
#include "app/context.hpp"
#include "run/postgres_ledger.hpp"
#include "run/publisher.hpp"
#include "run/redis_outputs.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <optional>

namespace headrace::app {
namespace {

int roll_back(const std::string& pipeline, const std::string& output) {
    const auto context = Context::load();
    auto db = context.connect_db();
    std::optional<redis::Connection> cache;
    const auto cache_at = [&](const pipeline::RedisSpace& space) -> redis::Connection& {
        if (!cache || context.cache_redis.cluster) {
            cache.emplace(redis::Connection::connect(redis::at_key(context.cache_redis, space.marker()), StopToken()));
        }
        return *cache;
    };
    const char* name = ::getlogin();
    const auto done = run::rollback(
        db, cache_at, {.pipeline = pipeline, .output = output, .by = name != nullptr ? name : "command line"}
    );
    for (const auto& one : done.outputs) {
        fmt::print(
            "{}: generation {} again, {} rows as of {} (run {})\n",
            one.name,
            one.generation,
            one.rows,
            one.as_of,
            one.run_id
        );
    }
    try {
        postgres::Pool pool(context.db, 1);
        run::PostgresLedger ledger(pool);
        run::RedisOutputs outputs(context.cache_redis);
        if (!run::publish_run(ledger, outputs, done.run_id)) {
            throw Error(ErrorKind::transient, "redis.command", "the kept rows went away in this moment");
        }
    } catch (const Error& e) {
        fmt::print(stderr, "decided, not visible yet ({}); a worker sees to it\n", e.what());
        return 1;
    }
    fmt::print("The next run of {} replaces it; pause the pipeline to keep it.\n", pipeline);
    return 0;
}

}  // namespace

void add_rollback(CLI::App& app, Run& chosen) {
    auto* command = app.add_subcommand("rollback", "Show the previous generation of a pipeline's outputs again");
    auto pipeline = std::make_shared<std::string>();
    auto output = std::make_shared<std::string>();
    command->add_option("pipeline", *pipeline, "Its name")->required();
    command->add_option("--output", *output, "Only this output, such as cache:ch.top_dests");
    command->callback([&chosen, pipeline, output] {
        chosen = [pipeline, output] { return roll_back(*pipeline, *output); };
    });
}

}  // namespace headrace::app
