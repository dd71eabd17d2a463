// The headrace binary: one program, one subcommand per role or errand.
#include "app/commands.hpp"
#include "app/version.hpp"
#include "base/error.hpp"
#include "pipeline/suggest.hpp"

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <malloc.h>
#include <sodium.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <string_view>
#include <vector>

namespace {

int report(const headrace::Error& error) {
    fmt::print(stderr, "headrace: {}\n", error.what());
    if (const auto hint = error.hint(); !hint.empty()) {
        fmt::print(stderr, "  {}\n", hint);
    }
    return 1;
}

// True when the first word should be a command and is none; says so.
bool refuse_unknown_command(const CLI::App& app, int argc, char** argv) {
    if (argc < 2 || argv[1][0] == '-') {
        return false;
    }
    const std::string_view word = argv[1];
    std::vector<std::string> names;
    for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(command->get_name());
    }
    if (std::find(names.begin(), names.end(), word) != names.end()) {
        return false;
    }
    const std::vector<std::string_view> known(names.begin(), names.end());
    fmt::print(
        stderr,
        "headrace: there is no command `{}`{}\n  `headrace --help` lists all.\n",
        word,
        headrace::pipeline::did_you_mean(word, known)
    );
    return true;
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
    add_preview(app, chosen);
    add_run(app, chosen);
    add_rollback(app, chosen);
    add_runs(app, chosen);
    add_credential(app, chosen);
    add_config(app, chosen);
    add_doctor(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        if (refuse_unknown_command(app, argc, argv)) {
            return 2;
        }
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
