// /api/etl/runs: history, one run, its definition.
#include "api/input.hpp"
#include "api/run_view.hpp"
#include "api/services.hpp"
#include "run/states.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <set>

namespace headrace::api {
namespace {

constexpr std::string_view triggers[] = {"schedule", "manual", "api", "retry", "queue", "republish", "rollback"};
constexpr std::int64_t count_limit = 10'001;

// The WHERE clause of a list, and the text that a cursor is bound to.
struct Filter {
    std::string sql = " where true";
    std::vector<postgres::Param> params;
    std::string identity;

    void add(std::string_view condition, postgres::Param value) {
        params.push_back(std::move(value));
        identity += fmt::format("{}={}\n", condition, params.back().value().value_or(""));
        sql += fmt::format(" and r.{} ${}", condition, params.size());
    }

    void add_any(std::string_view column, const std::vector<std::string>& words) {
        if (!words.empty()) {
            params.push_back(postgres::Param::array(words));
            identity += fmt::format("{}={}\n", column, fmt::join(words, ","));
            sql += fmt::format(" and r.{} = any (${}::text[])", column, params.size());
        }
    }
};

Filter filter_of(const net::Request& request) {
    Filter out;
    if (const auto pipeline = query_text(request, "pipeline", 200)) {
        out.add("pipeline =", *pipeline);
    }
    out.add_any("state", query_words(request, "state", run::states));
    out.add_any("trigger", query_words(request, "trigger", triggers));
    if (const auto since = query_time(request, "since")) {
        out.add("queued_at >=", *since);
    }
    if (const auto until = query_time(request, "until")) {
        out.add("queued_at <", *until);
    }
    return out;
}

net::Response list(Services& services, const Call& call) {
    const auto filter = filter_of(call.request);
    const auto limit = query_integer(call.request, "limit", 1, 500).value_or(50);
    const auto cursor = query_text(call.request, "cursor", 1024);
    auto sql = fmt::format("select {}, r.queued_at::text as queued_text from etl_runs r{}", run_columns, filter.sql);
    auto params = filter.params;
    if (cursor) {
        const auto after = services.cursors.decode(*cursor, filter.identity);
        params.emplace_back(after.queued_at);
        params.emplace_back(after.run_id);
        sql += fmt::format(
            " and (r.queued_at, r.run_id) < (${}::timestamptz, ${}::uuid)", params.size() - 1, params.size()
        );
    }
    sql += fmt::format(" order by r.queued_at desc, r.run_id desc limit {}", limit + 1);
    const auto last_id = services.events.last_id();
    auto db = services.db();
    const auto rows = db->exec(sql, params);
    const auto count = db->exec(
        fmt::format("select count(*) as n from (select 1 from etl_runs r{} limit {}) x", filter.sql, count_limit),
        filter.params
    );
    const auto shown = std::min(rows.rows(), static_cast<std::size_t>(limit));
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (std::size_t i = 0; i < shown; ++i) {
        write_run(json, rows, i);
    }
    json.end().key("nextCursor");
    if (rows.rows() > shown) {
        const Cursor next{
            std::string(rows.text(shown - 1, "queued_text")), std::string(rows.text(shown - 1, "run_id"))};
        json.text(services.cursors.encode(next, filter.identity));
    } else {
        json.null();
    }
    json.key("approxTotal").number(count.integer(0, "n")).key("lastEventId").text(last_id).end();
    return json_response(200, json.take());
}

void write_steps(JsonWriter& json, postgres::Connection& db, std::string_view id) {
    const auto rows = db.exec(
        "select attempt, step, state, started_at, finished_at, rows, bytes, detail from etl_steps where run_id = $1 "
        "order by attempt,"
        " started_at, "
        "array_position(array['resolve','connect','query','read','transform','check','stage','commit','publish'], "
        "step)",
        {id}
    );
    json.key("steps").begin_array();
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        json.begin_object().key("attempt").number(rows.integer(i, "attempt")).key("step").text(rows.text(i, "step"));
        json.key("state").text(rows.text(i, "state")).key("startedAt").time_or_null(rows.time(i, "started_at"));
        json.key("finishedAt").time_or_null(rows.time(i, "finished_at")).key("rows").number(rows.integer(i, "rows"));
        json.key("bytes").number(rows.integer(i, "bytes")).key("detail").text(rows.text(i, "detail")).end();
    }
    json.end();
}

// The words of the table are those of the ledger; these are the page's.
std::string_view outcome_of(std::string_view word) {
    if (word.empty()) {
        return "running";
    }
    if (word == "released" || word == "superseded") {
        return "fenced";  // given back, or overtaken: a newer attempt goes on
    }
    return word == "died" ? "worker_died" : word == "retried" ? "failed" : word;
}

void write_attempts(JsonWriter& json, postgres::Connection& db, std::string_view id) {
    const auto rows = db.exec(
        "select attempt, attempt_id, worker, started_at, finished_at, outcome, error from etl_attempts where run_id = "
        "$1 order by attempt",
        {id}
    );
    json.key("attempts").begin_array();
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        json.begin_object()
            .key("n")
            .number(rows.integer(i, "attempt"))
            .key("attemptId")
            .text(rows.text(i, "attempt_id"));
        json.key("worker").text(rows.text(i, "worker")).key("startedAt").time_or_null(rows.time(i, "started_at"));
        json.key("finishedAt")
            .time_or_null(rows.time(i, "finished_at"))
            .key("outcome")
            .text(outcome_of(rows.text(i, "outcome")));
        if (!rows.is_null(i, "error")) {
            json.key("error").raw(rows.text(i, "error"));
        }
        json.end();
    }
    json.end();
}

void write_outputs(JsonWriter& json, postgres::Connection& db, std::string_view id) {
    // A generation that a newer one has replaced was published before that one was decided, or never needs to be.
    const auto rows = db.exec(
        "select o.name, o.kind, c.epoch, c.seq, c.rows, c.bytes, (o.published or o.run_id is distinct from c.run_id) "
        "as published"
        " from etl_commits c join etl_outputs o on o.output_id = c.output_id where c.run_id = $1 order by o.output_id",
        {id}
    );
    json.key("outputs").begin_array();
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        const auto name = rows.text(i, "name");
        const auto kind = rows.text(i, "kind");
        const bool prefixed = name.size() > kind.size() && name.starts_with(kind) && name[kind.size()] == ':';
        json.begin_object().key("name").text(name).key("kind").text(kind);
        json.key("key").text(prefixed ? name.substr(kind.size() + 1) : name);
        json.key("generation")
            .begin_object()
            .key("epoch")
            .number(rows.integer(i, "epoch"))
            .key("seq")
            .number(rows.integer(i, "seq"))
            .end();
        json.key("rows").number(rows.integer(i, "rows")).key("bytes").number(rows.integer(i, "bytes"));
        json.key("published").boolean(rows.boolean(i, "published")).end();
    }
    json.end();
}

void write_neighbours(JsonWriter& json, postgres::Connection& db, std::string_view id) {
    const auto rows = db.exec(
        "select (select o.run_id from etl_runs o where o.pipeline = r.pipeline and (o.queued_at, o.run_id) < "
        "(r.queued_at, r.run_id)"
        " order by o.queued_at desc, o.run_id desc limit 1) as before, (select o.run_id from etl_runs o where "
        "o.pipeline = r.pipeline"
        " and (o.queued_at, o.run_id) > (r.queued_at, r.run_id) order by o.queued_at, o.run_id limit 1) as after"
        " from etl_runs r where r.run_id = $1",
        {id}
    );
    json.key("previousRunId").text_or_null(rows.empty() ? std::nullopt : rows.optional(0, "before"));
    json.key("nextRunId").text_or_null(rows.empty() ? std::nullopt : rows.optional(0, "after"));
}

net::Response detail(Services& services, const Call& call) {
    const auto& id = call.parameter("id");
    const auto last_id = services.events.last_id();
    auto db = services.db();
    const auto run = read_run(*db, id);
    JsonWriter json;
    json.begin_object();
    write_run_members(json, run, 0);
    write_steps(json, *db, id);
    write_attempts(json, *db, id);
    write_outputs(json, *db, id);
    json.key("definitionVersion").number(run.integer(0, "definition_version")).key("lastEventId").text(last_id);
    write_neighbours(json, *db, id);
    json.end();
    return json_response(200, json.take());
}

// Every `credential: name` of a definition.
void gather_credentials(const YAML::Node& node, std::set<std::string>& names) {
    if (node.IsMap()) {
        for (const auto& member : node) {
            if (member.first.IsScalar() && member.first.Scalar() == "credential" && member.second.IsScalar()) {
                names.insert(member.second.Scalar());
            } else {
                gather_credentials(member.second, names);
            }
        }
    } else if (node.IsSequence()) {
        for (const auto& item : node) {
            gather_credentials(item, names);
        }
    }
}

net::Response config(Services& services, const Call& call) {
    auto db = services.db();
    const auto run = read_run(*db, call.parameter("id"));
    const auto rows = db->exec(
        "select text from etl_definitions where pipeline = $1 and version = $2",
        {run.text(0, "pipeline"), run.integer(0, "definition_version")}
    );
    const auto text = rows.empty() ? std::string() : std::string(rows.text(0, "text"));
    std::set<std::string> names;
    try {
        gather_credentials(YAML::Load(text), names);
    } catch (const YAML::Exception&) {
        // A text that never parsed names no credential.
    }
    JsonWriter json;
    json.begin_object().key("version").number(run.integer(0, "definition_version")).key("definition").text(text);
    json.key("credentials").texts({names.begin(), names.end()}).end();
    return json_response(200, json.take());
}

}  // namespace

void add_runs(Router& router, Services& services) {
    const auto viewer = Policy::at_least(auth::Role::viewer);
    router.add("GET", "/api/etl/runs", viewer, [&services](const Call& call) { return list(services, call); })
        .takes_query({"pipeline", "state", "trigger", "since", "until", "cursor", "limit"})
        .in_background();
    router.add("GET", "/api/etl/runs/{id}", viewer, [&services](const Call& call) { return detail(services, call); });
    router.add("GET", "/api/etl/runs/{id}/config", viewer, [&services](const Call& call) {
        return config(services, call);
    });
}

}  // namespace headrace::api
