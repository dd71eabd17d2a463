#include "app/dev.hpp"

#include "app/context.hpp"
#include "app/dev_stack.hpp"
#include "app/registry.hpp"
#include "app/run_watch.hpp"
#include "app/version.hpp"
#include "auth/login_token.hpp"
#include "base/units.hpp"
#include "pipeline/parse.hpp"
#include "run/bullmq_queue.hpp"
#include "run/catalog.hpp"
#include "run/control.hpp"
#include "run/dispatcher.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <optional>

namespace headrace::app {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// The api and the worker: the same binary with the same configuration as in production.
class Children {
public:
    Children(const DevStack& stack, std::string listen)
        : listen_(std::move(listen)), env_(stack.environment(listen_)), log_dir_(stack.data_dir() + "/log") {
        fs::create_directories(log_dir_);
    }

    void start_worker(bool schedule) {
        worker_ = start("worker", schedule ? std::vector<std::string>{} : std::vector<std::string>{"--no-schedule"});
    }

    void start_api() { api_ = start("api", {"--dev-login"}); }

    ChildProcess& worker() { return worker_; }

    ChildProcess& api() { return api_; }

    std::string log_of(const std::string& role) const { return log_dir_ + "/" + role + ".log"; }

    void stop() {
        for (auto* child : {&api_, &worker_}) {
            if (child->pid() != 0 && child->running()) {
                child->terminate(SIGTERM, milliseconds(15'000));
            }
        }
    }

private:
    ChildProcess start(const std::string& role, std::vector<std::string> more) const {
        ProcessSpec spec;
        spec.argv = {fs::read_symlink("/proc/self/exe").string(), role};
        spec.argv.insert(spec.argv.end(), more.begin(), more.end());
        spec.env = env_;
        spec.log_file = log_of(role);
        return ChildProcess::start(spec);
    }

    std::string listen_;
    std::vector<std::pair<std::string, std::string>> env_;
    std::string log_dir_;
    ChildProcess worker_;
    ChildProcess api_;
};

void banner(DevStack& stack, const std::string& address, const std::string& link, const Children& children) {
    fmt::print(
        "\nheadrace {} · dev mode · data in {} (--reset or deleting it starts over)\n", version, stack.data_dir()
    );
    for (PrivateServer* server :
         {static_cast<PrivateServer*>(&stack.postgres()),
          static_cast<PrivateServer*>(&stack.redis()),
          static_cast<PrivateServer*>(&stack.clickhouse())}) {
        if (server->moved()) {
            fmt::print(
                " note        {} lies in {}: its account cannot reach the folder above\n", server->name(), server->dir()
            );
        }
    }
    fmt::print(" postgres    psql '{}'\n", stack.postgres().url());
    fmt::print(" redis       redis-cli -s {}\n", stack.redis().socket());
    fmt::print(
        " clickhouse  clickhouse-client --config-file {} --database headrace_demo   (HTTP: {})\n",
        stack.clickhouse().client_config(),
        stack.clickhouse().url()
    );
    fmt::print(" bigquery    {}\n", stack.bigquery());
    fmt::print(" yespo       {}\n", stack.yespo());
    fmt::print(" logs        {}  {}\n", children.log_of("worker"), children.log_of("api"));
    fmt::print(" page        {}/etl\n", address);
    fmt::print(" login       {}   (once, within 10 minutes)\n", link);
    fmt::print("Not for production: one host, loopback only, generated keys.   Ctrl-C stops everything.\n");
    std::fflush(stdout);
}

std::string login_link(const std::string& address, PrivateRedis& redis_server) {
    auto redis = redis::Connection::connect(redis::parse_redis_url(redis_server.url().reveal()), StopToken());
    return address + "/login?t=" + auth::create_login_token(redis);
}

// The api writes its address into the file once it listens.
std::string await_address(const std::string& file, ChildProcess& api, const std::string& log_file) {
    const auto deadline = Deadline::in(std::chrono::seconds(10));
    while (!deadline.passed()) {
        if (const auto text = file_tail(file, 1); !text.empty()) {
            return text.substr(0, text.find('\n'));
        }
        if (api.wait(Deadline::in(milliseconds(10)), StopToken())) {
            break;
        }
    }
    throw Error(
        ErrorKind::permanent, "dev.server_failed", fmt::format("the api did not start:\n{}", file_tail(log_file, 5))
    );
}

// Loads the files before anything runs, and shows what is wrong with them where the user looks.
void load_pipelines(const DevStack& stack, const std::string& folder) {
    auto db = postgres::Connection::connect({.url = stack.database_url()});
    const auto registry = make_registry({}, {});
    const auto files = pipeline::load_folder(folder, registry);
    std::size_t bad = 0;
    for (const auto& file : files) {
        for (const auto& problem : file.problems) {
            fmt::print(stderr, "{}\n", problem.text());
        }
        bad += file.ok() ? 0 : 1;
    }
    run::sync_catalog(db, registry, files);
    fmt::print("pipelines {} ({} found, {} with errors)\n", folder, files.size(), bad);
}

std::vector<std::string> all_pipelines(postgres::Connection& db) {
    const auto rows = db.exec(
        "select name from etl_pipelines where not removed and coalesce((summary->>'enabled')::boolean, true) order by "
        "name"
    );
    std::vector<std::string> names;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        names.emplace_back(rows.text(i, "name"));
    }
    return names;
}

void show_progress(const RunView& view) {
    if (::isatty(STDERR_FILENO) != 0) {
        fmt::print(
            stderr,
            "\r\x1b[K{} · {} · {} rows · {}",
            view.pipeline,
            view.state,
            view.rows,
            format_bytes(static_cast<std::uint64_t>(view.bytes))
        );
    }
}

void print_row(const RunView& view) {
    const auto seconds = static_cast<double>(std::max<std::int64_t>(view.duration_ms, 1)) / 1000;
    fmt::print(
        "{:20}  {:10}  {:>10}  {:>10}  {:>10.0f}  {:>10}  {}\n",
        view.pipeline,
        view.state,
        view.rows,
        format_bytes(static_cast<std::uint64_t>(view.bytes)),
        static_cast<double>(view.rows) / seconds,
        format_bytes(static_cast<std::uint64_t>(view.peak_rss)),
        view.outputs
    );
    if (!view.error.empty()) {
        fmt::print("  {}\n", view.error);
    }
}

// Every pipeline once, one after the other; true when all succeeded.
bool run_all(DevStack& stack, SignalWait& signals, ChildProcess& worker, const std::string& worker_log) {
    auto db = postgres::Connection::connect({.url = stack.database_url()});
    run::BullmqQueue queue(redis::parse_redis_url(stack.redis().url().reveal()), "etl");
    StopSource stop;
    std::vector<RunView> done;
    for (const auto& name : all_pipelines(db)) {
        const auto run = run::trigger_run(
            db,
            {.pipeline = name,
             .trigger = "manual",
             .by = "headrace dev --once",
             .reason = std::nullopt,
             .idempotency_key = std::nullopt,
             .retry_of = std::nullopt}
        );
        run::dispatch(db, queue);
        done.push_back(watch_run(db, run.run_id, stop.token(), [&](const RunView& view) {
            show_progress(view);
            if (signals.wait(-1, Deadline::in(milliseconds(0))) != 0) {
                stop.request_stop("interrupted");
            }
            if (!worker.running()) {
                throw Error(
                    ErrorKind::permanent,
                    "dev.server_failed",
                    fmt::format("the worker ended:\n{}", file_tail(worker_log, 5))
                );
            }
        }));
    }
    if (::isatty(STDERR_FILENO) != 0) {
        fmt::print(stderr, "\r\x1b[K");
    }
    fmt::print(
        "{:20}  {:10}  {:>10}  {:>10}  {:>10}  {:>10}  {}\n",
        "PIPELINE",
        "STATE",
        "ROWS",
        "BYTES",
        "ROWS/S",
        "PEAK RSS",
        "OUTPUT KEYS"
    );
    bool good = !done.empty();
    for (const auto& view : done) {
        print_row(view);
        good = good && view.state == "succeeded";
    }
    return good;
}

// Until Ctrl-C; a child that dies is reported and started again.
void supervise(Children& children, SignalWait& signals) {
    for (;;) {
        if (signals.wait(children.worker().fd(), Deadline::in(milliseconds(500))) != 0) {
            return;
        }
        if (!children.worker().running()) {
            fmt::print("the worker ended; starting it again (its log: {})\n", children.log_of("worker"));
            children.start_worker(true);
        }
        if (!children.api().running()) {
            fmt::print("the api ended; starting it again (its log: {})\n", children.log_of("api"));
            children.start_api();
        }
    }
}

}  // namespace

int run_dev(const DevOptions& options) {
    SignalWait signals;
    const auto data_dir = fs::absolute(options.data_dir).lexically_normal().string();
    if (options.reset) {
        fs::remove_all(data_dir);
    }
    fs::create_directories(data_dir);
    fs::permissions(data_dir, fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
    DevStack stack(data_dir);
    fmt::print("starting postgres, redis and clickhouse …\n");
    std::fflush(stdout);
    stack.start(StopToken());
    fmt::print("bigquery is {}\nyespo is {}\n", stack.bigquery(), stack.yespo());
    load_pipelines(stack, find_resource("pipelines"));
    const auto address_file = data_dir + "/api.address";
    fs::remove(address_file);
    Children children(stack, fmt::format("127.0.0.1:{}", options.port));
    children.start_worker(!options.once);
    int code = 0;
    if (options.once) {
        code = run_all(stack, signals, children.worker(), children.log_of("worker")) ? 0 : 1;
    } else {
        children.start_api();
        const auto address = await_address(address_file, children.api(), children.log_of("api"));
        banner(stack, address, login_link(address, stack.redis()), children);
        supervise(children, signals);
        fmt::print("\nstopping …\n");
    }
    children.stop();
    stack.stop();
    return code;
}

}  // namespace headrace::app
