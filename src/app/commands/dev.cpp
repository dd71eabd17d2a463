// headrace dev: see app/dev.hpp.
#include "app/dev.hpp"

#include "app/commands.hpp"

namespace headrace::app {

void add_dev(CLI::App& app, Run& chosen) {
    auto* command = app.add_subcommand("dev", "Everything in one: private servers, sample data, worker, api, page");
    auto options = std::make_shared<DevOptions>();
    command->add_option("--data", options->data_dir, "Folder for all data; delete it to start over")
        ->capture_default_str();
    command->add_option("--port", options->port, "Port of api and page on 127.0.0.1; 0: any free one")
        ->capture_default_str();
    command->add_flag(
        "--once", options->once, "Run every pipeline once, print a table, stop; exit 0 only if all succeeded"
    );
    command->add_flag("--reset", options->reset, "Forget all data first");
    command->callback([&chosen, options] { chosen = [options] { return run_dev(*options); }; });
}

}  // namespace headrace::app
