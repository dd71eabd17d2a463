// headrace doctor: looks at everything that Headrace needs and says how to mend what is wrong.
#include "app/commands.hpp"
#include "app/context.hpp"
#include "credential/envelope.hpp"
#include "credential/store.hpp"
#include "pipeline/parse.hpp"
#include "pipeline/redis_space.hpp"
#include "postgres/migrate.hpp"
#include "redis/connection.hpp"
#include "run/attempt.hpp"

#include <fmt/core.h>

#include <functional>

namespace headrace::app {
namespace {

struct Finding {
    bool good = true;
    std::string text;
};

// One line a check; a thrown Error is the finding.
bool look(std::string_view what, const std::function<Finding()>& check) {
    Finding finding;
    try {
        finding = check();
    } catch (const Error& e) {
        finding = {false, std::string(e.what()) + (e.hint().empty() ? "" : "\n             " + e.hint())};
    }
    fmt::print(" {} {:10} {}\n", finding.good ? "✓" : "✗", what, finding.text);
    return finding.good;
}

Finding check_postgres(const Context& context) {
    auto db = context.connect_db();
    postgres::require_schema(db);
    const auto row = db.exec(
        "select current_setting('server_version') as version, current_setting('fsync') as fsync,"
        " current_setting('synchronous_commit') as sync"
    );
    if (row.text(0, "fsync") != "on" || row.text(0, "sync") == "off") {
        return {false, "fsync or synchronous_commit is off: a power cut can undo what was committed. Switch both on."};
    }
    return {true, fmt::format("PostgreSQL {}, schema up to date", row.text(0, "version"))};
}

Finding check_redis(const redis::Options& options, bool is_queue) {
    auto redis = redis::Connection::connect(options, StopToken());
    const auto info = redis.command({"INFO"}).text();
    const auto setting = [&](std::string_view name) {
        const auto reply = redis.command({"CONFIG", "GET", name});
        return reply.elements().size() == 2 ? reply.at(1).text() : std::string();
    };
    const auto version = std::string(redis::info_field(info, "redis_version"));
    if (version.empty() || version[0] < '7') {
        return {false, fmt::format("Redis {}: the publish script needs 7.0 or newer", version)};
    }
    if (is_queue && setting("maxmemory-policy") != "noeviction") {
        return {false, "maxmemory-policy may evict queue data: set it to noeviction"};
    }
    if (is_queue && setting("appendonly") != "yes") {
        return {false, "appendonly is off: a restart forgets the queue and logs everybody out; set appendonly yes"};
    }
    for (const auto* lazy : {"lazyfree-lazy-server-del", "lazyfree-lazy-expire"}) {
        if (setting(lazy) != "yes") {
            return {false, fmt::format("dropping a large output blocks the server: set {} yes", lazy)};
        }
    }
    return {true, fmt::format("Redis {}", version)};
}

// In a cluster the keys of an output must share a slot (redis.cross_slot at the first run).
Finding check_cluster(const Context& context) {
    auto redis = redis::Connection::connect(context.cache_redis, StopToken());
    const auto info = redis.command({"INFO", "cluster"}).text();
    if (redis::info_field(info, "cluster_enabled") != "1") {
        return {true, "the cache is one server"};
    }
    std::string bad;
    for (const auto& file : pipeline::load_folder(context.config.pipelines, context.registry)) {
        for (const auto& spec :
             file.ok() ? run::output_specs(context.registry, file.definition) : std::vector<run::OutputSpec>()) {
            if (spec.kind == "redis" && pipeline::hash_tag(spec.name).empty()) {
                bad += fmt::format("\n             {}: {}", file.definition.name, spec.name);
            }
        }
    }
    return {
        bad.empty(),
        "the cache is a Redis Cluster; Headrace talks to one node" +
            (bad.empty() ? std::string() : "; these keys need a hash tag, such as {shop}:prices:" + bad)};
}

Finding check_key(const Context& context) {
    require(context.config.key_file, "HEADRACE_KEY_FILE");
    auto db = context.connect_db();
    const credential::Store store(credential::load_key_file(context.config.key_file));
    store.verify_key(db);
    return {true, fmt::format("opens all credentials of this database ({})", context.config.key_file)};
}

Finding check_clock(const Context& context) {
    auto db = context.connect_db();
    const auto before = now();
    const auto server = db.exec("select clock_timestamp() as t").time(0, "t").value_or(before);
    const auto skew = std::chrono::duration_cast<std::chrono::milliseconds>(server - before).count();
    return {std::abs(skew) < 2000, fmt::format("{} ms beside Postgres'", skew)};
}

Finding check_pipelines(const Context& context) {
    std::size_t bad = 0;
    const auto files = pipeline::load_folder(context.config.pipelines, context.registry);
    for (const auto& file : files) {
        bad += file.ok() ? 0 : 1;
    }
    return {bad == 0, fmt::format("{} files in {}, {} with problems", files.size(), context.config.pipelines, bad)};
}

}  // namespace

void add_doctor(CLI::App& app, Run& chosen) {
    auto* command =
        app.add_subcommand("doctor", "Check servers, settings, clock and keys, and say how to mend what is wrong");
    command->callback([&chosen] {
        chosen = [] {
            const auto context = Context::load();
            bool good = look("postgres", [&] { return check_postgres(context); });
            good = look("queue", [&] { return check_redis(context.queue_redis, true); }) && good;
            good = look("cache", [&] { return check_redis(context.cache_redis, false); }) && good;
            good = look("cluster", [&] { return check_cluster(context); }) && good;
            good = look("key", [&] { return check_key(context); }) && good;
            good = look("clock", [&] { return check_clock(context); }) && good;
            good = look("pipelines", [&] { return check_pipelines(context); }) && good;
            return good ? 0 : 1;
        };
    });
}

}  // namespace headrace::app
