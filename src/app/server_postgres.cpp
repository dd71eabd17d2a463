// PrivatePostgres of servers.hpp: the only one of the three that has to be made before it can run.
#include "app/servers.hpp"
#include "base/encoding.hpp"
#include "base/error.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace headrace::app {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int socket_port = 5432;  // only names the socket file
constexpr milliseconds make_limit{120'000};

std::string literal(std::string_view value) {
    std::string result = "'";
    for (const char c : value) {
        result += c;
        if (c == '\'' || c == '\\') {
            result += c;
        }
    }
    return result + "'";
}

void run_step(const ProcessSpec& spec, const StopToken& stop) {
    auto child = ChildProcess::start(spec);
    const auto end = child.wait(Deadline::in(make_limit), stop);
    if (!end || !end->ok()) {
        throw Error(
            ErrorKind::permanent,
            "dev.server_failed",
            fmt::format(
                "{} ended with {}; end of {}:\n{}",
                spec.argv[0],
                end ? end->text() : "a time-out",
                spec.log_file,
                file_tail(spec.log_file, 12)
            )
        );
    }
}

}  // namespace

PrivatePostgres::PrivatePostgres(PostgresOptions options)
    : PrivateServer(options.dir, "postgres", milliseconds(60'000)), options_(std::move(options)) {}

// Debian keeps the server programs of each version apart and not on PATH.
std::string PrivatePostgres::program(std::string_view name) const {
    auto path =
        find_program(name, {"/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin"});
    if (path.empty()) {
        throw Error(ErrorKind::permanent, "dev.server_missing", fmt::format("there is no program {}", name));
    }
    return path;
}

// Made aside and renamed when whole: a first start that was cut short leaves nothing half made.
void PrivatePostgres::make_cluster(const StopToken& stop) {
    const auto aside = home_.data() + ".new";
    fs::remove_all(aside);
    home_.make_folder("data.new");
    std::vector<std::string> init{
        program("initdb"),
        "-D",
        aside,
        "-U",
        "postgres",
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8"};
    if (!options_.durable) {
        init.emplace_back("--no-sync");
    }
    auto step = spec(std::move(init));
    step.cwd = home_.path();
    run_step(step, stop);
    home_.write(
        "bootstrap.sql",
        fmt::format(
            "CREATE ROLE headrace LOGIN CREATEDB PASSWORD {}\nCREATE DATABASE headrace OWNER headrace\n",
            literal(home_.password("password").reveal())
        )
    );
    auto single = spec({program("postgres"), "--single", "-D", aside, "-c", "log_min_messages=fatal", "postgres"});
    single.cwd = home_.path();
    single.stdin_file = home_.path() + "/bootstrap.sql";
    run_step(single, stop);
    fs::remove(home_.path() + "/bootstrap.sql");
    fs::rename(aside, home_.data());
}

void PrivatePostgres::prepare(const StopToken& stop) {
    if (!fs::exists(home_.data() + "/PG_VERSION")) {
        make_cluster(stop);
    }
    // Nobody uses the folder now (home_.open() saw to it): a pid file is a dead server's, and would make Postgres
    // refuse when that number now belongs to another process of the same user.
    fs::remove(home_.data() + "/postmaster.pid");
    for (const auto& entry : fs::directory_iterator(home_.socket_dir())) {
        fs::remove(entry.path());
    }
}

ProcessSpec PrivatePostgres::command(bool new_port) {
    port_ = options_.tcp ? home_.choose_port(new_port) : 0;
    std::string text;
    const auto set = [&](std::string_view key, std::string_view value) {
        text += fmt::format("{} = {}\n", key, literal(value));
    };
    set("listen_addresses", options_.tcp ? "127.0.0.1" : "");
    set("port", std::to_string(options_.tcp ? port_ : socket_port));
    set("unix_socket_directories", home_.socket_dir());
    set("unix_socket_permissions", "0700");
    set("hba_file", home_.path() + "/pg_hba.conf");
    set("max_connections", "50");
    set("shared_buffers", "32MB");
    set("wal_level", "minimal");
    set("max_wal_senders", "0");
    set("min_wal_size", "32MB");
    set("max_wal_size", "256MB");
    set("max_worker_processes", "4");
    set("max_parallel_workers_per_gather", "0");
    set("jit", "off");
    set("timezone", "UTC");
    set("log_timezone", "UTC");
    set("lc_messages", "C");
    set("log_line_prefix", "%m [%p] ");
    set("log_checkpoints", "off");
    set("dynamic_shared_memory_type", ::access("/dev/shm", W_OK) == 0 ? "posix" : "mmap");
    if (!options_.durable) {
        set("fsync", "off");
        set("full_page_writes", "off");
    }
    for (const auto& [key, value] : options_.settings) {
        set(key, value);
    }
    home_.write("postgresql.conf", text);
    home_.write("pg_hba.conf", "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
    auto result =
        spec({program("postgres"), "-D", home_.data(), "-c", "config_file=" + home_.path() + "/postgresql.conf"});
    result.death_signal = SIGINT;  // fast shutdown; SIGTERM would wait for its clients
    return result;
}

// The postmaster itself writes its state into the eighth line of its pid file.
bool PrivatePostgres::ready() {
    const auto text = home_.read("data/postmaster.pid");
    if (!text) {
        return false;
    }
    pid_t pid = 0;
    std::from_chars(text->data(), text->data() + text->size(), pid);
    return pid == child_.pid() && std::count(text->begin(), text->end(), '\n') >= 8 &&
           (text->find("\nready") != std::string::npos || text->find("\nstandby") != std::string::npos);
}

int PrivatePostgres::stop_signal(StopMode mode) const {
    return mode == StopMode::fast ? SIGINT : SIGQUIT;
}

// libpq and Node's pg both take the socket's folder from `host`; "localhost" only keeps URL parsers content.
std::string PrivatePostgres::socket_url(std::string_view role, std::string_view database) const {
    return fmt::format(
        "postgresql://{}@localhost:{}/{}?host={}",
        role,
        options_.tcp ? port_ : socket_port,
        percent_encode(database),
        percent_encode(home_.socket_dir())
    );
}

std::string PrivatePostgres::url(std::string_view database) const {
    return socket_url("headrace", database);
}

std::string PrivatePostgres::admin_url(std::string_view database) const {
    return socket_url("postgres", database);
}

Secret PrivatePostgres::tcp_url(std::string_view database) const {
    return Secret(fmt::format(
        "postgresql://headrace:{}@127.0.0.1:{}/{}", home_.password("password").reveal(), port_, percent_encode(database)
    ));
}

}  // namespace headrace::app
