// headrace config: what is in force, and where each value comes from.
#include "app/config.hpp"

#include "app/commands.hpp"

#include <fmt/core.h>

namespace headrace::app {

void add_config(CLI::App& app, Run& chosen) {
    auto* command = app.add_subcommand("config", "Print the effective configuration with the origin of each value");
    command->callback([&chosen] {
        chosen = [] {
            fmt::print("{}", print_config(load_config()));
            return 0;
        };
    });
}

}  // namespace headrace::app
