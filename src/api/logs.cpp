// /api/etl/runs/{id}/logs, logs.txt and rejects.
#include "api/input.hpp"
#include "api/run_view.hpp"
#include "api/services.hpp"
#include "run/states.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::api {
namespace {

constexpr std::string_view levels[] = {"debug", "info", "warn", "error"};
constexpr std::size_t text_limit = 32u << 20;  // bytes of logs.txt; what is beyond can be paged
constexpr std::int64_t text_page = 5000;

// % and _ mean themselves.
std::string like_pattern(std::string_view text) {
    std::string out = "%";
    for (const char c : text) {
        if (c == '%' || c == '_' || c == '\\') {
            out += '\\';
        }
        out += c;
    }
    return out + "%";
}

struct Filter {
    std::string sql = " where run_id = $1";
    std::vector<postgres::Param> params;

    template <class T>
    void add(std::string_view condition, T value) {
        params.emplace_back(std::move(value));
        sql += fmt::format(" and {} ${}", condition, params.size());
    }
};

Filter filter_of(const net::Request& request, const std::string& id) {
    Filter out;
    out.params.emplace_back(id);
    if (const auto level = query_words(request, "level", levels); level.size() == 1) {
        const auto* from = std::find(std::begin(levels), std::end(levels), level.front());
        out.params.push_back(postgres::Param::array({from, std::end(levels)}));
        out.sql += fmt::format(" and level = any (${}::text[])", out.params.size());
    } else if (level.size() > 1) {
        throw Problem("api.bad_request", "level takes one word: this level and the more serious ones");
    }
    if (const auto step = query_words(request, "step", run::steps); step.size() == 1) {
        out.add("step =", step.front());
    } else if (step.size() > 1) {
        throw Problem("api.bad_request", "step takes one word");
    }
    if (const auto attempt = query_integer(request, "attempt", 1, 1'000'000)) {
        out.add("attempt =", *attempt);
    }
    if (const auto q = query_text(request, "q", 200); q && !q->empty()) {
        out.add("message ilike", like_pattern(*q));
    }
    return out;
}

void write_line(JsonWriter& json, const postgres::Result& rows, std::size_t i) {
    json.begin_object().key("seq").number(rows.integer(i, "seq")).key("at").time_or_null(rows.time(i, "at"));
    const auto step = rows.text(i, "step");
    json.key("level")
        .text(rows.text(i, "level"))
        .key("step")
        .text_or_null(step.empty() ? std::nullopt : std::optional(std::string(step)));
    json.key("attempt").number(rows.integer(i, "attempt")).key("message").text(rows.text(i, "message")).end();
}

net::Response page(Services& services, const Call& call) {
    const auto& id = call.parameter("id");
    constexpr auto any = std::numeric_limits<std::int64_t>::max();
    const auto after = query_integer(call.request, "after", 0, any);
    const auto before = query_integer(call.request, "before", 0, any);
    if (after && before) {
        throw Problem("api.bad_request", "after and before exclude each other");
    }
    const auto limit = query_integer(call.request, "limit", 1, 1000).value_or(200);
    const auto filter = filter_of(call.request, id);
    auto db = services.db();
    read_run(*db, id);
    auto params = filter.params;
    params.emplace_back(before ? *before : after.value_or(0));
    params.emplace_back(limit);
    const auto rows = db->exec(
        fmt::format(
            "select seq, at, level, step, attempt, message from etl_logs{} and seq {} ${} order by seq {} limit ${}",
            filter.sql,
            before ? "<" : ">",
            params.size() - 1,
            before ? "desc" : "asc",
            params.size()
        ),
        params
    );
    const auto counts = db->exec(fmt::format("select count(*) as n from etl_logs{}", filter.sql), filter.params);
    const auto ends = db->exec(
        "select coalesce((select max(seq) from etl_logs where run_id = $1), 0) as last,"
        " (select min(seq) from etl_logs where run_id = $1 and level = 'error') as first_error",
        {id}
    );
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        write_line(json, rows, before ? rows.rows() - 1 - i : i);
    }
    json.end()
        .key("total")
        .number(counts.integer(0, "n"))
        .key("lastSeq")
        .number(ends.integer(0, "last"))
        .key("firstError");
    ends.is_null(0, "first_error") ? json.null() : json.number(ends.integer(0, "first_error"));
    json.end();
    return json_response(200, json.take());
}

net::Response rejects(Services& services, const Call& call) {
    const auto& id = call.parameter("id");
    const auto limit = query_integer(call.request, "limit", 1, 1000).value_or(200);
    auto db = services.db();
    read_run(*db, id);
    const auto rows = db->exec(
        "select row_number, step, reason, content from etl_rejects where run_id = $1 and attempt = (select "
        "max(attempt) "
        "from etl_attempts where run_id = $1) order by row_number limit $2",
        {id, limit}
    );
    const auto kept = db->exec(
        "select count(*) as n from etl_rejects where run_id = $1 and attempt = (select max(attempt) from etl_attempts "
        "where run_id = $1)",
        {id}
    );
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        json.begin_object().key("row").number(rows.integer(i, "row_number")).key("step").text(rows.text(i, "step"));
        json.key("reason").text(rows.text(i, "reason")).key("content").text(rows.text(i, "content")).end();
    }
    json.end().key("kept").number(kept.integer(0, "n")).end();
    return json_response(200, json.take());
}

// Lines after the first of a message are indented, so that each line of the file without indent is one entry.
void append_text(std::string& out, const postgres::Result& rows, std::size_t i) {
    const auto time = rows.time(i, "at");
    out += fmt::format(
        "{} {:<5} {:<9} #{} ",
        time ? to_millis(*time) : "",
        rows.text(i, "level"),
        rows.text(i, "step"),
        rows.integer(i, "attempt")
    );
    for (const char c : rows.text(i, "message")) {
        out += c;
        if (c == '\n') {
            out += "    ";
        }
    }
    out += '\n';
}

net::Response download(Services& services, const Call& call) {
    const auto& id = call.parameter("id");
    auto db = services.db();
    const auto run = read_run(*db, id);
    net::Response out;
    std::int64_t last = 0;
    while (true) {
        const auto rows = db->exec(
            "select seq, at, level, step, attempt, message from etl_logs where run_id = $1 and seq > $2 order by seq"
            " limit $3",
            {id, last, text_page}
        );
        for (std::size_t i = 0; i < rows.rows() && out.body.size() < text_limit; ++i) {
            append_text(out.body, rows, i);
            last = rows.integer(i, "seq");
        }
        if (out.body.size() >= text_limit) {
            out.body += fmt::format("… cut here: read on with /api/etl/runs/{}/logs?after={}\n", id, last);
            break;
        }
        if (rows.rows() < static_cast<std::size_t>(text_page)) {
            break;
        }
    }
    out.headers.set("Content-Type", "text/plain; charset=utf-8");
    // Names of pipelines are [A-Za-z0-9_.-]: nothing to quote.
    out.headers.set(
        "Content-Disposition", fmt::format("attachment; filename=\"{}-{}.log\"", run.text(0, "pipeline"), id)
    );
    return out;
}

}  // namespace

void add_logs(Router& router, Services& services) {
    const auto viewer = Policy::at_least(auth::Role::viewer);
    router.add(
              "GET", "/api/etl/runs/{id}/logs", viewer, [&services](const Call& call) { return page(services, call); }
    ).takes_query({"after", "before", "level", "step", "attempt", "q", "limit"});
    router
        .add(
            "GET",
            "/api/etl/runs/{id}/rejects",
            viewer,
            [&services](const Call& call) { return rejects(services, call); }
        )
        .takes_query({"limit"});
    router
        .add(
            "GET",
            "/api/etl/runs/{id}/logs.txt",
            viewer,
            [&services](const Call& call) { return download(services, call); }
        )
        .answers("text/plain");
}

}  // namespace headrace::api
