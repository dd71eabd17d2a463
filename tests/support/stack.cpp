#include "support/stack.hpp"

#include "credential/envelope.hpp"
#include "net/http_client.hpp"
#include "net/wait.hpp"
#include "postgres/migrate.hpp"
#include "run/bullmq_queue.hpp"
#include "run/control.hpp"
#include "run/dispatcher.hpp"
#include "run/states.hpp"

#include <fmt/core.h>

#include <atomic>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

namespace headrace::support {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

Stack::Stack(std::string database_url, std::string redis_url)
    : folder_(servers().fresh_folder()),
      database_url_(std::move(database_url)),
      redis_url_(std::move(redis_url)),
      ch_database_(servers().fresh_clickhouse_database()) {
    fs::create_directories(folder_ + "/pipelines");
    db_.emplace(postgres::Connection::connect({.url = database_url_}));
    postgres::migrate(*db_);
    credential::create_key_file(folder_ + "/key");
    credential::Store(credential::load_key_file(folder_ + "/key")).verify_key(*db_);
    auto& server = servers().clickhouse();
    set_credential(
        {.name = "clickhouse",
         .kind = "clickhouse",
         .settings = {{"url", server.url()}, {"user", "reader"}, {"database", ch_database_}},
         .allowed_hosts = {server.url().substr(std::string_view("http://").size())}},
        server.reader_password()
    );
}

void Stack::set_credential(const credential::NewCredential& credential, const Secret& secret) {
    credential::Store(credential::load_key_file(folder_ + "/key")).set(*db_, credential, secret, "test", true);
}

void Stack::write_pipeline(const std::string& name, const std::string& body) {
    std::ofstream(folder_ + "/pipelines/" + name + ".yaml") << "version: 1\nname: " << name << '\n' << body;
}

void Stack::write_versioned_pipeline(int rows, const std::string& more) {
    clickhouse("CREATE TABLE IF NOT EXISTS version (v UInt32) ENGINE = Memory");
    write_pipeline(
        "t",
        fmt::format(
            R"(source:
  type: clickhouse
  credential: clickhouse
  query: |
    SELECT number AS id, concat('name ', toString(number)) AS name, v
    FROM (SELECT number FROM system.numbers LIMIT {})
    CROSS JOIN (SELECT max(v) AS v FROM version)
sinks:
  - {{ type: redis, as: json, key: "cache:t" }}
  - {{ type: redis, as: hash, key: "cache:t:hash", field: id }}
  - {{ type: redis, as: list, key: "cache:t:list", chunk_rows: 100 }}
  - {{ type: redis, as: zset, key: "cache:t:zset", member: name, score: id }}
  - {{ type: postgres, table: out.t, key: id }}
  - {{ type: postgres, table: out.history, mode: append }}
retry: {{ attempts: 3, backoff: 100ms, max: 200ms }}
timeout: 60s
{})",
            rows,
            more
        )
    );
}

void Stack::set_version(int v) {
    clickhouse(fmt::format("INSERT INTO version VALUES ({})", v));
}

void Stack::clickhouse(const std::string& sql) {
    auto& server = servers().clickhouse();
    net::HttpClient client;
    net::HttpRequest request;
    request.method = "POST";
    request.url = server.url() + "/?database=" + ch_database_;
    request.headers = {{"X-ClickHouse-User", "headrace"}, {"X-ClickHouse-Key", server.password().reveal()}};
    request.body = sql;
    const auto reply = client.fetch(request, StopToken());
    if (reply.status != 200) {
        throw std::runtime_error("clickhouse: " + reply.body);
    }
}

HeadraceProcess::Env Stack::environment() const {
    return {
        {"DATABASE_URL", database_url_},
        {"REDIS_URL", redis_url_},
        {"HEADRACE_KEY_FILE", folder_ + "/key"},
        {"HEADRACE_PIPELINES", folder_ + "/pipelines"},
        {"HEADRACE_LEASE", "2s"},
        {"HEADRACE_SWEEP", "200ms"},
        {"HEADRACE_EGRESS_ALLOW", "127.0.0.1"},
        {"SESSION_SECRET", "0123456789abcdef0123456789abcdef"}};
}

std::unique_ptr<HeadraceProcess> Stack::start_worker(HeadraceProcess::Env more) {
    auto env = environment();
    for (auto& [name, value] : more) {
        std::erase_if(env, [&](const auto& known) { return known.first == name; });
        env.emplace_back(name, value);
    }
    auto worker = std::make_unique<HeadraceProcess>(std::vector<std::string>{"worker", "--grace", "5"}, env);
    if (!worker->wait_for_log("ready", std::chrono::seconds(20))) {
        // A kill point may end it before it is ready: that is for the test to see.
        if (worker->running()) {
            throw std::runtime_error("the worker is not ready:\n" + worker->log());
        }
    }
    return worker;
}

std::string Stack::trigger(const std::string& pipeline, bool forced) {
    const auto run = run::trigger_run(
        *db_,
        {.pipeline = pipeline,
         .trigger = "manual",
         .by = "test",
         .reason = std::nullopt,
         .idempotency_key = std::nullopt,
         .retry_of = std::nullopt,
         .forced = forced}
    );
    run::BullmqQueue queue(redis::parse_redis_url(redis_url_), "etl");
    run::dispatch(*db_, queue);
    return run.run_id;
}

bool Stack::await(const std::function<bool()>& condition, milliseconds limit) {
    const auto deadline = Deadline::in(limit);
    while (!condition()) {
        if (deadline.passed()) {
            return false;
        }
        net::wait_readable(-1, Deadline::in(milliseconds(20)), StopToken());
    }
    return true;
}

std::string Stack::await_final(const std::string& run_id, milliseconds limit) {
    std::string state;
    const bool good = await(
        [&] {
            state = sql("select state as x from etl_runs where run_id = $1", {run_id});
            return run::is_final(state);
        },
        limit
    );
    return good ? state : std::string();
}

std::string Stack::sql(const std::string& statement, std::initializer_list<postgres::Param> params) {
    if (db_->broken()) {
        db_.emplace(postgres::Connection::connect({.url = database_url_}));
    }
    const auto rows = db_->exec(statement, params);
    return rows.empty() ? std::string() : std::string(rows.text(0, "x"));
}

redis::Connection& Stack::redis() {
    if (!redis_ || redis_->is_dead() || redis_->peer_is_gone()) {
        redis_.emplace(redis::Connection::connect(redis::parse_redis_url(redis_url_), StopToken()));
    }
    return *redis_;
}

std::string Stack::get(const std::string& key) {
    auto reply = redis().command({"GET", key});
    return reply.is_nil() ? std::string() : reply.text();
}

Seen look_at(std::string_view json, int rows) {
    Seen seen;
    if (json.size() < 2 || json.front() != '[' || json.back() != ']') {
        return {-1, "not a JSON array: " + std::string(json.substr(0, 80))};
    }
    int count = 0;
    static constexpr std::string_view mark = "\"v\":";
    for (auto at = json.find(mark); at != std::string::npos; at = json.find(mark, at + 1)) {
        int v = -1;
        std::from_chars(json.data() + at + mark.size(), json.data() + json.size(), v);
        if (seen.version != -1 && v != seen.version) {
            return {v, fmt::format("a mixture of versions {} and {}", seen.version, v)};
        }
        seen.version = v;
        ++count;
    }
    if (count != rows) {
        seen.problem = fmt::format("{} rows instead of {}", count, rows);
    }
    return seen;
}

struct TornReader::State {
    std::string url;
    std::string key;
    int rows;
    StopSource stop;
    mutable std::mutex mutex;
    std::string violation;
    std::atomic<long> reads{0};
    std::atomic<int> version{-1};
    std::atomic<bool> loss_allowed{false};
    std::thread thread;

    void note(const std::string& what) {
        std::lock_guard lock(mutex);
        if (violation.empty()) {
            violation = what;
        }
    }

    void read_once(redis::Connection& redis) {
        auto reply = redis.command({"GET", key});
        if (reply.is_nil()) {
            if (version != -1 && !loss_allowed) {
                note("the output disappeared");
            }
            return;
        }
        const auto seen = look_at(reply.str(), rows);
        if (!seen.problem.empty()) {
            note(seen.problem);
        }
        if (seen.version < version && !loss_allowed) {
            note(fmt::format("went back from version {} to {}", version.load(), seen.version));
        }
        version = seen.version;
        ++reads;
    }

    void run() {
        std::optional<redis::Connection> redis;
        while (!stop.stop_requested()) {
            try {
                if (!redis || redis->is_dead()) {
                    redis.emplace(redis::Connection::connect(redis::parse_redis_url(url), stop.token()));
                }
                read_once(*redis);
                net::wait_readable(-1, Deadline::in(look_every), stop.token());
            } catch (const std::exception&) {
                redis.reset();  // the server is being restarted by the test
                net::wait_readable(-1, Deadline::in(milliseconds(20)), stop.token());
            }
        }
    }
};

TornReader::TornReader(const std::string& redis_url, std::string key, int rows) : state_(std::make_unique<State>()) {
    state_->url = redis_url;
    state_->key = std::move(key);
    state_->rows = rows;
    state_->thread = std::thread([state = state_.get()] { state->run(); });
}

TornReader::~TornReader() {
    state_->stop.request_stop("end of test");
    state_->thread.join();
}

std::string TornReader::violation() const {
    std::lock_guard lock(state_->mutex);
    return state_->violation;
}

long TornReader::reads() const {
    return state_->reads;
}

int TornReader::last_version() const {
    return state_->version;
}

void TornReader::allow_loss() {
    state_->loss_allowed = true;
}

}  // namespace headrace::support
