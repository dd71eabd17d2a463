#include "app/dev_stack.hpp"

#include "app/demo_data.hpp"
#include "base/ids.hpp"
#include "credential/envelope.hpp"
#include "credential/store.hpp"
#include "postgres/migrate.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace headrace::app {
namespace {

namespace fs = std::filesystem;

// Made at the first start and kept: sessions survive a restart.
std::string kept_secret(const std::string& file) {
    if (std::ifstream in(file); in) {
        std::string text;
        in >> text;
        return text;
    }
    const auto secret = random_token(32);
    std::ofstream(file) << secret << '\n';
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
    return secret;
}

}  // namespace

DevStack::DevStack(std::string data_dir)
    : data_dir_(std::move(data_dir)),
      postgres_({.dir = data_dir_ + "/postgres", .settings = {}}),
      redis_({.dir = data_dir_ + "/redis", .settings = {}}),
      clickhouse_({.dir = data_dir_ + "/clickhouse"}),
      simulator_(data_dir_ + "/bigquery"),
      yespo_(data_dir_ + "/yespo"),
      key_file_(data_dir_ + "/key") {}

void DevStack::start(const StopToken& stop) {
    session_secret_ = kept_secret(data_dir_ + "/session-secret");
    if (!fs::exists(key_file_)) {
        credential::create_key_file(key_file_);
    }
    // ClickHouse is the slowest to start; the others are ready in milliseconds.
    postgres_.start(stop);
    redis_.start(stop);
    prepare_database();
    clickhouse_.start(stop);
    load_samples(stop);
}

void DevStack::stop() {
    yespo_.stop();
    simulator_.stop();
    clickhouse_.stop();
    redis_.stop();
    postgres_.stop();
}

void DevStack::prepare_database() {
    auto db = postgres::Connection::connect({.url = postgres_.url()});
    postgres::migrate(db);
}

// The sample pipelines read with a user that may not write.
void DevStack::load_samples(const StopToken& stop) {
    load_demo_data(
        {.url = clickhouse_.url(), .user = "headrace", .password = clickhouse_.password()},
        find_resource("node_modules/vega-datasets/data"),
        stop
    );
    auto db = postgres::Connection::connect({.url = postgres_.url()});
    credential::Store store(credential::load_key_file(key_file_));
    store.verify_key(db);
    const auto host = clickhouse_.url().substr(std::string_view("http://").size());
    store.set(
        db,
        {.name = "clickhouse",
         .kind = "clickhouse",
         .settings = {{"url", clickhouse_.url()}, {"user", "reader"}, {"database", "headrace_demo"}},
         .allowed_hosts = {host}},
        clickhouse_.reader_password(),
        "headrace dev",
        true
    );
    offer_bigquery(db, store, stop);
    offer_yespo(db, store, stop);
}

// A credential that the user stored is left alone, and what it names is read.
void DevStack::offer_bigquery(postgres::Connection& db, const credential::Store& store, const StopToken& stop) {
    for (const auto& one : store.list(db)) {
        if (one.name == "bigquery" && one.settings.find("simulator") == one.settings.end()) {
            bigquery_text_ = "your credential `bigquery`";
            return;
        }
    }
    if (!simulator_.start(stop)) {
        bigquery_text_ = "none: store a credential `bigquery` (docs/pipelines.md), or build bigquery_simulator";
        return;
    }
    bigquery_text_ = "a simulator, not Google: " + simulator_.url();
    store.set(
        db,
        {.name = "bigquery",
         .kind = "bigquery",
         .settings =
             {{"url", simulator_.url()}, {"storage_url", simulator_.storage_url()}, {"simulator", "headrace dev"}},
         .allowed_hosts =
             {simulator_.url().substr(std::string_view("http://").size()),
              simulator_.storage_url().substr(std::string_view("http://").size())}},
        simulator_.key_file(),
        "headrace dev",
        true
    );
}

// Two accounts; each by itself is the user's or the simulator's.
void DevStack::offer_yespo(postgres::Connection& db, const credential::Store& store, const StopToken& stop) {
    std::vector<SimulatedAccount> missing = yespo_.accounts();
    for (const auto& known : store.list(db)) {
        if (known.settings.find("simulator") == known.settings.end()) {
            std::erase_if(missing, [&](const auto& account) { return account.credential == known.name; });
        }
    }
    if (missing.empty()) {
        yespo_text_ = "your credentials `yespo_ovago` and `yespo_brand_b`";
        return;
    }
    if (!yespo_.start(stop)) {
        yespo_text_ =
            "none: store credentials `yespo_ovago`, `yespo_brand_b` (docs/pipelines.md), or build yespo_simulator";
        return;
    }
    yespo_text_ = "a simulator, not the service: " + yespo_.url();
    for (const auto& account : missing) {
        store.set(
            db,
            {.name = account.credential,
             .kind = "http",
             .settings = {{"url", yespo_.url()}, {"simulator", "headrace dev"}},
             .allowed_hosts = {yespo_.host()}},
            account.key,
            "headrace dev",
            true
        );
    }
}

std::vector<std::pair<std::string, std::string>> DevStack::environment(const std::string& listen) const {
    return {
        {"DATABASE_URL", postgres_.url()},
        {"REDIS_URL", redis_.url().reveal()},
        {"CACHE_REDIS_URL", redis_.url().reveal()},
        {"HEADRACE_KEY_FILE", key_file_},
        {"SESSION_SECRET", session_secret_},
        {"HEADRACE_LISTEN", listen},
        {"HEADRACE_PIPELINES", find_resource("pipelines")},
        {"HEADRACE_WEB", find_resource("web/dist")},
        {"HEADRACE_ADDRESS_FILE", data_dir_ + "/api.address"},
        {"HEADRACE_EGRESS_ALLOW", "127.0.0.1"},
        {"HEADRACE_WORKER_NAME", "dev"}};
}

std::string find_resource(const std::string& relative) {
    const auto binary = fs::read_symlink("/proc/self/exe").parent_path();
    for (const auto& base : {fs::current_path(), binary / "../..", binary / "../share/headrace"}) {
        if (fs::exists(base / relative)) {
            return (base / relative).lexically_normal().string();
        }
    }
    return (fs::current_path() / relative).string();
}

}  // namespace headrace::app
