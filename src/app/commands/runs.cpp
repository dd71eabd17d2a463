// headrace runs: the history, or one run with its steps and last log lines.
#include "app/commands.hpp"
#include "app/context.hpp"
#include "app/run_watch.hpp"
#include "base/units.hpp"

#include <fmt/core.h>

namespace headrace::app {
namespace {

void list(postgres::Connection& db, const std::string& pipeline, int count) {
    const auto rows = db.exec(
        "select run_id, pipeline, state, trigger, to_char(queued_at, 'YYYY-MM-DD HH24:MI:SS') as queued, attempt - "
        "spared "
        "as tries, "
        "rows_written,"
        " coalesce(floor(extract(epoch from coalesce(finished_at, now()) - started_at) * 1000)::bigint, 0) as duration,"
        " coalesce(error->>'code', reason, '') as problem from etl_runs where $1 = '' or pipeline = $1"
        " order by queued_at desc, run_id desc limit $2",
        {pipeline, count}
    );
    fmt::print(
        "{:36}  {:20}  {:11}  {:19} UTC  {:8}  {:>3}  {:>12}  {:>8}  {}\n",
        "RUN",
        "PIPELINE",
        "STATE",
        "QUEUED",
        "TRIGGER",
        "TRY",
        "ROWS",
        "TIME",
        "PROBLEM"
    );
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        fmt::print(
            "{:36}  {:20}  {:11}  {:19}      {:8}  {:>3}  {:>12}  {:>8}  {}\n",
            rows.text(i, "run_id"),
            rows.text(i, "pipeline"),
            rows.text(i, "state"),
            rows.text(i, "queued"),
            rows.text(i, "trigger"),
            rows.text(i, "tries"),
            rows.text(i, "rows_written"),
            format_duration(std::chrono::milliseconds(rows.integer(i, "duration"))),
            rows.text(i, "problem")
        );
    }
}

void show(postgres::Connection& db, const std::string& run_id) {
    const auto view = view_run(db, run_id);
    fmt::print("{}  {}  {}\n", view.run_id, view.pipeline, view.state);
    fmt::print(
        "rows {} read, {} written · {} · {}\n",
        view.rows_read,
        view.rows,
        format_bytes(static_cast<std::uint64_t>(view.bytes)),
        format_duration(std::chrono::milliseconds(view.duration_ms))
    );
    if (!view.error.empty()) {
        fmt::print("{}\n", view.error);
    }
    const auto steps = db.exec(
        "select attempt, step, state, rows, coalesce(detail, '') as detail,"
        " coalesce(floor(extract(epoch from finished_at - started_at) * 1000)::bigint, 0) as ms from etl_steps where "
        "run_id = $1"
        " order by attempt, started_at",
        {run_id}
    );
    for (std::size_t i = 0; i < steps.rows(); ++i) {
        fmt::print(
            "  attempt {}  {:10} {:8} {:>9}  {:>12} rows  {}\n",
            steps.text(i, "attempt"),
            steps.text(i, "step"),
            steps.text(i, "state"),
            format_duration(std::chrono::milliseconds(steps.integer(i, "ms"))),
            steps.text(i, "rows"),
            steps.text(i, "detail")
        );
    }
    const auto lines = db.exec(
        "select * from (select seq, to_char(at, 'HH24:MI:SS.MS') as at, level, coalesce(step, '') as step, message "
        "from etl_logs"
        " where run_id = $1 order by seq desc limit 50) l order by seq",
        {run_id}
    );
    for (std::size_t i = 0; i < lines.rows(); ++i) {
        fmt::print(
            "{:>5} {} {:5} {:9} {}\n",
            lines.text(i, "seq"),
            lines.text(i, "at"),
            lines.text(i, "level"),
            lines.text(i, "step"),
            lines.text(i, "message")
        );
    }
}

}  // namespace

void add_runs(CLI::App& app, Run& chosen) {
    auto* command = app.add_subcommand("runs", "Show the run history, or one run");
    auto run_id = std::make_shared<std::string>();
    auto pipeline = std::make_shared<std::string>();
    auto count = std::make_shared<int>(20);
    command->add_option("run", *run_id, "Run id; none: the newest runs");
    command->add_option("--pipeline", *pipeline, "Only runs of this pipeline");
    command->add_option("-n", *count, "How many")->check(CLI::Range(1, 1000));
    command->callback([&chosen, run_id, pipeline, count] {
        chosen = [=] {
            auto db = Context::load().connect_db();
            if (run_id->empty()) {
                list(db, *pipeline, *count);
            } else {
                show(db, *run_id);
            }
            return 0;
        };
    });
}

}  // namespace headrace::app
