// /api/etl/runs/{id}/metrics: throughput over time in uPlot's shape.
#include "api/input.hpp"
#include "api/run_view.hpp"
#include "api/services.hpp"

#include <fmt/core.h>

namespace headrace::api {
namespace {

struct Point {
    double at = 0;  // seconds since the run's start
    std::int64_t attempt = 0;
    std::int64_t rows_read = 0, rows_written = 0, bytes_read = 0;
};

// Counters are totals, so leaving points out loses nothing but resolution: rates between the rest are exact means.
std::vector<Point> read_points(postgres::Connection& db, const std::string& id, std::int64_t count) {
    const auto rows = db.exec(
        "select x.attempt, extract(epoch from x.at - r.started_at)::float8 as at, x.rows_read, x.rows_written, "
        "x.bytes_read from"
        " (select *, row_number() over (order by p.at) as n, count(*) over () as total from etl_progress p where "
        "p.run_id = $1) x"
        " join etl_runs r on r.run_id = $1"
        " where x.n = 1 or x.n = x.total or (x.n - 1) % greatest(1, ceil(x.total::float8 / greatest($2::int - 1, "
        "1))::bigint) = 0 order by x.at",
        {id, count}
    );
    std::vector<Point> out;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        out.push_back(
            {rows.is_null(i, "at") ? 0 : std::stod(std::string(rows.text(i, "at"))),
             rows.integer(i, "attempt"),
             rows.integer(i, "rows_read"),
             rows.integer(i, "rows_written"),
             rows.integer(i, "bytes_read")}
        );
    }
    return out;
}

void write_series(
    JsonWriter& json,
    const std::vector<Point>& points,
    std::string_view name,
    std::string_view unit,
    std::int64_t Point::*counter
) {
    json.begin_object().key("name").text(name).key("unit").text(unit).key("v").begin_array();
    for (std::size_t i = 0; i < points.size(); ++i) {
        const auto& here = points[i];
        const bool follows = i > 0 && points[i - 1].attempt == here.attempt && here.at > points[i - 1].at;
        if (!follows) {
            json.null();  // the first point of an attempt has no rate
            continue;
        }
        const auto& before = points[i - 1];
        const double rate = static_cast<double>(here.*counter - before.*counter) / (here.at - before.at);
        json.raw(fmt::format("{:.1f}", std::max(rate, 0.0)));
    }
    json.end().end();
}

net::Response metrics(Services& services, const Call& call) {
    const auto count = query_integer(call.request, "points", 10, 2000).value_or(400);
    const auto& id = call.parameter("id");
    auto db = services.db();
    read_run(*db, id);
    const auto points = read_points(*db, id, count);
    JsonWriter json;
    json.begin_object().key("t").begin_array();
    for (const auto& point : points) {
        json.raw(fmt::format("{:.3f}", std::max(point.at, 0.0)));
    }
    json.end().key("series").begin_array();
    write_series(json, points, "rowsRead", "rows/s", &Point::rows_read);
    write_series(json, points, "rowsWritten", "rows/s", &Point::rows_written);
    write_series(json, points, "bytesRead", "bytes/s", &Point::bytes_read);
    json.end().end();
    return json_response(200, json.take());
}

}  // namespace

void add_run_metrics(Router& router, Services& services) {
    router
        .add(
            "GET",
            "/api/etl/runs/{id}/metrics",
            Policy::at_least(auth::Role::viewer),
            [&services](const Call& call) { return metrics(services, call); }
        )
        .takes_query({"points"})
        .in_background();
}

}  // namespace headrace::api
