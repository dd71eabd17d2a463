#include "run/ledger_rows.hpp"

#include "base/process_stats.hpp"

namespace headrace::run {

using postgres::Connection;

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
