// headrace api: HTTP API, live events and the page.
#include "api/api.hpp"

#include "app/commands.hpp"
#include "app/context.hpp"
#include "app/credential_probe.hpp"
#include "app/dev_stack.hpp"
#include "app/version.hpp"
#include "base/log.hpp"
#include "credential/envelope.hpp"
#include "net/http_server.hpp"
#include "postgres/migrate.hpp"
#include "run/bullmq_queue.hpp"
#include "run/dispatcher.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <fstream>

namespace headrace::app {
namespace {

constexpr unsigned pool_threads = 4;

struct Listen {
    std::string host;
    std::uint16_t port = 0;
};

// "127.0.0.1:8090". Loopback only until users and roles are here: whoever reaches the port could try to log in.
Listen parse_listen(const std::string& text) {
    const auto colon = text.rfind(':');
    const auto host = text.substr(0, colon);
    if (colon == std::string::npos || (host != "127.0.0.1" && host != "[::1]" && host != "localhost")) {
        throw Error(ErrorKind::invalid, "config.invalid", fmt::format("HEADRACE_LISTEN is `{}`", text))
            .with_hint("Use 127.0.0.1:PORT: put Caddy or nginx in front for other hosts.");
    }
    const int port = std::atoi(text.c_str() + colon + 1);
    if (port < 0 || port > 65535) {
        throw Error(ErrorKind::invalid, "config.invalid", fmt::format("HEADRACE_LISTEN has the port {}", port));
    }
    return {host == "[::1]" ? "::1" : "127.0.0.1", static_cast<std::uint16_t>(port)};
}

// Written aside and renamed: whoever waits for the file never reads half of it.
void announce(const std::string& file, const std::string& address) {
    if (file.empty()) {
        return;
    }
    std::ofstream(file + ".new") << address << '\n';
    std::filesystem::rename(file + ".new", file);
}

int serve(bool dev_login) {
    SignalWait signals;
    log::set_role("api");
    const auto context = Context::load();
    const auto& config = context.config;
    const auto listen = parse_listen(config.listen);
    require(config.session_secret.reveal(), "SESSION_SECRET");
    postgres::Pool db(context.db, pool_threads + 2);
    postgres::require_schema(*db.take());
    run::BullmqQueue queue(context.queue_redis, config.queue, config.queue_prefix);
    api::Api api(
        {.db = db,
         .redis = context.queue_redis,
         .sessions = {.secrets = {config.session_secret}},
         .send_jobs = [&](postgres::Connection& c) { run::dispatch(c, queue); },
         .test_credential =
             [&](postgres::Connection& c, const std::string& name, const StopToken& stop) {
                 require(config.key_file, "HEADRACE_KEY_FILE");
                 const credential::Store store(credential::load_key_file(config.key_file));
                 return test_credential(store, context.registry, c, name, stop);
             },
         .queue = config.queue,
         .prefix = config.queue_prefix,
         .event_stream = config.events_stream,
         .web_folder = config.web.empty() ? find_resource("web/dist") : config.web,
         .dev_login = dev_login,
         .version = std::string(version),
         .commit = {},
         .hosts = {}}
    );
    net::HttpServer server(
        {.host = listen.host, .port = listen.port, .pool_threads = pool_threads},
        [&](const net::Request& request) { return api.handle(request); }
    );
    const auto address = fmt::format("http://{}:{}", listen.host == "::1" ? "[::1]" : listen.host, server.port());
    announce(config.address_file, address);
    log::info("ready", {{"address", address}});
    signals.wait();
    log::info("stopping");
    api.stop();
    server.stop(Deadline::in(std::chrono::seconds(5)));
    return 0;
}

}  // namespace

void add_api(CLI::App& app, Run& chosen) {
    auto* command = app.add_subcommand("api", "Serve the HTTP API, live events and the page");
    auto dev_login = std::make_shared<bool>(false);
    command->add_flag("--dev-login", *dev_login, "Accept one-time login links of `headrace dev`");
    command->callback([&chosen, dev_login] { chosen = [dev_login] { return serve(*dev_login); }; });
}

}  // namespace headrace::app
