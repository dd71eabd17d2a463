#include "run/epoch.hpp"

#include <string>

namespace headrace::run {

bool check_epoch(postgres::Connection& db) {
    // The timeline comes from the WAL position: right after a promotion pg_control still shows the old one.
    const auto row = db.exec(
        "select (select system_identifier::text from pg_control_system()) as id, "
        "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
        " as timeline, m.system_identifier, m.timeline as known_timeline from etl_meta m"
    );
    const auto id = std::string(row.text(0, "id"));
    const auto timeline = std::string(row.text(0, "timeline"));
    const auto known_id = std::string(row.text(0, "system_identifier"));
    const auto known_timeline = std::string(row.text(0, "known_timeline"));
    if (id == known_id && timeline == known_timeline) {
        return false;
    }
    const auto raised = db.exec(
        "update etl_meta set epoch = epoch + case when system_identifier = '' then 0 else 1 end, system_identifier = "
        "$1, timeline = $2"
        " where system_identifier = $3 and timeline = $4",
        {id, timeline, known_id, known_timeline}
    );
    return raised.affected() == 1 && !known_id.empty();
}

bool raise_epoch_over(
    postgres::Connection& db,
    std::int64_t output_id,
    std::int64_t epoch,
    std::int64_t seq,
    std::string_view run_id
) {
    const auto raised = db.exec(
        "update etl_meta m set epoch = greatest(m.epoch, $2) + 1 from etl_outputs o where o.output_id = $1"
        " and (m.epoch < $2 or (m.epoch = $2 and (o.seq < $3 or (o.seq = $3 and o.run_id::text <> $4))))",
        {output_id, epoch, seq, run_id}
    );
    return raised.affected() == 1;
}

}  // namespace headrace::run
