// The HTTP API from outside: a real server on a real socket, real Postgres and Redis.
#include "api/api.hpp"

#include "app/servers.hpp"
#include "auth/cookie.hpp"
#include "auth/login_token.hpp"
#include "base/ids.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "net/stream.hpp"
#include "postgres/migrate.hpp"
#include "run/bullmq_queue.hpp"
#include "run/dispatcher.hpp"
#include "run/events.hpp"
#include "support/servers.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <thread>

namespace headrace {
namespace {

namespace json = boost::json;
using support::servers;
using Headers = std::vector<std::pair<std::string, std::string>>;

const Secret secret("0123456789abcdef0123456789abcdef");
const auto patience = std::chrono::seconds(20);

constexpr std::string_view summary =
    R"({"description":"d","owner":"ana","tags":["daily"],"enabled":true,"schedule":{"cron":"0 4 * * *","timezone":"Europe/Kyiv",)"
    R"("catchup":"last","overlap":"skip"},"source":{"type":"clickhouse","credential":"ch"},)"
    R"("sinks":[{"type":"redis","as":"json","key":"cache:x"}],"maxAttempts":3})";

// A Server-Sent-Events client that reads event by event.
struct Event {
    std::string id, name, data;
};

class EventReader {
public:
    EventReader(const std::string& url, Headers headers) {
        net::HttpRequest request;
        request.url = url;
        request.headers = std::move(headers);
        request.deadline = Deadline::in(patience);
        response_.emplace(client_.start(request, {}));
    }

    int status() const { return response_->status(); }

    // The next event that has a name (the head has none), or one with the name "" at the end of the stream.
    Event next() {
        while (true) {
            const auto end = buffer_.find("\n\n");
            if (end != std::string::npos) {
                const auto event = parse(buffer_.substr(0, end));
                buffer_.erase(0, end + 2);
                if (!event.id.empty()) {
                    last_id = event.id;
                }
                if (!event.name.empty()) {
                    return event;
                }
                continue;
            }
            const auto chunk = response_->read_chunk();
            if (chunk.empty()) {
                return {};
            }
            buffer_ += chunk;
        }
    }

    // The next that is no ping.
    Event next_real() {
        auto event = next();
        while (event.name == "ping") {
            event = next();
        }
        return event;
    }

    std::string last_id;

private:
    static Event parse(const std::string& text) {
        Event out;
        std::size_t from = 0;
        while (from < text.size()) {
            const auto end = std::min(text.find('\n', from), text.size());
            const auto line = text.substr(from, end - from);
            from = end + 1;
            if (line.starts_with("id: ")) {
                out.id = line.substr(4);
            } else if (line.starts_with("event: ")) {
                out.name = line.substr(7);
            } else if (line.starts_with("data: ")) {
                out.data = line.substr(6);
            }
        }
        return out;
    }

    net::HttpClient client_;
    std::optional<net::HttpResponse> response_;
    std::string buffer_;
};

class ApiIntegration : public ::testing::Test {
protected:
    ApiIntegration()
        : database_(servers().fresh_database()), redis_options_(redis::parse_redis_url(servers().fresh_redis())) {
        postgres::migrate(db());
        start();
        cookie_ = login();
    }

    ~ApiIntegration() override { stop(); }

    void start(std::string database = {}) {
        pool_ = std::make_unique<postgres::Pool>(
            postgres::ConnectOptions{
                .url = database.empty() ? database_ : database, .connect_timeout = std::chrono::milliseconds(2000)},
            8
        );
        queue_ = std::make_unique<run::BullmqQueue>(redis_options_, "etl");
        api_ = std::make_unique<api::Api>(api::Dependencies{
            .db = *pool_,
            .redis = redis_options_,
            .sessions = {.secrets = {secret}},
            .send_jobs = [this](postgres::Connection& c) { run::dispatch(c, *queue_); },
            .test_credential =
                [](postgres::Connection&, const std::string& name, const StopToken&) {
                    return std::vector<pipeline::TestStep>{
                        {"decrypt", true, std::chrono::microseconds(1500), "kind " + name, "", ""},
                        {"login", false, std::chrono::microseconds(20), "no", "source.auth", "Try again."}};
                },
            .web_folder = {},
            .dev_login = true,
            .version = "1.2.3",
            .commit = "abc",
            .hosts = {},
            .event_ping = std::chrono::milliseconds(300)});
        server_ = std::make_unique<net::HttpServer>(net::HttpServerOptions{}, [this](const net::Request& r) {
            return api_->handle(r);
        });
    }

    void stop() {
        api_->stop();
        server_->stop(Deadline::in(std::chrono::seconds(5)));
    }

    void restart(std::string database = {}) {
        stop();
        server_.reset();
        api_.reset();
        start(std::move(database));
    }

    postgres::Connection& db() {
        if (!db_) {
            db_.emplace(postgres::Connection::connect({.url = database_}));
        }
        return *db_;
    }

    redis::Connection& redis() {
        if (!redis_ || redis_->is_dead() || redis_->peer_is_gone()) {
            redis_.emplace(redis::Connection::connect(redis_options_, {}));
        }
        return *redis_;
    }

    std::string url(std::string_view path) const { return fmt::format("http://127.0.0.1:{}{}", server_->port(), path); }

    std::string login() {
        const auto token = auth::create_login_token(redis());
        const auto reply =
            ask("POST",
                "/api/auth/dev-login",
                {{"Content-Type", "application/json"}},
                fmt::format(R"({{"token":"{}"}})", token));
        EXPECT_EQ(reply.status, 204) << reply.body;
        const std::string set(reply.headers.get("Set-Cookie"));
        return set.substr(0, set.find(';'));
    }

    // Without a session unless the headers bring one.
    net::HttpReply ask(std::string method, std::string_view path, Headers headers = {}, std::string body = {}) {
        net::HttpClient client;
        net::HttpRequest request;
        request.method = std::move(method);
        request.url = url(path);
        request.headers = std::move(headers);
        request.body = std::move(body);
        request.deadline = Deadline::in(patience);
        return client.fetch(request, {}, 32u << 20);
    }

    net::HttpReply get(std::string_view path) { return ask("GET", path, {{"Cookie", cookie_}}); }

    net::HttpReply post(std::string_view path, std::string body = {}, Headers more = {}) {
        return send("POST", path, std::move(body), std::move(more));
    }

    net::HttpReply send(std::string method, std::string_view path, std::string body, Headers more) {
        Headers headers = {{"Cookie", cookie_}, {"X-Headrace", "1"}};
        if (!body.empty() &&
            std::none_of(more.begin(), more.end(), [](const auto& h) { return h.first == "Content-Type"; })) {
            headers.emplace_back("Content-Type", "application/json");
        }
        headers.insert(headers.end(), more.begin(), more.end());
        return ask(std::move(method), path, std::move(headers), std::move(body));
    }

    net::HttpReply trigger(std::string_view pipeline, std::string key = make_uuid_v4(), std::string body = {}) {
        return post(
            fmt::format("/api/etl/pipelines/{}/runs", pipeline), std::move(body), {{"Idempotency-Key", std::move(key)}}
        );
    }

    void add_pipeline(std::string_view name, std::string_view text = summary) {
        db().exec("insert into etl_pipelines (name, summary) values ($1, $2)", {name, text});
        db().exec(
            "insert into etl_definitions (pipeline, version, text) values ($1, 1, $2)",
            {name, "name: x\nsource: {type: clickhouse, credential: ch}\nsinks: [{type: redis, credential: r2}]\n"}
        );
    }

    std::string add_run(std::string_view pipeline, std::string_view state, int minutes_ago = 10) {
        const auto id = make_uuid_v7();
        db().exec(
            "insert into etl_runs (run_id, pipeline, definition_version, trigger, job_id, state, queued_at, "
            "started_at, finished_at, attempt,"
            " rows_written) values ($1, $2, 1, 'manual', $3, $4, now() - make_interval(mins => $5), now() - "
            "make_interval(mins => $5),"
            " case when $4 in ('queued', 'running', 'committed') then null else now() - make_interval(mins => $5) + "
            "interval '1500 ms' end, 1, 42)",
            {id, pipeline, "run-" + id, state, minutes_ago}
        );
        return id;
    }

    void tell(std::string_view type, std::string_view run, std::string_view data = "{}") {
        ASSERT_TRUE(run::publish_event(
            redis(), run::default_stream, {std::string(type), std::string(run), "p", std::string(data)}
        ));
    }

    EventReader follow(std::string_view path, Headers more = {}) {
        Headers headers = {{"Cookie", cookie_}};
        headers.insert(headers.end(), more.begin(), more.end());
        return EventReader(url(path), std::move(headers));
    }

    static json::object object(const net::HttpReply& reply) { return json::parse(reply.body).as_object(); }

    static std::string code(const net::HttpReply& reply) { return std::string(object(reply).at("code").as_string()); }

    static std::string text(const json::value& value) { return std::string(value.as_string()); }

    std::string database_;
    redis::Options redis_options_;
    std::optional<postgres::Connection> db_;
    std::optional<redis::Connection> redis_;
    std::unique_ptr<postgres::Pool> pool_;
    std::unique_ptr<run::BullmqQueue> queue_;
    std::unique_ptr<api::Api> api_;
    std::unique_ptr<net::HttpServer> server_;
    std::string cookie_;
};

// --- what there is to read

TEST_F(ApiIntegration, answers_health_version_and_me) {
    EXPECT_EQ(object(ask("GET", "/api/health/ready")).at("status"), "ok");
    const auto version = object(get("/api/version"));
    EXPECT_EQ(version.at("version"), "1.2.3");
    EXPECT_GE(version.at("schema").as_int64(), 1);
    EXPECT_EQ(version.at("mode"), "dev");
    EXPECT_EQ(json::serialize(object(get("/api/auth/me"))), R"({"name":"dev","role":"admin"})");
    EXPECT_EQ(object(get("/api/openapi.json")).at("openapi"), "3.1.0");
    const auto head = ask("HEAD", "/api/health/live");
    EXPECT_EQ(head.status, 200);
    EXPECT_TRUE(head.body.empty());
}

TEST_F(ApiIntegration, lists_pipelines_with_state_schedule_and_recent_runs) {
    add_pipeline("a.healthy");
    add_pipeline("b.failing");
    add_pipeline("c.never");
    add_pipeline("d.running");
    add_pipeline("e.paused");
    add_pipeline("f.late");
    db().exec("update etl_pipelines set slots_through = now() + interval '1 day'");
    db().exec("update etl_pipelines set paused = true, paused_by = 'ana', paused_at = now() where name = 'e.paused'");
    db().exec("update etl_pipelines set slots_through = now() - interval '2 days' where name = 'f.late'");
    for (int i = 0; i < 25; ++i) {
        add_run("a.healthy", "succeeded", 100 - i);
    }
    add_run("b.failing", "succeeded", 30);
    add_run("b.failing", "failed", 20);
    add_run("b.failing", "skipped", 10);
    add_run("d.running", "running");
    const auto list = object(get("/api/etl/pipelines"));
    std::map<std::string, json::object> by_name;
    for (const auto& item : list.at("items").as_array()) {
        by_name[text(item.at("name"))] = item.as_object();
    }
    EXPECT_EQ(by_name["a.healthy"].at("state"), "healthy");
    EXPECT_EQ(by_name["b.failing"].at("state"), "failing");
    EXPECT_EQ(by_name["b.failing"].at("lastRun").at("state"), "failed");
    EXPECT_EQ(by_name["c.never"].at("state"), "never");
    EXPECT_TRUE(by_name["c.never"].at("lastRun").is_null());
    EXPECT_EQ(by_name["d.running"].at("state"), "running");
    EXPECT_EQ(by_name["e.paused"].at("state"), "paused");
    EXPECT_TRUE(by_name["e.paused"].at("schedule").at("nextRuns").as_array().empty());
    EXPECT_EQ(by_name["f.late"].at("state"), "late");
    EXPECT_TRUE(by_name["f.late"].contains("lateSince"));
    const auto& recent = by_name["a.healthy"].at("recent").as_array();
    EXPECT_EQ(recent.size(), 20u);
    EXPECT_LT(text(recent.front().at("startedAt")), text(recent.back().at("startedAt"))) << "oldest first";
    EXPECT_EQ(recent.front().at("durationMs"), 1500);
    EXPECT_EQ(by_name["a.healthy"].at("p50Ms"), 1500);
    EXPECT_TRUE(by_name["c.never"].at("p50Ms").is_null());
    const auto& schedule = by_name["a.healthy"].at("schedule").as_object();
    EXPECT_EQ(schedule.at("cron"), "0 4 * * *");
    EXPECT_EQ(schedule.at("nextRuns").as_array().size(), 5u);
    EXPECT_EQ(schedule.at("overridden"), false);
    const auto overview = object(get("/api/etl/overview"));
    for (const auto* state : {"failing", "running", "late", "paused", "healthy", "never"}) {
        EXPECT_EQ(overview.at(state), 1) << state;
    }
    EXPECT_EQ(object(get("/api/etl/pipelines?state=failing,late")).at("items").as_array().size(), 2u);
    EXPECT_EQ(object(get("/api/etl/pipelines?q=HEALTH")).at("items").as_array().size(), 1u);
    EXPECT_EQ(object(get("/api/etl/pipelines?q=daily")).at("items").as_array().size(), 6u) << "tags count";
    EXPECT_EQ(get("/api/etl/pipelines?state=fine").status, 400);
    const auto one = get("/api/etl/pipelines/a.healthy");
    EXPECT_EQ(one.headers.get("ETag"), "\"1\"");
    EXPECT_NE(text(object(one).at("definition")).find("name: x"), std::string::npos);
    EXPECT_EQ(code(get("/api/etl/pipelines/nope")), "pipeline.not_found");
}

TEST_F(ApiIntegration, shows_a_run_with_its_parts) {
    add_pipeline("p");
    const auto before = add_run("p", "succeeded", 30);
    const auto id = add_run("p", "failed", 20);
    const auto after = add_run("p", "running", 10);
    db().exec(
        "update etl_runs set error = $2 where run_id = $1",
        {id,
         R"({"code":"source.incomplete","message":"m","context":[],"hint":"h","kind":"transient","step":"read","transient":true,"logSeq":2})"}
    );
    const auto attempt = make_uuid_v4();
    db().exec(
        "insert into etl_attempts (run_id, attempt, attempt_id, worker, finished_at, outcome) values ($1, 1, $2, 'w1', "
        "now(), 'died'),"
        " ($1, 2, $3, 'w2', null, null)",
        {id, attempt, make_uuid_v4()}
    );
    db().exec(
        "insert into etl_steps (run_id, attempt, step, state, started_at, rows) values ($1, 1, 'connect', 'done', "
        "now(), 0),"
        " ($1, 1, 'read', 'failed', now() + interval '1 second', 7)",
        {id}
    );
    const auto output = db().exec(
        "insert into etl_outputs (pipeline, name, kind, epoch, seq, run_id, published) values"
        " ('p', 'redis:cache:x', 'redis', 1, 5, $1, false) returning output_id",
        {id}
    );
    db().exec(
        "insert into etl_commits (run_id, output_id, epoch, seq, attempt_id, rows, bytes) values ($1, $2, 1, 5, $3, "
        "42, 99)",
        {id, output.integer(0, "output_id"), attempt}
    );
    const auto run = object(get("/api/etl/runs/" + id));
    EXPECT_EQ(run.at("state"), "failed");
    EXPECT_EQ(run.at("durationMs"), 1500);
    EXPECT_EQ(run.at("error").at("code"), "source.incomplete");
    EXPECT_EQ(run.at("trigger").at("kind"), "manual");
    EXPECT_TRUE(run.at("trigger").at("by").is_null());
    EXPECT_EQ(run.at("previousRunId").as_string(), before);
    EXPECT_EQ(run.at("nextRunId").as_string(), after);
    EXPECT_EQ(run.at("steps").as_array().at(1).at("rows"), 7);
    EXPECT_EQ(run.at("attempts").as_array().at(0).at("outcome"), "worker_died");
    EXPECT_EQ(run.at("attempts").as_array().at(1).at("outcome"), "running");
    const auto& shown = run.at("outputs").as_array().at(0).as_object();
    EXPECT_EQ(shown.at("key"), "cache:x");
    EXPECT_EQ(shown.at("generation").at("seq"), 5);
    EXPECT_EQ(shown.at("published"), false);
    const auto config = object(get("/api/etl/runs/" + id + "/config"));
    EXPECT_EQ(json::serialize(config.at("credentials")), R"(["ch","r2"])");
    for (const auto* path :
         {"/api/etl/runs/no-uuid",
          "/api/etl/runs/01939393-0000-7000-8000-000000000001",
          "/api/etl/runs/%27--/logs",
          "/api/etl/runs/x/config",
          "/api/etl/runs/x/metrics",
          "/api/etl/runs/x/events",
          "/api/etl/runs/x/logs.txt"}) {
        const auto reply = get(path);
        EXPECT_EQ(reply.status, 404) << path;
        EXPECT_EQ(code(reply), "run.not_found") << path;
    }
}

TEST_F(ApiIntegration, pages_through_runs_without_gaps_while_new_ones_come) {
    add_pipeline("p");
    add_pipeline("q");
    std::vector<std::string> expected;
    for (int i = 0; i < 25; ++i) {
        expected.push_back(add_run(i % 5 == 0 ? "q" : "p", i % 2 == 0 ? "failed" : "succeeded", 1000 - i));
    }
    std::reverse(expected.begin(), expected.end());
    std::vector<std::string> seen;
    std::string cursor;
    for (int page = 0; page < 10; ++page) {
        const auto reply =
            object(get("/api/etl/runs?limit=7&state=failed,succeeded" + (cursor.empty() ? "" : "&cursor=" + cursor)));
        EXPECT_GE(reply.at("approxTotal").as_int64(), 25);
        for (const auto& item : reply.at("items").as_array()) {
            seen.push_back(text(item.at("id")));
        }
        if (reply.at("nextCursor").is_null()) {
            break;
        }
        cursor = text(reply.at("nextCursor"));
        add_run("p", "succeeded", 0);  // newer than the page: shifts nothing
        if (page == 1) {
            restart();  // another process goes on with the cursor
        }
    }
    EXPECT_EQ(seen, expected);
    for (const auto& path :
         {"/api/etl/runs?limit=7&state=failed&cursor=" + cursor,
          std::string("/api/etl/runs?cursor=abc"),
          std::string("/api/etl/runs?cursor=e30.AAAAAAAAAAAAAAAA")}) {
        EXPECT_EQ(code(get(path)), "api.invalid_cursor") << path;
    }
    EXPECT_EQ(object(get("/api/etl/runs?pipeline=q")).at("items").as_array().size(), 5u);
    EXPECT_EQ(object(get("/api/etl/runs?pipeline=nope")).at("approxTotal"), 0);
    EXPECT_EQ(object(get("/api/etl/runs?trigger=schedule")).at("items").as_array().size(), 0u);
    EXPECT_EQ(object(get("/api/etl/runs?until=2020-01-01T00:00:00Z")).at("items").as_array().size(), 0u);
    for (const auto* query :
         {"limit=0",
          "limit=501",
          "limit=x",
          "state=done",
          "since=yesterday",
          "sort=state",
          "limit=1&limit=2",
          "pipeline=%ff"}) {
        EXPECT_EQ(get(fmt::format("/api/etl/runs?{}", query)).status, 400) << query;
    }
}

TEST_F(ApiIntegration, reads_logs_by_number_and_filter) {
    add_pipeline("p");
    const auto id = add_run("p", "failed");
    db().exec(
        "insert into etl_logs (run_id, seq, attempt, at, level, step, message) select $1, n, 1 + n / 60, now(),"
        " case when n % 50 = 0 then 'error' when n % 10 = 0 then 'warn' else 'info' end, case when n = 1 then null "
        "else 'read' end,"
        " 'line ' || n || case when n = 7 then E' 100%\\nsecond' else '' end from generate_series(1, 100) n",
        {id}
    );
    const auto path = "/api/etl/runs/" + id + "/logs";
    const auto first = object(get(path + "?limit=10"));
    EXPECT_EQ(first.at("items").as_array().front().at("seq"), 1);
    EXPECT_TRUE(first.at("items").as_array().front().at("step").is_null());
    EXPECT_EQ(first.at("total"), 100);
    EXPECT_EQ(first.at("lastSeq"), 100);
    EXPECT_EQ(first.at("firstError"), 50);
    const auto tail = object(get(path + "?before=101&limit=3"));
    EXPECT_EQ(tail.at("items").as_array().front().at("seq"), 98);
    EXPECT_EQ(tail.at("items").as_array().back().at("seq"), 100);
    const auto warnings = object(get(path + "?level=warn&after=50"));
    EXPECT_EQ(warnings.at("total"), 10);
    EXPECT_EQ(warnings.at("items").as_array().size(), 5u);
    EXPECT_EQ(object(get(path + "?q=100%25")).at("total"), 1) << "% means itself";
    EXPECT_EQ(object(get(path + "?q=LINE%2099")).at("total"), 1);
    EXPECT_EQ(object(get(path + "?attempt=2")).at("total"), 41);
    EXPECT_EQ(object(get(path + "?step=read")).at("total"), 99);
    EXPECT_EQ(get(path + "?after=1&before=2").status, 400);
    EXPECT_EQ(get(path + "?level=fatal").status, 400);
    const auto file = get(path + ".txt");
    EXPECT_EQ(file.headers.get("Content-Type"), "text/plain; charset=utf-8");
    EXPECT_NE(file.body.find("line 7 100%\n    second\n"), std::string::npos);
    EXPECT_EQ(std::count(file.body.begin(), file.body.end(), '\n'), 101);
}

TEST_F(ApiIntegration, thins_out_throughput_without_losing_any) {
    add_pipeline("p");
    const auto id = add_run("p", "succeeded", 60);
    db().exec(
        "insert into etl_progress select $1, 1, (select started_at from etl_runs where run_id = $1) + n * interval '1 "
        "second',"
        " n * 10, n * 5, n * 1000, 0 from generate_series(0, 999) n",
        {id}
    );
    const auto metrics = object(get("/api/etl/runs/" + id + "/metrics?points=50"));
    const auto& times = metrics.at("t").as_array();
    EXPECT_LE(times.size(), 50u);
    EXPECT_GE(times.size(), 25u);
    EXPECT_EQ(times.back().to_number<double>(), 999);
    const auto& series = metrics.at("series").as_array();
    ASSERT_EQ(series.size(), 3u);
    EXPECT_TRUE(series[0].at("v").as_array()[0].is_null());
    double rows = 0;
    for (std::size_t i = 1; i < times.size(); ++i) {
        rows += series[0].at("v").as_array()[i].to_number<double>() *
                (times[i].to_number<double>() - times[i - 1].to_number<double>());
    }
    EXPECT_NEAR(rows, 9990, 1);
    EXPECT_EQ(get("/api/etl/runs/" + id + "/metrics?points=5").status, 400);
}

TEST_F(ApiIntegration, lists_credentials_by_name_and_user) {
    add_pipeline("p");
    db().exec(
        "insert into etl_credentials (name, id, kind, settings, allowed_hosts, current_version) values"
        " ('ch', gen_random_uuid(), 'clickhouse', '{\"user\":\"u\"}', '{ch:8123}', 1), ('spare', gen_random_uuid(), "
        "'http', '{}', '{}', 1)"
    );
    const auto reply = get("/api/credentials");
    const auto items = object(reply).at("items").as_array();
    ASSERT_EQ(items.size(), 2u);
    EXPECT_EQ(json::serialize(items[0].at("usedBy")), R"(["p"])");
    EXPECT_EQ(json::serialize(items[0].at("hosts")), R"(["ch:8123"])");
    EXPECT_TRUE(items[1].at("usedBy").as_array().empty());
    EXPECT_EQ(reply.body.find("\"u\""), std::string::npos) << "settings are not part of it";
}

TEST_F(ApiIntegration, tests_a_credential_step_by_step) {
    db().exec(
        "insert into etl_credentials (name, id, kind, settings, allowed_hosts, current_version) values"
        " ('ch', gen_random_uuid(), 'clickhouse', '{}', '{ch:8123}', 1)"
    );
    const auto reply = post("/api/credentials/test", R"({"name":"ch"})");
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(
        reply.body,
        R"({"name":"ch","ok":false,"steps":[{"name":"decrypt","ok":true,"ms":1.5,"detail":"kind ch","code":null,"hint":null},)"
        R"({"name":"login","ok":false,"ms":0.02,"detail":"no","code":"source.auth","hint":"Try again."}]})"
    );
    EXPECT_EQ(code(post("/api/credentials/test", R"({"name":"none"})")), "credential.not_found");
    EXPECT_EQ(post("/api/credentials/test", R"({"name":"none"})").status, 404);
    EXPECT_EQ(post("/api/credentials/test", "{}").status, 422);
    EXPECT_EQ(post("/api/credentials/test", R"({"name":"ch","x":1})").status, 422);
    EXPECT_EQ(ask("POST", "/api/credentials/test", {{"Cookie", cookie_}}, R"({"name":"ch"})").status, 403);
}

TEST_F(ApiIntegration, counts_for_prometheus) {
    add_pipeline("p");
    add_run("p", "succeeded");
    add_run("p", "running");
    const auto reply = ask("GET", "/api/metrics");
    for (const auto* line :
         {"headrace_runs_open{state=\"running\"} 1\n",
          "headrace_runs_day{state=\"succeeded\"} 1\n",
          "headrace_up{server=\"postgres\"} 1\n",
          "headrace_pipeline_last_good_seconds{pipeline=\"p\"} ",
          "process_resident_memory_bytes ",
          "headrace_workers 0\n",
          "headrace_queue_jobs{state=\"wait\"} 0\n"}) {
        EXPECT_NE(reply.body.find(line), std::string::npos) << line << reply.body;
    }
}

// --- what people do

TEST_F(ApiIntegration, F41_triggers_once_for_each_key) {
    add_pipeline("p");
    const auto key = make_uuid_v4();
    const auto first = trigger("p", key, R"({"reason":"because"})");
    ASSERT_EQ(first.status, 202) << first.body;
    const auto id = text(object(first).at("id"));
    EXPECT_EQ(first.headers.get("Location"), "/api/etl/runs/" + id);
    EXPECT_FALSE(first.headers.has("Idempotency-Replayed"));
    EXPECT_EQ(object(first).at("trigger").at("by"), "dev");
    EXPECT_EQ(object(first).at("trigger").at("reason"), "because");
    EXPECT_EQ(redis().command({"LLEN", "bull:etl:wait"}).integer(), 1) << "the job went out at once";
    const auto again = trigger("p", "\"" + key + "\"", R"({"reason":"because"})");
    EXPECT_EQ(again.status, 202);
    EXPECT_EQ(again.headers.get("Idempotency-Replayed"), "true");
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(again.headers.get("Location"), first.headers.get("Location"));
    EXPECT_EQ(db().exec("select count(*) as n from etl_runs").integer(0, "n"), 1);
    EXPECT_EQ(code(trigger("p", key, R"({"reason":"other"})")), "api.idempotency_mismatch");
    const auto busy = trigger("p");
    EXPECT_EQ(busy.status, 409);
    EXPECT_EQ(code(busy), "run.already_active");
    EXPECT_EQ(object(busy).at("runId").as_string(), id);
    const auto missing = post("/api/etl/pipelines/p/runs");
    EXPECT_EQ(missing.status, 400);
    EXPECT_EQ(code(missing), "api.bad_request");
    EXPECT_EQ(code(trigger("nope")), "pipeline.not_found");
    EXPECT_EQ(trigger("p", "short").status, 400);
    EXPECT_EQ(trigger("p", make_uuid_v4(), R"({"force":"yes"})").status, 422);
    EXPECT_EQ(trigger("p", make_uuid_v4(), R"({"forced":true})").status, 422);
    EXPECT_EQ(trigger("p", make_uuid_v4(), R"({"force":)").status, 400);
}

TEST_F(ApiIntegration, a_refused_trigger_may_be_tried_again_with_its_key) {
    add_pipeline("p");
    db().exec("update etl_pipelines set paused = true");
    const auto key = make_uuid_v4();
    EXPECT_EQ(code(trigger("p", key)), "pipeline.paused");
    db().exec("update etl_pipelines set paused = false");
    EXPECT_EQ(trigger("p", key).status, 202);
}

TEST_F(ApiIntegration, of_two_triggers_at_once_one_wins) {
    add_pipeline("p");
    for (int round = 0; round < 5; ++round) {
        net::HttpReply replies[2];
        {
            std::thread other([&] { replies[0] = trigger("p"); });
            replies[1] = trigger("p");
            other.join();
        }
        const auto [low, high] = std::minmax(replies[0].status, replies[1].status);
        EXPECT_EQ(low, 202);
        EXPECT_EQ(high, 409);
        EXPECT_EQ(code(replies[0].status == 409 ? replies[0] : replies[1]), "run.already_active");
        db().exec("update etl_runs set state = 'succeeded', finished_at = now()");
    }
    // The same key twice at once: one run, and the second gets the same answer or is told to wait.
    const auto key = make_uuid_v4();
    const auto runs = db().exec("select count(*) as n from etl_runs").integer(0, "n");
    net::HttpReply same[2];
    {
        std::thread other([&] { same[0] = trigger("p", key); });
        same[1] = trigger("p", key);
        other.join();
    }
    for (const auto& reply : same) {
        EXPECT_TRUE(reply.status == 202 || code(reply) == "api.idempotency_in_progress") << reply.body;
    }
    EXPECT_EQ(db().exec("select count(*) as n from etl_runs").integer(0, "n"), runs + 1);
}

TEST_F(ApiIntegration, triggers_while_the_queue_is_away) {
    add_pipeline("p");
    stop();
    server_.reset();
    api_ = std::make_unique<api::Api>(api::Dependencies{
        .db = *pool_,
        .redis = redis_options_,
        .sessions = {.secrets = {secret}},
        .send_jobs = [](postgres::Connection&) { throw Error(ErrorKind::transient, "redis.connect", "away"); }});
    server_ = std::make_unique<net::HttpServer>(net::HttpServerOptions{}, [this](const net::Request& r) {
        return api_->handle(r);
    });
    EXPECT_EQ(trigger("p").status, 202);
    EXPECT_EQ(db().exec("select count(*) as n from etl_outbox where sent_at is null").integer(0, "n"), 1)
        << "the sweep sends it";
}

TEST_F(ApiIntegration, cancels_and_retries) {
    add_pipeline("p");
    const auto id = text(object(trigger("p")).at("id"));
    const auto cancelled = post("/api/etl/runs/" + id + "/cancel");
    ASSERT_EQ(cancelled.status, 202) << cancelled.body;
    EXPECT_EQ(object(cancelled).at("state"), "cancelled");
    EXPECT_EQ(post("/api/etl/runs/" + id + "/cancel").status, 202) << "twice is fine";
    const auto running = add_run("p", "running");
    EXPECT_EQ(object(post("/api/etl/runs/" + running + "/cancel")).at("cancelRequested"), true);
    db().exec("update etl_runs set state = 'committed' where run_id = $1", {running});
    EXPECT_EQ(code(post("/api/etl/runs/" + running + "/cancel")), "run.not_cancellable");
    db().exec("update etl_runs set state = 'failed' where run_id = $1", {running});
    const auto key = make_uuid_v4();
    const auto retried = post(
        "/api/etl/runs/" + running + "/retry", R"({"force":true,"reason":"drop is real"})", {{"Idempotency-Key", key}}
    );
    ASSERT_EQ(retried.status, 202) << retried.body;
    const auto run = object(retried);
    EXPECT_EQ(run.at("trigger").at("kind"), "retry");
    EXPECT_EQ(run.at("trigger").at("retryOf").as_string(), running);
    EXPECT_EQ(run.at("trigger").at("force"), true);
    EXPECT_EQ(post("/api/etl/runs/" + running + "/retry").status, 400) << "needs a key";
    EXPECT_EQ(
        code(post("/api/etl/runs/01939393-0000-7000-8000-000000000001/retry", "", {{"Idempotency-Key", make_uuid_v4()}})
        ),
        "run.not_found"
    );
    EXPECT_EQ(code(post("/api/etl/runs/01939393-0000-7000-8000-000000000001/cancel")), "run.not_found");
}

TEST_F(ApiIntegration, changes_a_pipeline_only_from_the_version_that_was_read) {
    add_pipeline("p");
    const auto patch = [&](std::string body, std::string match, std::string type = "application/merge-patch+json") {
        Headers headers = {{"Content-Type", type}};
        if (!match.empty()) {
            headers.emplace_back("If-Match", match);
        }
        return send("PATCH", "/api/etl/pipelines/p", std::move(body), headers);
    };
    EXPECT_EQ(code(patch(R"({"paused":true})", "")), "api.precondition_required");
    const auto paused = patch(R"({"paused":true,"reason":"looking"})", "\"1\"");
    ASSERT_EQ(paused.status, 200) << paused.body;
    EXPECT_EQ(paused.headers.get("ETag"), "\"2\"");
    EXPECT_EQ(object(paused).at("pausedBy"), "dev");
    EXPECT_EQ(object(paused).at("pauseReason"), "looking");
    const auto stale = patch(R"({"paused":false})", "\"1\"");
    EXPECT_EQ(stale.status, 412);
    EXPECT_EQ(code(stale), "api.edit_conflict");
    EXPECT_EQ(object(stale).at("current").at("version"), 2);
    EXPECT_EQ(stale.headers.get("ETag"), "\"2\"");
    EXPECT_EQ(patch(R"({"paused":false})", "W/\"2\"").status, 412) << "weak tags do not count";
    EXPECT_EQ(patch(R"({"paused":false})", "\"1\", \"2\"", "application/json").status, 200);
    const auto moved = patch(R"({"schedule":{"cron":"*/15 * * * *","timezone":"UTC"}})", "*");
    EXPECT_EQ(object(moved).at("schedule").at("overridden"), true);
    EXPECT_EQ(object(moved).at("schedule").at("fileCron"), "0 4 * * *");
    EXPECT_EQ(object(moved).at("schedule").at("overriddenBy"), "dev");
    const auto back = patch(R"({"schedule":null})", std::string(moved.headers.get("ETag")));
    EXPECT_EQ(object(back).at("schedule").at("overridden"), false);
    EXPECT_EQ(object(back).at("schedule").at("cron"), "0 4 * * *");
    const auto nothing = patch("{}", "*");
    EXPECT_EQ(nothing.headers.get("ETag"), back.headers.get("ETag"));
    const auto cron = patch(R"({"schedule":{"cron":"99 * * * *","timezone":"UTC"}})", "*");
    EXPECT_EQ(cron.status, 422);
    EXPECT_EQ(code(cron), "schedule.bad_cron");
    EXPECT_EQ(object(cron).at("errors").as_array().at(0).at("pointer"), "#/schedule/cron");
    const auto zone = patch(R"({"schedule":{"cron":"* * * * *","timezone":"Kyiv"}})", "*");
    EXPECT_EQ(object(zone).at("errors").as_array().at(0).at("pointer"), "#/schedule/timezone");
    const auto many = patch(R"({"paused":1,"schedule":{"cron":5},"name":"x"})", "*");
    EXPECT_EQ(many.status, 422);
    EXPECT_EQ(object(many).at("errors").as_array().size(), 4u) << many.body;
    EXPECT_EQ(patch(R"({"reason":"alone"})", "*").status, 422);
    EXPECT_EQ(patch(R"([])", "*").status, 400);
    EXPECT_EQ(patch(R"({"paused":true})", "*", "application/json-patch+json").status, 415);
    EXPECT_EQ(code(send("PATCH", "/api/etl/pipelines/nope", "{}", {{"If-Match", "*"}})), "pipeline.not_found");
}

TEST_F(ApiIntegration, of_two_changes_at_once_one_wins) {
    add_pipeline("p");
    net::HttpReply replies[2];
    const auto change = [&](bool paused) {
        return send(
            "PATCH", "/api/etl/pipelines/p", fmt::format(R"({{"paused":{}}})", paused), {{"If-Match", "\"1\""}}
        );
    };
    {
        std::thread other([&] { replies[0] = change(true); });
        replies[1] = change(false);
        other.join();
    }
    const auto [low, high] = std::minmax(replies[0].status, replies[1].status);
    EXPECT_EQ(low, 200);
    EXPECT_EQ(high, 412);
}

// --- what is refused

TEST_F(ApiIntegration, refuses_bad_requests) {
    add_pipeline("p");
    const auto key = Headers{{"Idempotency-Key", make_uuid_v4()}};
    const auto broken = post("/api/etl/pipelines/p/runs", "{\"reason\":\n oops}", key);
    EXPECT_EQ(broken.status, 400);
    EXPECT_NE(text(object(broken).at("detail")).find("line 2"), std::string::npos) << broken.body;
    EXPECT_EQ(
        post(
            "/api/etl/pipelines/p/runs", "{}", {{"Idempotency-Key", make_uuid_v4()}, {"Content-Type", "text/plain"}}
        ).status,
        415
    );
    EXPECT_EQ(
        post("/api/etl/pipelines/p/runs", "{\"reason\":" + std::string(100, '[') + std::string(100, ']') + "}", key)
            .status,
        400
    );
    EXPECT_EQ(post("/api/etl/pipelines/p/runs", std::string(2u << 20, ' '), key).status, 413);
    EXPECT_EQ(get("/api/etl/overview?x=1").status, 400);
    EXPECT_EQ(ask("GET", "/api/etl/overview", {{"Cookie", cookie_}, {"Accept", "text/html"}}).status, 406);
    EXPECT_EQ(send("DELETE", "/api/etl/pipelines/p", "", {}).headers.get("Allow"), "GET, HEAD, PATCH");
    EXPECT_EQ(get("/api/etl/cron/preview?expr=61%20*%20*%20*%20*&tz=UTC").status, 422);
    EXPECT_EQ(
        object(get("/api/etl/cron/preview?expr=*/15%20*%20*%20*%20*&tz=Europe/Kyiv&count=3"))
            .at("next")
            .as_array()
            .size(),
        3u
    );
    for (const auto* raw :
         {"GET /api/health/live HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
          "GET /api/../etc HTTP/1.1\r\nHost: x\r\n\r\n",
          "POST /api/auth/dev-login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: "
          "chunked\r\n\r\n{}"}) {
        const auto deadline = Deadline::in(patience);
        auto stream = net::Stream::connect(
            {.host = "127.0.0.1", .port = server_->port(), .unix_path = {}}, nullptr, deadline, {}
        );
        stream.write_all(std::string_view(raw), deadline, {});
        char answer[12] = {};
        for (std::size_t got = 0; got < sizeof answer;) {
            const auto more = stream.read_some(answer + got, sizeof answer - got, deadline, {});
            ASSERT_GT(more, 0u);
            got += more;
        }
        EXPECT_EQ(std::string_view(answer, 12), "HTTP/1.1 400") << raw;
    }
    EXPECT_EQ(ask("GET", "/api/health/live").status, 200);
}

TEST_F(ApiIntegration, refuses_other_sites) {
    add_pipeline("p");
    const auto start_with = [&](Headers more) {
        Headers headers = {{"Cookie", cookie_}, {"Idempotency-Key", make_uuid_v4()}};
        headers.insert(headers.end(), more.begin(), more.end());
        return ask("POST", "/api/etl/pipelines/p/runs", headers).status;
    };
    EXPECT_EQ(start_with({}), 403) << "X-Headrace is missing";
    EXPECT_EQ(start_with({{"X-Headrace", "1"}, {"Sec-Fetch-Site", "cross-site"}}), 403);
    EXPECT_EQ(start_with({{"X-Headrace", "1"}, {"Sec-Fetch-Site", "same-site"}}), 403);
    EXPECT_EQ(start_with({{"X-Headrace", "1"}, {"Sec-Fetch-Site", "none"}}), 403);
    EXPECT_EQ(start_with({{"X-Headrace", "1"}, {"Origin", "http://evil.example"}}), 403);
    EXPECT_EQ(start_with({{"X-Headrace", "1"}, {"Origin", "null"}}), 403);
    EXPECT_EQ(db().exec("select count(*) as n from etl_runs").integer(0, "n"), 0);
    EXPECT_EQ(start_with({{"X-Headrace", "1"}, {"Sec-Fetch-Site", "same-origin"}, {"Origin", url("")}}), 202);
}

// --- sessions

TEST_F(ApiIntegration, sessions_are_those_of_the_fastify_app) {
    const std::string sid = "RuegAlAv9OHl11OBGWk6EuWLyToYumwk";
    const auto cookie = "mc.sid=" + auth::sign(sid, secret);
    const auto me = [&](std::string with) { return ask("GET", "/api/auth/me", {{"Cookie", std::move(with)}}); };
    const auto put = [&](Timestamp expires, std::string_view user) {
        const auto text = fmt::format(
            R"({{"cookie":{{"expires":"{}","originalMaxAge":28800000,"sameSite":"lax","secure":false,"path":"/",)"
            R"("httpOnly":true,"domain":null}},"userId":42,"user":{},"big":9007199254740993,"none":[]}})",
            format_rfc3339(std::chrono::floor<std::chrono::milliseconds>(expires)),
            user
        );
        redis().command({"SET", "mc:sess:" + sid, text, "EX", "28800"});
        return text;
    };
    EXPECT_EQ(me(cookie).status, 401) << "no such key";
    put(now() + std::chrono::hours(8), R"({"email":"ana@example.com","roles":["viewer"]})");
    EXPECT_EQ(object(me(cookie)).at("name"), "ana@example.com");
    EXPECT_FALSE(me(cookie).headers.has("Set-Cookie")) << "a fresh session is not written again";
    EXPECT_EQ(me("mc.sid=" + sid + "." + std::string(43, 'A')).status, 401);
    auto encoded = cookie;
    for (std::size_t at = 0; (at = encoded.find('/', at)) != std::string::npos;) {
        encoded.replace(at, 1, "%2F");
    }
    EXPECT_EQ(me(encoded).status, 200);
    // A viewer may look and not touch.
    add_pipeline("p");
    const auto forbidden =
        ask("POST",
            "/api/etl/pipelines/p/runs",
            {{"Cookie", cookie}, {"X-Headrace", "1"}, {"Idempotency-Key", make_uuid_v4()}});
    EXPECT_EQ(forbidden.status, 403);
    EXPECT_EQ(ask("GET", "/api/credentials", {{"Cookie", cookie}}).status, 403);
    put(now() + std::chrono::hours(8), R"({"email":"no-role@example.com"})");
    EXPECT_EQ(me(cookie).status, 403);
    put(now() - std::chrono::seconds(1), R"({"roles":["admin"]})");
    EXPECT_EQ(me(cookie).status, 401) << "past by its own JSON though the key lives";
    redis().command({"SET", "mc:sess:" + sid, "not json"});
    EXPECT_EQ(me(cookie).status, 401);
    // An hour has passed: extended by splicing, everything else byte for byte.
    const auto before = put(now() + std::chrono::hours(7), R"({"roles":["admin"]})");
    const auto extended = me(cookie);
    EXPECT_EQ(extended.status, 200);
    EXPECT_NE(extended.headers.get("Set-Cookie").find("; Path=/; Expires="), std::string::npos);
    auto after = redis().command({"GET", "mc:sess:" + sid}).text();
    EXPECT_NE(after, before);
    EXPECT_GT(redis().command({"TTL", "mc:sess:" + sid}).integer(), 28'700);
    after.replace(after.find("20"), 24, before.substr(before.find("20"), 24));
    EXPECT_EQ(after, before);
    put(now() + std::chrono::hours(7), R"({"roles":["admin"]})");
    EXPECT_FALSE(ask("GET", "/api/etl/overview", {{"Cookie", cookie}}).headers.has("Set-Cookie"))
        << "polls keep nothing alive";
}

TEST_F(ApiIntegration, logout_is_final_and_links_work_once) {
    const auto token = auth::create_login_token(redis());
    const auto use = [&] {
        return ask(
            "POST",
            "/api/auth/dev-login",
            {{"Content-Type", "application/json"}},
            fmt::format(R"({{"token":"{}"}})", token)
        );
    };
    const auto first = use();
    EXPECT_EQ(first.status, 204);
    const std::string set(first.headers.get("Set-Cookie"));
    EXPECT_NE(set.find("HttpOnly; SameSite=Lax"), std::string::npos);
    EXPECT_EQ(use().status, 401);
    cookie_ = set.substr(0, set.find(';'));
    const auto key = "mc:sess:" + cookie_.substr(7, 32);
    const auto session = redis().command({"GET", key}).text();
    EXPECT_EQ(get("/api/auth/me").status, 200);
    const auto out = post("/api/auth/logout");
    EXPECT_EQ(out.status, 204);
    EXPECT_NE(out.headers.get("Set-Cookie").find("Max-Age=0"), std::string::npos);
    EXPECT_EQ(get("/api/auth/me").status, 401);
    redis().command({"SET", key, session});  // a slow request of the other app writes it back
    EXPECT_EQ(get("/api/auth/me").status, 401);
}

// --- servers that are away

TEST_F(ApiIntegration, says_503_while_a_server_is_away) {
    servers().redis().crash();
    const auto reply = get("/api/etl/overview");
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(code(reply), "api.unavailable");
    EXPECT_EQ(ask("GET", "/api/health/ready").status, 503);
    EXPECT_EQ(ask("GET", "/api/health/live").status, 200);
    servers().redis();  // starts it again, empty
    cookie_ = login();
    EXPECT_EQ(get("/api/etl/overview").status, 200);
    restart("host=127.0.0.1 port=1 dbname=none");
    const auto away = get("/api/etl/overview");
    EXPECT_EQ(away.status, 503);
    EXPECT_EQ(away.headers.get("Retry-After"), "2");
    EXPECT_EQ(object(away).at("detail"), "Postgres is not reachable.");
    EXPECT_NE(text(object(away).at("hint")), "");
    EXPECT_EQ(get("/api/auth/me").status, 200) << "needs no Postgres";
}

// --- live events

TEST_F(ApiIntegration, streams_run_states_and_resumes) {
    add_pipeline("p");
    const auto id = add_run("p", "running");
    const auto from = text(object(get("/api/etl/overview")).at("lastEventId"));
    auto all = follow("/api/etl/events?lastEventId=" + from);
    ASSERT_EQ(all.status(), 200);
    tell("run.state", id);
    const auto state = all.next_real();
    EXPECT_EQ(state.name, "run.state");
    EXPECT_EQ(json::parse(state.data).at("run").at("state"), "running");
    EXPECT_EQ(json::parse(state.data).at("lastLogSeq"), 0);
    tell("run.log", id, R"({"id":"x"})");
    tell("pipeline.changed", "", R"({"name":"p"})");
    EXPECT_EQ(all.next_real().name, "pipeline.changed") << "log lines go to the stream of their run";
    EXPECT_EQ(all.next().name, "ping");
    // What was missed comes first, then what is new; each once.
    auto resumed = follow("/api/etl/events", {{"Last-Event-ID", state.id}});
    EXPECT_EQ(resumed.next_real().name, "pipeline.changed");
    tell("run.step", id, R"({"id":"x"})");
    EXPECT_EQ(resumed.next_real().name, "run.step");
    EXPECT_EQ(all.next_real().name, "run.step");
    // The header wins over the query.
    auto header = follow("/api/etl/events?lastEventId=" + from, {{"Last-Event-ID", resumed.last_id}});
    tell("run.progress", id, R"({"id":"x"})");
    EXPECT_EQ(header.next_real().name, "run.progress");
    const auto foreign = follow("/api/etl/events?lastEventId=nonsense").next_real();
    EXPECT_EQ(foreign.name, "reset");
    EXPECT_EQ(foreign.data, R"({"reason":"too_old"})");
}

TEST_F(ApiIntegration, resets_clients_whose_events_are_gone) {
    tell("pipeline.changed", "", "{}");
    const auto old = text(object(get("/api/etl/overview")).at("lastEventId"));
    redis().command({"XTRIM", run::default_stream, "MAXLEN", "0"});
    for (int i = 0; i < 3; ++i) {
        tell("pipeline.changed", "", "{}");
    }
    redis().command({"XTRIM", run::default_stream, "MAXLEN", "1"});
    EXPECT_EQ(follow("/api/etl/events?lastEventId=1-0").next_real().name, "reset");
    auto live = follow("/api/etl/events");
    redis().command({"DEL", run::default_stream});
    EXPECT_EQ(live.next_real().name, "reset") << "the stream was lost while connected";
    tell("pipeline.changed", "", R"({"after":1})");
    EXPECT_EQ(live.next_real().data, R"({"after":1})");
}

TEST_F(ApiIntegration, a_stream_outlives_a_restart_of_redis) {
    app::PrivateRedis lasting({.dir = servers().fresh_folder(), .append_only = true});
    lasting.start({});
    redis_options_ = redis::parse_redis_url(lasting.url().reveal());
    redis_.reset();
    restart();
    cookie_ = login();
    auto live = follow("/api/etl/events");
    tell("pipeline.changed", "", R"({"n":1})");
    EXPECT_EQ(live.next_real().data, R"({"n":1})");
    lasting.stop();
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(live.next().name, "ping") << "pings go on without Redis";
    }
    lasting.start({});
    tell("pipeline.changed", "", R"({"n":2})");
    EXPECT_EQ(live.next_real().data, R"({"n":2})") << "nothing was lost, so no reset";
    stop();
}

TEST_F(ApiIntegration, a_run_stream_ends_with_its_run) {
    add_pipeline("p");
    const auto id = add_run("p", "running");
    const auto other = add_run("p", "failed");
    const auto path = "/api/etl/runs/" + id + "/events";
    auto stream = follow(path + "?lastEventId=" + text(object(get("/api/etl/runs/" + id)).at("lastEventId")));
    tell("run.state", other);
    tell("run.log", id, R"({"id":"x","fromSeq":1,"toSeq":1,"lines":[]})");
    EXPECT_EQ(stream.next_real().name, "run.log");
    db().exec("update etl_runs set state = 'succeeded', finished_at = now() where run_id = $1", {id});
    tell("run.state", id);
    const auto last = stream.next_real();
    EXPECT_EQ(last.name, "run.state");
    EXPECT_EQ(json::parse(last.data).at("run").at("state"), "succeeded");
    EXPECT_EQ(stream.next_real().data, R"({"reason":"final"})");
    EXPECT_EQ(stream.next().name, "") << "the server closes";
    EXPECT_EQ(follow(path, {{"Last-Event-ID", stream.last_id}}).status(), 204);
    // Who comes for the first time to a run that is over gets its state.
    auto late = follow(path);
    EXPECT_EQ(late.next_real().name, "run.state");
    EXPECT_EQ(late.next_real().name, "bye");
    EXPECT_EQ(late.next().name, "");
}

TEST_F(ApiIntegration, a_run_stream_ends_even_when_the_last_event_never_came) {
    add_pipeline("p");
    const auto id = add_run("p", "running");
    auto stream = follow("/api/etl/runs/" + id + "/events");
    EXPECT_EQ(stream.next().name, "ping");
    db().exec("update etl_runs set state = 'failed', finished_at = now() where run_id = $1", {id});
    EXPECT_EQ(stream.next_real().name, "run.state");
    EXPECT_EQ(stream.next_real().name, "bye");
}

TEST_F(ApiIntegration, a_session_has_four_streams_until_it_ends) {
    std::vector<std::unique_ptr<EventReader>> open;
    for (int i = 0; i < 4; ++i) {
        open.push_back(std::make_unique<EventReader>(url("/api/etl/events"), Headers{{"Cookie", cookie_}}));
        EXPECT_EQ(open.back()->status(), 200);
    }
    const auto fifth = get("/api/etl/events");
    EXPECT_EQ(fifth.status, 429);
    EXPECT_TRUE(fifth.headers.has("Retry-After"));
    const auto mine = cookie_;
    cookie_ = login();
    EXPECT_EQ(follow("/api/etl/events").status(), 200) << "another session has its own";
    EXPECT_EQ(ask("POST", "/api/auth/logout", {{"Cookie", mine}, {"X-Headrace", "1"}}).status, 204);
    EXPECT_EQ(open[0]->next_real().name, "") << "logged out: the stream ends";
    // Ended by the other app: noticed at the next look.
    auto stream = follow("/api/etl/events");
    redis().command({"DEL", "mc:sess:" + cookie_.substr(7, 32)});
    EXPECT_EQ(stream.next_real().name, "");
}

TEST_F(ApiIntegration, tells_the_stream_what_it_did_itself) {
    add_pipeline("p");
    auto stream = follow("/api/etl/events");
    const auto id = text(object(trigger("p")).at("id"));
    const auto created = stream.next_real();
    EXPECT_EQ(created.name, "run.created");
    EXPECT_EQ(json::parse(created.data).at("run").at("id").as_string(), id);
    post("/api/etl/runs/" + id + "/cancel");
    EXPECT_EQ(json::parse(stream.next_real().data).at("run").at("state"), "cancelled");
    send("PATCH", "/api/etl/pipelines/p", R"({"paused":true})", {{"If-Match", "*"}});
    const auto changed = stream.next_real();
    EXPECT_EQ(changed.name, "pipeline.changed");
    EXPECT_EQ(json::parse(changed.data).at("version"), 2);
    api_->stop();
    EXPECT_EQ(stream.next_real().data, R"({"reason":"shutdown"})");
}

}  // namespace
}  // namespace headrace
