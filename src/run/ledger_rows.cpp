#include "run/ledger_rows.hpp"

#include "base/process_stats.hpp"

namespace headrace::run {

using postgres::Connection;
using postgres::Param;

Owned own_run(Connection& db, std::string_view run_id, std::string_view attempt_id) {
    const auto run = db.exec(
        "select state, attempt_id, cancel_requested from etl_runs where run_id = $1 for no key update", {run_id}
    );
    if (run.empty() || run.text(0, "state") != "running" || run.text(0, "attempt_id") != attempt_id) {
        return Owned::no;
    }
    return run.boolean(0, "cancel_requested") ? Owned::cancelled : Owned::yes;
}

bool own_outputs(Connection& db, const std::vector<std::int64_t>& output_ids, std::string_view attempt_id) {
    std::vector<std::string> ids;
    for (const auto id : output_ids) {
        ids.push_back(std::to_string(id));
    }
    const auto owned = db.exec(
        "select owner from etl_outputs where output_id = any($1::bigint[]) order by output_id for update",
        {Param::array(ids)}
    );
    for (std::size_t i = 0; i < owned.rows(); ++i) {
        if (owned.text(i, "owner") != attempt_id) {
            return false;
        }
    }
    return true;
}

void write_counters(Connection& db, std::string_view run_id, const Counters& c) {
    db.exec(
        "update etl_runs set rows_read = $2, rows_written = $3, rows_rejected = $4, rows_filtered = $5, bytes_read = "
        "$6,"
        " bytes_written = $7, peak_rss = $8 where run_id = $1",
        {run_id,
         c.rows_read,
         c.rows_written,
         c.rows_rejected,
         c.rows_filtered,
         c.bytes_read,
         c.bytes_written,
         peak_rss_bytes()}
    );
}

void finish_cancelled(Connection& db, std::string_view run_id) {
    db.exec(
        "update etl_runs set state = 'cancelled', finished_at = now(), reason = 'cancelled by ' || "
        "coalesce(cancelled_by, '?')"
        " where run_id = $1 and state in ('queued', 'running')",
        {run_id}
    );
}

}  // namespace headrace::run
