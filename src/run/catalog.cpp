#include "run/catalog.hpp"

#include "run/attempt.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <filesystem>

namespace headrace::run {
namespace {

namespace json = boost::json;
using pipeline::Definition;
using postgres::Connection;
using postgres::Param;

json::value schedule_json(const Definition& definition) {
    if (!definition.schedule) {
        return nullptr;
    }
    const auto& s = *definition.schedule;
    return {
        {"cron", s.cron},
        {"timezone", s.timezone},
        {"jitterMs", s.jitter.count()},
        {"catchup", schedule::to_string(s.catchup)},
        {"catchupWindowMs", s.catchup_window.count()},
        {"overlap", schedule::to_string(s.overlap)}};
}

// The row lock serialises loaders; the text decides whether anything is new.
std::optional<CatalogChange> sync_one(Connection& c, const pipeline::Registry& registry, const Definition& definition) {
    CatalogChange change{.pipeline = definition.name};
    c.exec(
        "insert into etl_pipelines (name, definition_version, summary) values ($1, 0, '{}') on conflict (name) do "
        "nothing",
        {definition.name}
    );
    const auto row = c.exec(
        "select p.definition_version, p.removed, d.text, p.summary::text = ($2::jsonb)::text as same_summary from "
        "etl_pipelines p"
        " left join etl_definitions d on d.pipeline = p.name and d.version = p.definition_version where p.name = $1 "
        "for update of p",
        {definition.name, summary_json(definition)}
    );
    change.added = row.integer(0, "definition_version") == 0;
    change.version = static_cast<int>(row.integer(0, "definition_version"));
    const bool same_text = !row.is_null(0, "text") && row.text(0, "text") == definition.text;
    if (same_text && !row.boolean(0, "removed") && row.boolean(0, "same_summary")) {
        return std::nullopt;
    }
    if (!same_text) {
        ++change.version;
        c.exec(
            "insert into etl_definitions (pipeline, version, text) values ($1, $2, $3)",
            {definition.name, change.version, definition.text}
        );
    }
    c.exec(
        "update etl_pipelines set definition_version = $2, summary = $3, removed = false, version = version + 1, "
        "updated_at = now(),"
        " slots_through = case when removed then now() else slots_through end where name = $1",
        {definition.name, change.version, summary_json(definition)}
    );
    std::vector<std::string> names;
    for (const auto& spec : output_specs(registry, definition)) {
        c.exec(
            "insert into etl_outputs (pipeline, name, kind) values ($1, $2, $3) on conflict (pipeline, name) do update "
            "set"
            " removed = false",
            {definition.name, spec.name, spec.kind}
        );
        names.push_back(spec.name);
    }
    c.exec(
        "update etl_outputs set removed = true where pipeline = $1 and not name = any($2)",
        {definition.name, Param::array(names)}
    );
    return change;
}

}  // namespace

std::string summary_json(const Definition& definition) {
    json::array sinks;
    for (const auto& sink : definition.sinks) {
        json::object one{{"type", sink.type}};
        if (sink.type == "redis") {
            one["as"] = sink.options.get("as", "json");
            one["key"] = sink.options.get("key", "cache:" + definition.name);
        } else if (sink.options.has("table")) {
            one["as"] = sink.options.get("mode");
            one["table"] = sink.options.get("table");
        }
        if (!sink.credential.empty()) {
            one["credential"] = sink.credential;
        }
        sinks.push_back(std::move(one));
    }
    json::object out{
        {"description", definition.description},
        {"owner", definition.owner},
        {"tags", json::array(definition.tags.begin(), definition.tags.end())},
        {"enabled", definition.enabled},
        {"schedule", schedule_json(definition)},
        {"source", {{"type", definition.source.type}, {"credential", definition.source.credential}}},
        {"sinks", std::move(sinks)},
        {"maxAttempts", definition.retry.attempts},
        {"timeoutMs", definition.timeout.count()}};
    if (const auto& incremental = definition.incremental) {
        out["incremental"] = {
            {"cursor", incremental->column},
            {"kind", pipeline::to_string(incremental->kind)},
            {"start", incremental->start}};
    }
    out["freshWithinMs"] =
        definition.fresh_within ? json::value(definition.fresh_within->count()) : json::value(nullptr);
    return json::serialize(out);
}

std::vector<CatalogChange>
sync_catalog(Connection& db, const pipeline::Registry& registry, const std::vector<pipeline::ParseResult>& files) {
    std::vector<CatalogChange> changes;
    std::vector<std::string> present;
    for (const auto& file : files) {
        // A broken file still stands for its pipeline: by its stem when its name could not be read.
        const auto stem = std::filesystem::path(file.definition.place.file).stem().string();
        present.push_back(file.definition.name.empty() ? stem : file.definition.name);
        if (!file.ok()) {
            continue;
        }
        std::optional<CatalogChange> change;
        db.transaction([&](Connection& c) { change = sync_one(c, registry, file.definition); });
        if (change) {
            changes.push_back(std::move(*change));
        }
    }
    const auto gone = db.exec(
        "update etl_pipelines set removed = true, version = version + 1, updated_at = now() where not removed and not "
        "name = any($1)"
        " returning name, definition_version",
        {Param::array(present)}
    );
    for (std::size_t i = 0; i < gone.rows(); ++i) {
        // What is queued or at work would not be published (see decide): it may end at once. One that is being decided
        // has its row locked, and is left to its decision.
        db.exec(
            "update etl_runs set cancel_requested = true, cancelled_by = 'the removal of the pipeline' where run_id in"
            " (select run_id from etl_runs where pipeline = $1 and state in ('queued', 'running') for no key update"
            " skip locked)",
            {gone.text(i, "name")}
        );
        changes.push_back(
            {std::string(gone.text(i, "name")), false, true, static_cast<int>(gone.integer(i, "definition_version"))}
        );
    }
    return changes;
}

}  // namespace headrace::run
