// headrace worker: takes runs from the queue, schedules, reconciles.
#include "app/commands.hpp"
#include "app/context.hpp"
#include "base/log.hpp"

#include <fmt/core.h>

namespace headrace::app {
namespace {

int work(std::chrono::seconds grace, bool schedule) {
    SignalWait signals;
    log::set_role("worker");
    const auto context = Context::load();
    auto settings = context.worker_settings();
    settings.schedule = schedule;
    run::Worker worker(settings, context.registry);
    worker.start();
    log::info("ready", {{"name", settings.name}, {"concurrency", std::to_string(settings.concurrency)}});
    signals.wait();
    log::info("stopping: nothing new is taken", {{"grace", std::to_string(grace.count()) + " s"}});
    worker.stop(grace);
    log::info("stopped");
    return 0;
}

}  // namespace

void add_worker(CLI::App& app, Run& chosen) {
    auto* command = app.add_subcommand("worker", "Take runs from the queue and do them; also schedules and reconciles");
    auto grace = std::make_shared<int>(25);
    auto no_schedule = std::make_shared<bool>(false);
    command->add_option("--grace", *grace, "Seconds that running pipelines get at shutdown")
        ->check(CLI::Range(0, 3600));
    command->add_flag("--no-schedule", *no_schedule, "Do not plan runs by cron");
    command->callback([&chosen, grace, no_schedule] {
        chosen = [grace, no_schedule] { return work(std::chrono::seconds(*grace), !*no_schedule); };
    });
}

}  // namespace headrace::app
