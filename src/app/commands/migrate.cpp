// headrace migrate: brings the database schema to this program's.
#include "postgres/migrate.hpp"

#include "app/commands.hpp"
#include "app/context.hpp"

#include <fmt/core.h>

namespace headrace::app {

void add_migrate(CLI::App& app, Run& chosen) {
    auto* command = app.add_subcommand("migrate", "Bring the database schema up to date");
    command->callback([&chosen] {
        chosen = [] {
            auto db = Context::load().connect_db();
            const auto done = postgres::migrate(db);
            for (const auto& migration : done) {
                fmt::print("applied {}\n", migration.name);
            }
            if (done.empty()) {
                fmt::print("nothing to do\n");
            }
            return 0;
        };
    });
}

}  // namespace headrace::app
