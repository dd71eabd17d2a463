// headrace credential set|list|test|remove. Secrets come from stdin or a file, never from the command line.
#include "app/commands.hpp"
#include "app/context.hpp"
#include "app/credential_probe.hpp"
#include "credential/envelope.hpp"
#include "credential/store.hpp"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

namespace headrace::app {
namespace {

struct SetOptions {
    std::string name;
    std::string kind;
    std::vector<std::string> settings;
    std::vector<std::string> hosts;
    std::string secret_file;
    bool replace = false;
};

credential::Store open_store(const Context& context, postgres::Connection& db) {
    require(context.config.key_file, "HEADRACE_KEY_FILE");
    credential::Store store(credential::load_key_file(context.config.key_file));
    store.verify_key(db);
    return store;
}

// Asks without echo on a terminal.
Secret read_secret(const std::string& file) {
    std::string text;
    if (!file.empty()) {
        std::ifstream in(file, std::ios::binary);
        if (!in) {
            throw Error(ErrorKind::invalid, "config.invalid", fmt::format("cannot read the secret file {}", file));
        }
        text.assign(std::istreambuf_iterator<char>(in), {});
    } else if (::isatty(STDIN_FILENO) != 0) {
        termios before{};
        ::tcgetattr(STDIN_FILENO, &before);
        auto quiet = before;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
        fmt::print(stderr, "secret: ");
        std::getline(std::cin, text);
        ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
        fmt::print(stderr, "\n");
    } else {
        text.assign(std::istreambuf_iterator<char>(std::cin), {});
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
        text.pop_back();
    }
    return Secret(std::move(text));
}

int set(const SetOptions& options) {
    const auto context = Context::load();
    auto db = context.connect_db();
    auto store = open_store(context, db);
    credential::NewCredential fresh{
        .name = options.name, .kind = options.kind, .settings = {}, .allowed_hosts = options.hosts};
    for (const auto& setting : options.settings) {
        const auto equals = setting.find('=');
        if (equals == std::string::npos) {
            throw Error(ErrorKind::invalid, "config.invalid", fmt::format("`{}` is not NAME=VALUE", setting));
        }
        fresh.settings[setting.substr(0, equals)] = setting.substr(equals + 1);
    }
    store.set(db, fresh, read_secret(options.secret_file), "command line", options.replace);
    fmt::print("stored {}\n", options.name);
    return 0;
}

std::vector<std::string> used_by(postgres::Connection& db, std::string_view name) {
    const auto rows = db.exec(
        "select name from etl_pipelines where not removed and (summary->'source'->>'credential' = $1 or exists"
        " (select 1 from jsonb_array_elements(summary->'sinks') s where s->>'credential' = $1)) order by name",
        {name}
    );
    std::vector<std::string> names;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        names.emplace_back(rows.text(i, "name"));
    }
    return names;
}

int list() {
    const auto context = Context::load();
    auto db = context.connect_db();
    const auto store = open_store(context, db);
    fmt::print("{:20}  {:12}  {:>7}  {:40}  {}\n", "NAME", "KIND", "VERSION", "SETTINGS", "HOSTS");
    for (const auto& one : store.list(db)) {
        std::string settings;
        for (const auto& [key, value] : one.settings) {
            settings += (settings.empty() ? "" : " ") + key + "=" + value;
        }
        fmt::print(
            "{:20}  {:12}  {:>7}  {:40}  {}\n",
            one.name,
            one.kind,
            one.version,
            settings,
            fmt::join(one.allowed_hosts, ",")
        );
    }
    return 0;
}

void print_step(const pipeline::TestStep& step) {
    const auto took = static_cast<double>(step.took.count()) / 1000;
    fmt::print(
        "{:4}  {:10}  {:>8.1f} ms  {}{}\n",
        step.ok ? "ok" : "FAIL",
        step.name,
        took,
        step.code.empty() ? "" : step.code + ": ",
        step.detail
    );
    if (!step.hint.empty()) {
        fmt::print("      to do: {}\n", step.hint);
    }
    std::fflush(stdout);
}

int test(const std::string& name) {
    const StopOnSignal interrupt;
    const auto context = Context::load();
    auto db = context.connect_db(interrupt.token());
    const auto store = open_store(context, db);
    const auto steps = test_credential(store, context.registry, db, name, interrupt.token(), print_step);
    return steps.back().ok ? 0 : 1;
}

}  // namespace

void add_credential(CLI::App& app, Run& chosen) {
    auto* command = app.add_subcommand("credential", "Store, list, test and remove encrypted credentials");
    command->require_subcommand(1);

    auto* set_command =
        command->add_subcommand("set", "Store a credential; the secret is read from stdin, or asked for");
    auto options = std::make_shared<SetOptions>();
    set_command->add_option("name", options->name, "Name that pipelines use")->required();
    set_command->add_option("--kind", options->kind, "bigquery, clickhouse, redis, postgres, http")->required();
    set_command->add_option(
        "-s,--setting", options->settings, "Public setting NAME=VALUE, e.g. url=http://db:8123 user=etl"
    );
    set_command->add_option("--host", options->hosts, "host[:port] that the secret may be sent to")->required();
    set_command->add_option("--secret-file", options->secret_file, "Read the secret from this file instead");
    set_command->add_flag("--replace", options->replace, "A new version of a credential that exists");
    set_command->callback([&chosen, options] { chosen = [options] { return set(*options); }; });

    auto* list_command = command->add_subcommand("list", "Show what is stored; never a secret");
    list_command->callback([&chosen] { chosen = [] { return list(); }; });

    auto* test_command = command->add_subcommand(
        "test", "Try a credential step by step, from the key to what it may do; exit 0: it works"
    );
    auto tested = std::make_shared<std::string>();
    test_command->add_option("name", *tested, "Its name")->required();
    test_command->callback([&chosen, tested] { chosen = [tested] { return test(*tested); }; });

    auto* remove_command = command->add_subcommand("remove", "Erase a credential; refused while a pipeline uses it");
    auto name = std::make_shared<std::string>();
    remove_command->add_option("name", *name, "Its name")->required();
    remove_command->callback([&chosen, name] {
        chosen = [name] {
            const auto context = Context::load();
            auto db = context.connect_db();
            open_store(context, db).remove(db, *name, used_by(db, *name), "command line");
            fmt::print("removed {}\n", *name);
            return 0;
        };
    });
}

}  // namespace headrace::app
