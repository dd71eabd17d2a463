#include "app/run_watch.hpp"

#include "net/wait.hpp"
#include "run/states.hpp"

namespace headrace::app {

RunView view_run(postgres::Connection& db, std::string_view run_id) {
    const auto row = db.exec(
        "select pipeline, state, rows_written, rows_read, bytes_written, coalesce(peak_rss, 0) as peak_rss,"
        " coalesce(floor(extract(epoch from coalesce(finished_at, now()) - started_at) * 1000)::bigint, 0) as duration,"
        " coalesce(error->>'code' || ': ' || (error->>'message') || coalesce(nullif(E'\n  ' || (error->>'hint'), E'\n  "
        "'), ''),"
        "          reason, '') as problem,"
        " coalesce((select string_agg(coalesce(k->>'live', substr(o.name, strpos(o.name, ':') + 1)), ', ' order by "
        "o.output_id) from etl_outputs o"
        "           left join lateral jsonb_array_elements(o.manifest->'keys') k on true where o.run_id = r.run_id), "
        "'')"
        " as outputs from etl_runs r where run_id = $1",
        {run_id}
    );
    if (row.empty()) {
        throw Error(ErrorKind::invalid, "run.not_found", "there is no run " + std::string(run_id));
    }
    return {
        .run_id = std::string(run_id),
        .pipeline = std::string(row.text(0, "pipeline")),
        .state = std::string(row.text(0, "state")),
        .rows = row.integer(0, "rows_written"),
        .rows_read = row.integer(0, "rows_read"),
        .bytes = row.integer(0, "bytes_written"),
        .duration_ms = row.integer(0, "duration"),
        .peak_rss = row.integer(0, "peak_rss"),
        .error = std::string(row.text(0, "problem")),
        .outputs = std::string(row.text(0, "outputs"))};
}

RunView watch_run(
    postgres::Connection& db,
    std::string_view run_id,
    const StopToken& stop,
    const std::function<void(const RunView&)>& progress
) {
    for (;;) {
        auto view = view_run(db, run_id);
        if (progress) {
            progress(view);
        }
        if (run::is_final(view.state)) {
            return view;
        }
        net::wait_readable(-1, Deadline::in(std::chrono::milliseconds(100)), stop);
        stop.throw_if_stopped();
    }
}

}  // namespace headrace::app
