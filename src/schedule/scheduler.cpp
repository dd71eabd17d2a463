#include "schedule/scheduler.hpp"

#include "base/ids.hpp"
#include "base/killpoint.hpp"
#include "base/log.hpp"
#include "schedule/catchup.hpp"
#include "schedule/cron.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::schedule {
namespace {

using postgres::Connection;
using std::chrono::milliseconds;

// Rows that one catch-up may write; older ones are told of in the newest skipped row.
constexpr std::size_t most_slots = 100;

constexpr std::string_view columns =
    "name, definition_version, coalesce(override_cron, summary->'schedule'->>'cron') as cron,"
    " coalesce(override_timezone, summary->'schedule'->>'timezone') as timezone, "
    "coalesce((summary->'schedule'->>'jitterMs')::bigint, 0)"
    " as jitter, summary->'schedule'->>'catchup' as catchup, "
    "coalesce((summary->'schedule'->>'catchupWindowMs')::bigint, 86400000)"
    " as catchup_window, summary->'schedule'->>'overlap' as overlap, coalesce((summary->>'maxAttempts')::int, 3) as "
    "max_attempts,"
    " slots_through, now() as now";

constexpr std::string_view active =
    "not removed and not paused and coalesce((summary->>'enabled')::boolean, true)"
    " and coalesce(override_cron, summary->'schedule'->>'cron') is not null";

std::string
insert_slot(Connection& c, const postgres::Result& row, const DueSlot& slot, const std::string& skip_reason) {
    const auto run_id = make_uuid_v7();
    const auto pipeline = row.text(0, "name");
    const bool run = skip_reason.empty();
    const auto jitter = jitter_for(pipeline, slot.slot, milliseconds(row.integer(0, "jitter")));
    const auto made = c.exec(
        "insert into etl_runs (run_id, pipeline, definition_version, slot, trigger, triggered_by, job_id, state, "
        "reason, finished_at,"
        " max_attempts, available_at) values ($1, $2, $3, $4, 'schedule', 'schedule', $5, $6, nullif($7, ''), case "
        "when $8 then null else now() end,"
        " $9, now() + $10 * interval '1 ms') on conflict (pipeline, slot) do nothing",
        {run_id,
         pipeline,
         row.text(0, "definition_version"),
         slot.slot,
         "run-" + run_id,
         run ? "queued" : "skipped",
         run ? slot.reason : skip_reason,
         run,
         row.text(0, "max_attempts"),
         static_cast<std::int64_t>(run ? jitter.count() : 0)}
    );
    if (made.affected() == 0) {
        return {};
    }
    if (run) {
        c.exec("insert into etl_outbox (run_id) values ($1)", {run_id});
    }
    return run_id;
}

// "" = run it. overlap: skip looks at what is open now; queue and cancel_old are settled when the run is claimed.
std::string why_not(Connection& c, const postgres::Result& row, const DueSlot& slot) {
    if (!slot.run) {
        return slot.reason;
    }
    if (parse_overlap(row.text(0, "overlap")).value_or(Overlap::skip) != Overlap::skip) {
        return {};
    }
    const auto open = c.exec(
        "select run_id, state from etl_runs where pipeline = $1 and state in ('queued', 'running', 'committed')"
        " order by queued_at limit 1",
        {row.text(0, "name")}
    );
    return open.empty() ? std::string()
                        : fmt::format("overlap: run {} is still {}", open.text(0, "run_id"), open.text(0, "state"));
}

// One pipeline under its row lock.
std::vector<Planned> plan(Connection& c, std::string_view pipeline) {
    std::vector<Planned> planned;
    const auto row = c.exec(
        fmt::format("select {} from etl_pipelines where name = $1 and {} for update", columns, active), {pipeline}
    );
    if (row.empty()) {
        return planned;
    }
    const auto now = row.time(0, "now").value_or(Timestamp());
    const auto cron = Cron::parse(row.text(0, "cron"), row.text(0, "timezone"));
    const auto catchup = parse_catchup(row.text(0, "catchup")).value_or(Catchup::last);
    auto due = due_slots(
        cron,
        row.time(0, "slots_through").value_or(now),
        now,
        catchup,
        milliseconds(row.integer(0, "catchup_window")),
        most_slots
    );
    // `last` makes up for silence; where a slot is on time there is none to make up for.
    const bool on_time =
        std::any_of(due.begin(), due.end(), [](const DueSlot& slot) { return slot.run && slot.reason.empty(); });
    for (auto& slot : due) {
        if (catchup == Catchup::last && on_time && slot.run && !slot.reason.empty()) {
            slot.run = false;
            slot.reason = "missed: a newer slot is on time";
        }
        const auto reason = why_not(c, row, slot);
        if (auto run_id = insert_slot(c, row, slot, reason); !run_id.empty()) {
            planned.push_back({std::move(run_id), std::string(pipeline), !reason.empty()});
        }
    }
    if (!due.empty()) {
        c.exec("update etl_pipelines set slots_through = $2 where name = $1", {pipeline, now});
    }
    return planned;
}

}  // namespace

Tick tick(Connection& db) {
    Tick tick;
    const auto rows = db.exec(fmt::format("select {} from etl_pipelines where {} order by name", columns, active));
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        const auto name = std::string(rows.text(i, "name"));
        const auto now = rows.time(i, "now").value_or(Timestamp());
        std::optional<Timestamp> next;
        try {
            next = Cron::parse(rows.text(i, "cron"), rows.text(i, "timezone"))
                       .next(rows.time(i, "slots_through").value_or(now));
        } catch (const Error& e) {
            // The file was checked when it was loaded; a zone may still be missing on this host. Others must go on.
            log::error("schedule cannot be computed", {{"pipeline", name}, {"error", e.what()}});
            continue;
        }
        if (!next) {
            continue;
        }
        if (*next > now) {
            tick.wait = std::min(tick.wait, std::chrono::ceil<milliseconds>(*next - now));
            continue;
        }
        std::vector<Planned> planned;
        db.transaction([&](Connection& c) { planned = plan(c, name); });
        tick.planned.insert(tick.planned.end(), planned.begin(), planned.end());
        tick.wait = milliseconds(0);
        HEADRACE_POINT("K20");
    }
    return tick;
}

}  // namespace headrace::schedule
