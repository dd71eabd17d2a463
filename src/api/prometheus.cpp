// /api/metrics in the Prometheus text format: a few gauges that one alerts on. Only for callers on this machine that
// did not come through a proxy.
#include "api/problem.hpp"
#include "api/services.hpp"
#include "run/states.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <fstream>

namespace headrace::api {
namespace {

std::string escaped(std::string_view label) {
    std::string out;
    for (const char c : label) {
        out += c == '\\' ? "\\\\" : c == '"' ? "\\\"" : c == '\n' ? "\\n" : std::string(1, c);
    }
    return out;
}

class Metrics {
public:
    void family(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    }

    void value(double number) { text_ += fmt::format("{} {}\n", name_, number); }

    void value(std::string_view label, std::string_view word, double number) {
        text_ += fmt::format("{}{{{}=\"{}\"}} {}\n", name_, label, escaped(word), number);
    }

    std::string take() { return std::move(text_); }

private:
    std::string name_;
    std::string text_;
};

void add_runs(Metrics& out, postgres::Connection& db) {
    out.family("headrace_runs_open", "gauge", "Runs that are not over, by state.");
    const auto open = db.exec(
        "select state, count(*) as n from etl_runs where state in ('queued', 'running', 'committed') group by state"
    );
    for (const auto state : run::states) {
        if (run::is_final(state)) {
            continue;
        }
        std::int64_t count = 0;
        for (std::size_t i = 0; i < open.rows(); ++i) {
            count = open.text(i, "state") == state ? open.integer(i, "n") : count;
        }
        out.value("state", state, static_cast<double>(count));
    }
    out.family("headrace_runs_day", "gauge", "Runs queued within the last 24 hours that are over, by state.");
    const auto day = db.exec(
        "select state, count(*) as n from etl_runs where queued_at > now() - interval '24 hours' and state not in"
        " ('queued', 'running', 'committed') group by state order by state"
    );
    for (std::size_t i = 0; i < day.rows(); ++i) {
        out.value("state", day.text(i, "state"), static_cast<double>(day.integer(i, "n")));
    }
}

void add_pipelines_and_workers(Metrics& out, postgres::Connection& db) {
    out.family(
        "headrace_pipeline_last_good_seconds", "gauge", "Seconds since the last run of the pipeline that succeeded."
    );
    const auto good = db.exec(
        "select p.name, extract(epoch from now() - g.finished_at)::float8 as age from etl_pipelines p cross join "
        "lateral"
        " (select r.finished_at from etl_runs r where r.pipeline = p.name and r.state = 'succeeded'"
        " order by r.queued_at desc, r.run_id desc limit 1) g where not p.removed order by p.name"
    );
    for (std::size_t i = 0; i < good.rows(); ++i) {
        out.value("pipeline", good.text(i, "name"), std::stod(std::string(good.text(i, "age"))));
    }
    out.family("headrace_pipelines_paused", "gauge", "Pipelines that are paused.");
    const auto counts = db.exec(
        "select (select count(*) from etl_pipelines where paused and not removed) as paused, (select count(*) from "
        "etl_workers"
        " where stopped_at is null and seen_at > now() - interval '45 seconds') as workers,"
        " (select count(*) from etl_outbox where sent_at is null) as unsent, (select count(*) from etl_outputs where "
        "not published) as"
        " unpublished"
    );
    out.value(static_cast<double>(counts.integer(0, "paused")));
    out.family("headrace_workers", "gauge", "Workers whose heartbeat is fresh.");
    out.value(static_cast<double>(counts.integer(0, "workers")));
    out.family("headrace_outbox_unsent", "gauge", "Jobs that are decided in Postgres and not yet in the queue.");
    out.value(static_cast<double>(counts.integer(0, "unsent")));
    out.family("headrace_outputs_unpublished", "gauge", "Outputs that are decided in Postgres and not yet visible.");
    out.value(static_cast<double>(counts.integer(0, "unpublished")));
}

void add_queue(Metrics& out, Services& services) {
    auto redis = services.redis.take();
    const auto key = services.deps.prefix + ":" + services.deps.queue + ":";
    constexpr std::string_view lists[] = {"wait", "active", "paused"};
    constexpr std::string_view sets[] = {"delayed", "prioritized", "completed", "failed"};
    for (const auto name : lists) {
        redis->append({"LLEN", key + std::string(name)});
    }
    for (const auto name : sets) {
        redis->append({"ZCARD", key + std::string(name)});
    }
    redis->flush();
    out.family("headrace_queue_jobs", "gauge", "Jobs in the queue, by state.");
    const auto take = [&](std::string_view name) {
        const auto reply = redis->read_reply();
        out.value("state", name, reply.is_error() ? 0 : static_cast<double>(reply.integer()));
    };
    std::for_each(std::begin(lists), std::end(lists), take);
    std::for_each(std::begin(sets), std::end(sets), take);
}

double resident_bytes() {
    std::ifstream in("/proc/self/statm");
    long total = 0;
    long resident = 0;
    in >> total >> resident;
    return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

void add_process(Metrics& out, Services& services) {
    out.family("headrace_http_requests_total", "counter", "Requests answered by this process, by status.");
    for (std::size_t status = 0; status < services.answers.size(); ++status) {
        if (const auto count = services.answers[status].load(); count > 0) {
            out.value("status", std::to_string(status), static_cast<double>(count));
        }
    }
    out.family("headrace_live_streams", "gauge", "Clients of the live event streams.");
    out.value(static_cast<double>(services.events.clients()));
    out.family("process_resident_memory_bytes", "gauge", "Resident memory of this process.");
    out.value(resident_bytes());
}

net::Response metrics(Services& services, const net::Request& request) {
    const auto& from = request.remote;
    const bool local = from.starts_with("127.") || from == "::1" || from.starts_with("::ffff:127.");
    if (!local || request.headers.has("X-Forwarded-For") || request.headers.has("Forwarded")) {
        throw Problem("api.forbidden", "metrics are for this machine only")
            .with_hint("Let the collector run on this host.");
    }
    // A part whose server is away is left out, and says so: the scrape itself must go on.
    Metrics out;
    double postgres_up = 1;
    double redis_up = 1;
    try {
        auto db = services.db();
        add_runs(out, *db);
        add_pipelines_and_workers(out, *db);
    } catch (const Error&) {
        postgres_up = 0;
    }
    try {
        add_queue(out, services);
    } catch (const Error&) {
        redis_up = 0;
    }
    out.family("headrace_up", "gauge", "1 when the server answers this process.");
    out.value("server", "postgres", postgres_up);
    out.value("server", "redis", redis_up);
    add_process(out, services);
    net::Response response;
    response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    response.body = out.take();
    return response;
}

}  // namespace

void add_prometheus(Router& router, Services& services) {
    router
        .add(
            "GET",
            "/api/metrics",
            Policy::anyone(),
            [&services](const Call& call) { return metrics(services, call.request); }
        )
        .answers("text/plain");
}

}  // namespace headrace::api
