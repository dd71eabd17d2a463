// The headrace binary: one program, one subcommand per role or errand.
#include "app/commands.hpp"
#include "app/version.hpp"
#include "base/error.hpp"

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <malloc.h>
#include <sodium.h>

#include <csignal>

namespace {

int report(const headrace::Error& error) {
    fmt::print(stderr, "headrace: {}\n", error.what());
    if (const auto hint = error.hint(); !hint.empty()) {
        fmt::print(stderr, "  {}\n", hint);
    }
    return 1;
}

int run(int argc, char** argv) {
    using namespace headrace::app;
    // Few arenas: a dozen threads that allocate little must not keep a heap each.
    ::mallopt(M_ARENA_MAX, 2);
    std::signal(SIGPIPE, SIG_IGN);
    if (sodium_init() < 0) {
        fmt::print(stderr, "headrace: libsodium cannot start\n");
        return 1;
    }
    CLI::App app("Headrace: pipelines from BigQuery, ClickHouse and HTTP APIs into a Redis cache and Postgres.");
    app.set_version_flag("--version", std::string(version));
    app.require_subcommand(1);
    Run chosen;
    add_dev(app, chosen);
    add_api(app, chosen);
    add_worker(app, chosen);
    add_migrate(app, chosen);
    add_check(app, chosen);
    add_run(app, chosen);
    add_rollback(app, chosen);
    add_runs(app, chosen);
    add_credential(app, chosen);
    add_config(app, chosen);
    add_doctor(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        const int code = app.exit(e);
        return code == 0 ? 0 : 2;
    }
    return chosen();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (...) {
        return report(headrace::as_error(std::current_exception()));
    }
}
