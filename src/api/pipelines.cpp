// /api/etl/overview and /api/etl/pipelines.
#include "api/input.hpp"
#include "api/pipeline_view.hpp"
#include "api/schedule_input.hpp"
#include "api/services.hpp"
#include "run/control.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

namespace headrace::api {
namespace {

net::Response overview(Services& services) {
    const auto last_id = services.events.last_id();
    auto db = services.db();
    std::map<std::string_view, std::int64_t> counts;
    for (const auto& row : read_pipelines(*db, {.name = std::nullopt, .with_recent = false})) {
        ++counts[condition_of(row, services.schedules, now()).state];
    }
    const auto workers = db->exec(
        "select count(*) as n from etl_workers where stopped_at is null and seen_at > now() - interval '45 seconds'"
    );
    JsonWriter json;
    json.begin_object();
    for (const auto state : pipeline_states) {
        json.key(state).number(counts[state]);
    }
    json.key("workers").number(workers.integer(0, "n")).key("lastEventId").text(last_id).end();
    return json_response(200, json.take());
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return out;
}

// `wanted` is in lower case.
bool mentions(const PipelineRow& row, const std::string& wanted) {
    const auto holds = [&](std::string_view text) { return lower(text).find(wanted) != std::string::npos; };
    if (holds(row.name)) {
        return true;
    }
    const auto* owner = row.summary.if_contains("owner");
    if (owner != nullptr && owner->is_string() && holds(std::string(owner->as_string()))) {
        return true;
    }
    const auto* tags = row.summary.if_contains("tags");
    return tags != nullptr && tags->is_array() &&
           std::any_of(tags->as_array().begin(), tags->as_array().end(), [&](const auto& tag) {
               return tag.is_string() && holds(std::string(tag.as_string()));
           });
}

net::Response list(Services& services, const Call& call) {
    const auto wanted = lower(query_text(call.request, "q", 200).value_or(""));
    const auto states = query_words(call.request, "state", pipeline_states);
    const auto last_id = services.events.last_id();
    auto db = services.db();
    const auto rows = read_pipelines(*db, {.name = std::nullopt, .with_recent = true});
    const auto last_runs = read_last_runs(*db, std::nullopt);
    const auto time = now();
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (const auto& row : rows) {
        const auto condition = condition_of(row, services.schedules, time);
        if ((!states.empty() && std::find(states.begin(), states.end(), condition.state) == states.end()) ||
            !mentions(row, wanted)) {
            continue;
        }
        const auto last = last_runs.find(row.name);
        write_pipeline(
            json,
            row,
            condition,
            last == last_runs.end() ? std::string_view() : last->second,
            std::nullopt,
            services.schedules,
            time
        );
    }
    json.end().key("lastEventId").text(last_id).end();
    return json_response(200, json.take());
}

net::Response document(Services& services, postgres::Connection& db, std::string_view name) {
    auto found = read_pipeline(db, name, services.schedules, now());
    auto out = json_response(200, std::move(found.json));
    out.headers.set("ETag", fmt::format("\"{}\"", found.version));
    return out;
}

// The versions that If-Match names; nullopt for "*". Weak tags never match (RFC 9110 §13.1.1).
std::optional<std::vector<std::string>> if_match(const net::Request& request) {
    const auto header = request.headers.joined("If-Match");
    if (header.empty()) {
        throw Problem("api.precondition_required", "send the ETag of the pipeline in If-Match");
    }
    if (header == "*") {
        return std::nullopt;
    }
    std::vector<std::string> out;
    for (std::size_t from = 0; from < header.size();) {
        const auto end = std::min(header.find(',', from), header.size());
        auto tag = header.substr(from, end - from);
        tag.erase(0, tag.find_first_not_of(' '));
        tag.erase(tag.find_last_not_of(' ') + 1);
        out.push_back(std::move(tag));
        from = end + 1;
    }
    return out;
}

void read_schedule(Members& members, run::PipelineChange& change) {
    members.known("schedule");
    if (members.is_null("schedule")) {
        change.revert_schedule = true;
        return;
    }
    const auto* object = members.object("schedule");
    if (object == nullptr) {
        return;
    }
    Members schedule(*object, "#/schedule");
    change.cron = schedule.text("cron", 200);
    change.timezone = schedule.text("timezone", 64);
    for (const auto* name : {"cron", "timezone"}) {
        if (!schedule.has(name)) {
            schedule.wrong(name, "is missing");
        }
    }
    members.add(schedule.errors());
}

run::PipelineChange read_change(const net::Request& request) {
    const auto body = body_object(request, false);
    Members members(body);
    run::PipelineChange change;
    change.paused = members.boolean("paused");
    if (members.is_null("reason")) {
        members.known("reason");
    } else {
        change.reason = members.text("reason", 500);
    }
    if (change.reason && !change.paused) {
        members.wrong("reason", "goes with paused");
    }
    if (members.has("schedule")) {
        read_schedule(members, change);
    } else {
        members.known("schedule");
    }
    members.done();
    if (change.cron) {
        parse_schedule(*change.cron, *change.timezone, "#/schedule/cron", "#/schedule/timezone");
    }
    return change;
}

bool is_empty(const run::PipelineChange& change) {
    return !change.paused && !change.revert_schedule && !change.cron;
}

Problem conflict(Services& services, postgres::Connection& db, std::string_view name) {
    auto current = read_pipeline(db, name, services.schedules, now());
    Problem problem("api.edit_conflict", fmt::format("{} is at version {} now", name, current.version));
    problem.with_header("ETag", fmt::format("\"{}\"", current.version)).with_member("current", std::move(current.json));
    return problem;
}

net::Response patch(Services& services, const Call& call) {
    const auto& name = call.parameter("name");
    auto db = services.db();
    const auto rows = read_pipelines(*db, {.name = name, .with_recent = false});
    if (rows.empty() || rows.front().removed) {
        throw Problem("pipeline.not_found", fmt::format("there is no pipeline {}", name));
    }
    const auto wanted = if_match(call.request);
    const auto change = read_change(call.request);
    const auto version = rows.front().version;
    if (wanted && std::find(wanted->begin(), wanted->end(), fmt::format("\"{}\"", version)) == wanted->end()) {
        throw conflict(services, *db, name);
    }
    if (!is_empty(change)) {
        const auto next = run::change_pipeline(*db, name, version, change, call.actor());
        if (!next) {
            throw conflict(services, *db, name);
        }
        JsonWriter event;
        event.begin_object().key("name").text(name).key("version").number(*next).key("by").text(call.actor()).end();
        services.publish("pipeline.changed", "", name, event.str());
    }
    return document(services, *db, name);
}

}  // namespace

void add_pipelines(Router& router, Services& services) {
    const auto viewer = Policy::at_least(auth::Role::viewer);
    router.add(
              "GET", "/api/etl/overview", viewer, [&services](const Call&) { return overview(services); }
    ).in_background();
    router.add("GET", "/api/etl/pipelines", viewer, [&services](const Call& call) { return list(services, call); })
        .takes_query({"q", "state"})
        .in_background();
    router
        .add(
            "GET",
            "/api/etl/pipelines/{name}",
            viewer,
            [&services](const Call& call) {
                auto db = services.db();
                return document(services, *db, call.parameter("name"));
            }
        )
        .in_background();
    router
        .add(
            "PATCH",
            "/api/etl/pipelines/{name}",
            Policy::at_least(auth::Role::op),
            [&services](const Call& call) { return patch(services, call); }
        )
        .takes_body({"application/merge-patch+json", "application/json"});
}

}  // namespace headrace::api
