// headrace run, cancel, retry: what the page's buttons do.
#include "app/commands.hpp"
#include "app/context.hpp"
#include "app/run_watch.hpp"
#include "run/bullmq_queue.hpp"
#include "run/control.hpp"
#include "run/dispatcher.hpp"

#include <fmt/core.h>
#include <unistd.h>

namespace headrace::app {
namespace {

std::string who() {
    const char* name = ::getlogin();
    return name != nullptr ? name : "command line";
}

// The queue may be away: the run is in Postgres and any worker's sweep sends it.
void send(const Context& context, postgres::Connection& db) {
    try {
        run::BullmqQueue queue(context.queue_redis, context.config.queue, context.config.queue_prefix);
        run::dispatch(db, queue);
    } catch (const Error& e) {
        fmt::print(stderr, "not sent yet ({}); a worker will\n", e.what());
    }
}

int start(const std::string& pipeline, bool forced, bool wait, std::optional<run::Backfill> backfill) {
    const auto context = Context::load();
    auto db = context.connect_db();
    const auto run = run::trigger_run(
        db,
        {.pipeline = pipeline,
         .trigger = "manual",
         .by = who(),
         .reason = std::nullopt,
         .idempotency_key = std::nullopt,
         .retry_of = std::nullopt,
         .forced = forced,
         .backfill = std::move(backfill)}
    );
    send(context, db);
    fmt::print("{}\n", run.run_id);
    if (!wait) {
        return 0;
    }
    const auto ended = watch_run(db, run.run_id, StopToken());
    fmt::print("{} · {} rows\n", ended.state, ended.rows);
    if (!ended.error.empty()) {
        fmt::print(stderr, "{}\n", ended.error);
    }
    return ended.state == "succeeded" ? 0 : 1;
}

}  // namespace

void add_run(CLI::App& app, Run& chosen) {
    auto* start_command = app.add_subcommand("run", "Run a pipeline now");
    auto pipeline = std::make_shared<std::string>();
    auto forced = std::make_shared<bool>(false);
    auto wait = std::make_shared<bool>(false);
    start_command->add_option("pipeline", *pipeline, "Its name")->required();
    start_command->add_flag("--force", *forced, "Publish even if a guard (min_rows, max_drop) says no");
    start_command->add_flag("--wait", *wait, "Wait for the end; exit 0 only if it succeeded");
    auto backfill = std::make_shared<run::Backfill>();
    auto* from = start_command->add_option("--from", backfill->from, "Incremental pipelines: read this range again");
    auto* to = start_command->add_option("--to", backfill->to, "Its end, which belongs to it; the watermark stays");
    from->needs(to);
    to->needs(from);
    start_command->callback([&chosen, pipeline, forced, wait, backfill, from] {
        const bool is_backfill = from->count() > 0;
        chosen = [=] {
            return start(*pipeline, *forced, *wait, is_backfill ? std::make_optional(*backfill) : std::nullopt);
        };
    });

    auto* cancel_command = app.add_subcommand("cancel", "Stop a run");
    auto run_id = std::make_shared<std::string>();
    cancel_command->add_option("run", *run_id, "Run id")->required();
    cancel_command->callback([&chosen, run_id] {
        chosen = [run_id] {
            auto db = Context::load().connect_db();
            const auto state = run::cancel_run(db, *run_id, who());
            fmt::print("{}\n", state == "running" ? "cancelling" : state);
            return 0;
        };
    });

    auto* retry_command = app.add_subcommand("retry", "Run the pipeline of a run again");
    auto again = std::make_shared<std::string>();
    retry_command->add_option("run", *again, "Run id")->required();
    retry_command->callback([&chosen, again] {
        chosen = [again] {
            const auto context = Context::load();
            auto db = context.connect_db();
            const auto run = run::retry_run(db, *again, who(), std::nullopt);
            send(context, db);
            fmt::print("{}\n", run.run_id);
            return 0;
        };
    });
}

}  // namespace headrace::app
