#include "run/decision.hpp"

#include "base/killpoint.hpp"
#include "run/broken_twin.hpp"
#include "run/chunks.hpp"
#include "run/ledger_rows.hpp"
#include "run/manifest.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace headrace::run {
namespace {

namespace json = boost::json;
using postgres::Connection;
using postgres::Param;

// With the rows, in their transaction: the watermark never passes what is committed, and never goes back.
void write_cursor(Connection& db, std::string_view run_id, const CursorReached& reached) {
    const auto& range = reached.range;
    db.exec(
        "update etl_runs set cursor_range = $2 where run_id = $1",
        {run_id,
         json::serialize(json::object{
             {"column", range.column},
             {"from", range.from},
             {"to", range.to.value_or(range.from)},
             {"largest", reached.largest.empty() ? json::value(nullptr) : json::value(reached.largest)}})}
    );
    if (!reached.advances || reached.largest.empty()) {
        return;
    }
    const auto known = db.exec(
        "select value, cursor_column from etl_watermarks w join etl_runs r using (pipeline) where r.run_id = $1 and"
        " w.partition = '' for update of w",
        {run_id}
    );
    if (!known.empty() && known.text(0, "cursor_column") == range.column &&
        pipeline::compare_cursors(range.kind, known.text(0, "value"), reached.largest) >= 0) {
        return;
    }
    db.exec(
        "insert into etl_watermarks (pipeline, value, run_id, cursor_column) select pipeline, $2, run_id, $3 from"
        " etl_runs where run_id = $1 on conflict (pipeline, partition) do update set value = excluded.value, run_id ="
        " excluded.run_id, cursor_column = excluded.cursor_column, updated_at = now()",
        {run_id, reached.largest, range.column}
    );
}

// The output of a pipeline that is gone is not published.
bool cancel_if_removed(Connection& c, std::string_view run_id) {
    const auto cancelled = c.exec(
        "update etl_runs r set cancel_requested = true, cancelled_by = 'the removal of the pipeline' from etl_pipelines"
        " p where r.run_id = $1 and p.name = r.pipeline and p.removed",
        {run_id}
    );
    return cancelled.affected() > 0;
}

// The row was locked while the decision waited for its tables, so that the lease may be over: nobody shall take the run
// for dead before the next try has locked it again.
void keep_lease(Connection& c, std::string_view run_id, std::string_view attempt_id) {
    c.exec(
        "update etl_runs set lease_until = greatest(lease_until, now() + interval '10 s') where run_id = $1 and"
        " attempt_id = $2 and state = 'running'",
        {run_id, attempt_id}
    );
}

// Last of all: they take locks on tables that others read. The run's row stays locked meanwhile, which lease, journal
// and reaper step around.
void run_statements(Connection& c, const std::vector<SealedOutput>& outputs, Deadline deadline) {
    const bool any = std::any_of(outputs.begin(), outputs.end(), [](const SealedOutput& output) {
        return !output.manifest.statements.empty();
    });
    if (!any) {
        return;
    }
    // 0 is for ever: the deadline stops the attempt, and with it the statement.
    c.exec("select set_config('lock_timeout', '5000', true), set_config('statement_timeout', '0', true)");
    for (const auto& output : outputs) {
        for (const auto& statement : output.manifest.statements) {
            c.exec_until(deadline, statement);
        }
    }
}

}  // namespace

Decision decide(
    Connection& db,
    std::string_view run_id,
    std::string_view attempt_id,
    const Sealed& sealed,
    const Counters& counters,
    Deadline deadline
) {
    const auto& outputs = sealed.outputs;
    auto decision = Decision::fenced;
    const auto body = [&](Connection& c) {
        decision = Decision::fenced;
        broken_twin::no_fence(c, run_id, attempt_id);
        const auto owned = own_run(c, run_id, attempt_id);
        if (owned == Owned::cancelled || (owned == Owned::yes && cancel_if_removed(c, run_id))) {
            decision = Decision::cancelled;
            return;
        }
        std::vector<std::int64_t> ids;
        for (const auto& output : outputs) {
            ids.push_back(output.output_id);
        }
        if (owned == Owned::no || !own_outputs(c, ids, attempt_id)) {
            return;
        }
        for (const auto& output : outputs) {
            const auto& m = output.manifest;
            const auto next = c.exec(
                "update etl_outputs o set seq = o.seq + 1, epoch = m.epoch, run_id = $2, attempt_id = $3, manifest = "
                "$4, payload = $5,"
                " rows = $6, bytes = $7, schema_hash = $8, published = $9, decided_at = now() from etl_meta m"
                " where o.output_id = $1 returning o.seq, o.epoch",
                {output.output_id,
                 run_id,
                 attempt_id,
                 manifest_json(m),
                 m.payload.empty() ? Param(nullptr) : Param::bytes(m.payload),
                 m.rows,
                 m.bytes,
                 m.schema_hash,
                 m.keys.empty()}
            );
            c.exec(
                "insert into etl_commits (run_id, output_id, epoch, seq, attempt_id, rows, bytes, manifest) values "
                "($1, $2, $3, $4, $5, $6, $7, $8)",
                {run_id,
                 output.output_id,
                 next.text(0, "epoch"),
                 next.text(0, "seq"),
                 attempt_id,
                 m.rows,
                 m.bytes,
                 manifest_json(m)}
            );
        }
        c.exec(
            "update etl_runs set state = 'committed', committed_at = now(), proof = $3 where run_id = $1 and "
            "attempt_id = $2"
            " and state = 'running'",
            {run_id, attempt_id, sealed.proof}
        );
        write_counters(c, run_id, counters);
        if (sealed.cursor) {
            write_cursor(c, run_id, *sealed.cursor);
        }
        forget_chunks_of_pipeline(c, run_id);
        run_statements(c, outputs, deadline);
        decision = Decision::committed;
        HEADRACE_POINT("K10");
    };
    db.transaction(body, [&] { keep_lease(db, run_id, attempt_id); });
    HEADRACE_POINT("K11");
    return decision;
}

Verdict verdict(Connection& db, std::string_view run_id, std::string_view attempt_id) {
    auto found = Verdict::fenced;
    db.transaction([&](Connection& c) {
        const auto run = c.exec("select state, attempt_id from etl_runs where run_id = $1 for update", {run_id});
        if (run.empty() || run.text(0, "attempt_id") != attempt_id) {
            found = Verdict::fenced;
        } else if (run.text(0, "state") == "committed" || run.text(0, "state") == "succeeded") {
            found = Verdict::committed;
        } else {
            found = run.text(0, "state") == "running" ? Verdict::undecided : Verdict::fenced;
        }
    });
    return found;
}

void acknowledge(Connection& db, std::int64_t output_id, std::int64_t seq, std::string_view run_id) {
    db.transaction([&](Connection& c) {
        const auto run = c.exec("select state from etl_runs where run_id = $1 for update", {run_id});
        c.exec("update etl_outputs set published = true where output_id = $1 and seq = $2", {output_id, seq});
        HEADRACE_POINT("K14");
        if (!run.empty() && run.text(0, "state") == "committed") {
            c.exec(
                "update etl_runs r set state = 'succeeded', finished_at = now() where run_id = $1 and state = "
                "'committed' and not exists"
                " (select 1 from etl_outputs o join etl_commits k on k.output_id = o.output_id and k.run_id = r.run_id"
                "  where o.run_id = r.run_id and not o.published)",
                {run_id}
            );
            c.exec(
                "update etl_attempts a set finished_at = now(), outcome = 'succeeded' from etl_runs r where r.run_id = "
                "$1"
                " and r.state = 'succeeded' and a.run_id = r.run_id and a.attempt = r.attempt and a.finished_at is "
                "null",
                {run_id}
            );
        }
    });
    HEADRACE_POINT("K15");
}

bool abandon(Connection& db, std::string_view run_id) {
    bool moved = false;
    db.transaction([&](Connection& c) {
        moved = c.exec(
                     "update etl_runs set state = 'superseded', finished_at = now(), reason = 'Redis lost the staged "
                     "rows before they were visible; the source is read again' where run_id = $1 and state = "
                     "'committed'",
                     {run_id}
                )
                    .affected() == 1;
        if (moved) {
            c.exec(
                "update etl_attempts set finished_at = now(), outcome = 'superseded' where run_id = $1 and finished_at "
                "is null",
                {run_id}
            );
        }
    });
    return moved;
}

}  // namespace headrace::run
