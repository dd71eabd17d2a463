// The postgres sink driven by hand, without a run: attempts that load, decisions that a test makes on its own
// connection.
#pragma once

#include "data/batch.hpp"
#include "pipeline/registry.hpp"
#include "postgres/connection.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace headrace::support {

struct OutputOptions {
    std::string table = "out.t";
    std::string mode = "replace";
    std::vector<std::string> key = {};
};

// A loaded attempt.
struct Load {
    std::unique_ptr<pipeline::Sink> sink;
    pipeline::Manifest manifest;
    std::string log;  // "info: …\nwarn: …\n"
};

// Rows (id, v): ids from `from` on, v the same in all.
data::Batch numbers(int rows, std::int64_t v, int from = 0);

bool holds(const std::string& text, const std::string& part);

// An empty database with one connection of the test's own.
class PostgresOutput {
public:
    PostgresOutput();

    // open, stage, seal; throws what the sink throws, after its discard().
    Load load(const OutputOptions& options, const data::Batch& batch);
    // Runs the statements in one transaction, as run::decide does; the server's message when it refused.
    std::string decide(const Load& load);
    // Both; the log of the load.
    std::string write(const OutputOptions& options, const data::Batch& batch);
    // Code and message of the Error that load() throws, "" when it throws none.
    std::string refusal(const OutputOptions& options, const data::Batch& batch);

    // What psql -At shows: columns with |, rows with a line end, nulls as NULL. Another client than ours.
    std::string psql(const std::string& query) const;
    // First column `x` of the first row.
    std::string value(const std::string& query);
    void run(const std::string& sql);
    long stagings();  // tables in the staging schema

    const std::string& url() const { return url_; }

    postgres::Connection& db() { return *db_; }

private:
    std::string url_;
    std::unique_ptr<postgres::Connection> db_;
};

}  // namespace headrace::support
