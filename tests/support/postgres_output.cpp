#include "support/postgres_output.hpp"

#include "app/process.hpp"
#include "base/ids.hpp"
#include "sink/postgres/postgres_sink.hpp"
#include "support/servers.hpp"

#include <fstream>
#include <iterator>

namespace headrace::support {

data::Batch numbers(int rows, std::int64_t v, int from) {
    data::Batch batch(data::Schema{
        {{.name = "id", .kind = data::Kind::int64}, {.name = "v", .kind = data::Kind::int64, .nullable = true}}});
    for (int i = from; i < from + rows; ++i) {
        batch.column(0).add_int64(i);
        batch.column(1).add_int64(v);
    }
    return batch;
}

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

PostgresOutput::PostgresOutput()
    : url_(servers().fresh_database()),
      db_(std::make_unique<postgres::Connection>(postgres::Connection::connect({.url = url_}))) {}

Load PostgresOutput::load(const OutputOptions& options, const data::Batch& batch) {
    pipeline::Definition definition;
    definition.name = "test";
    pipeline::Part part;
    part.type = "postgres";
    part.options.values = {{"table", options.table}, {"mode", options.mode}};
    part.options.lists["key"] = options.key;
    auto log = std::make_shared<std::string>();
    Load out{
        .sink = sink::postgres_sink::type({.url = url_}).make(definition, part, nullptr), .manifest = {}, .log = {}};
    try {
        out.sink->open(
            {.stop = {},
             .deadline = Deadline::in(std::chrono::seconds(60)),
             .pipeline = "test",
             .run_id = make_uuid_v7(),
             .attempt_id = make_uuid_v4(),
             .output_id = "7",
             .log = [log](
                        std::string_view level, std::string message
                    ) { *log += std::string(level) + ": " + message + "\n"; }},
            batch.schema()
        );
        if (batch.rows() > 0) {
            out.sink->stage(batch);
        }
        out.manifest = out.sink->seal();
    } catch (const Error&) {
        out.sink->discard();
        throw;
    }
    out.log = *log;
    return out;
}

std::string PostgresOutput::decide(const Load& load) {
    try {
        db_->transaction([&](postgres::Connection& c) {
            for (const auto& statement : load.manifest.statements) {
                c.exec(statement);
            }
        });
        return "";
    } catch (const Error& e) {
        return e.what();
    }
}

std::string PostgresOutput::write(const OutputOptions& options, const data::Batch& batch) {
    const auto loaded = load(options, batch);
    if (const auto problem = decide(loaded); !problem.empty()) {
        throw std::runtime_error("the decision failed: " + problem);
    }
    return loaded.log;
}

std::string PostgresOutput::refusal(const OutputOptions& options, const data::Batch& batch) {
    try {
        load(options, batch);
        return "";
    } catch (const Error& e) {
        return e.code() + ": " + e.message() + " | " + e.hint();
    }
}

std::string PostgresOutput::psql(const std::string& query) const {
    const auto file = servers().fresh_folder() + "/psql";
    app::ProcessSpec spec;
    spec.argv = {"psql", url_, "-X", "-At", "-P", "null=NULL", "-c", query};
    spec.env = {{"PGTZ", "UTC"}, {"PGDATESTYLE", "ISO"}};
    spec.log_file = file;
    app::ChildProcess::start(spec).wait(Deadline::in(std::chrono::seconds(30)), {});
    std::ifstream in(file, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    return text.empty() ? text : text.substr(0, text.size() - 1);
}

std::string PostgresOutput::value(const std::string& query) {
    const auto rows = db_->exec(query);
    return rows.empty() ? std::string() : std::string(rows.text(0, "x"));
}

void PostgresOutput::run(const std::string& sql) {
    db_->script(sql);
}

long PostgresOutput::stagings() {
    return std::stol(value("select count(*) as x from pg_tables where schemaname = 'headrace_staging'"));
}

}  // namespace headrace::support
