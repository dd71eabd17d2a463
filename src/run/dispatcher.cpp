#include "run/dispatcher.hpp"

#include "base/killpoint.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace headrace::run {
namespace {

RunJob job_of(const postgres::Result& rows, std::size_t i) {
    boost::json::object data{
        {"runId", rows.text(i, "run_id")},
        {"pipeline", rows.text(i, "pipeline")},
        {"trigger", rows.text(i, "trigger")},
        {"scheduledFor", nullptr}};
    if (!rows.is_null(i, "slot")) {
        data["scheduledFor"] = rows.text(i, "slot");
    }
    return {
        .id = std::string(rows.text(i, "job_id")),
        .pipeline = std::string(rows.text(i, "pipeline")),
        .data = boost::json::serialize(data),
        .delay = milliseconds(std::max<std::int64_t>(rows.integer(i, "delay_ms"), 0))};
}

}  // namespace

std::size_t dispatch(postgres::Connection& db, RunQueue& queue, std::size_t limit) {
    std::size_t sent = 0;
    db.transaction([&](postgres::Connection& c) {
        sent = 0;
        const auto rows = c.exec(
            "select o.id, r.run_id, r.pipeline, r.trigger, r.job_id, r.state, to_char(r.slot at time zone 'UTC',"
            " 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as slot,"
            " ceil(extract(epoch from r.available_at - now()) * 1000)::bigint as delay_ms"
            " from etl_outbox o join etl_runs r on r.run_id = o.run_id where o.sent_at is null order by o.id limit $1"
            " for update of o skip locked",
            {static_cast<std::int64_t>(limit)}
        );
        for (std::size_t i = 0; i < rows.rows(); ++i) {
            if (rows.text(i, "state") == "queued") {
                queue.add(job_of(rows, i));
                HEADRACE_POINT("K21");
                ++sent;
            }
            c.exec("update etl_outbox set sent_at = now() where id = $1", {rows.integer(i, "id")});
        }
        c.exec("delete from etl_outbox where sent_at < now() - interval '1 day'");
    });
    return sent;
}

}  // namespace headrace::run
