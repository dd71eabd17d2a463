// One query as a job at BigQuery: what it would read, start, wait, what it cost, cancel. One thread.
//
// Errors: those of api.hpp and of refusal.hpp; source.cost (permanent) when the dry run is above the limit.
#pragma once

#include "source/bigquery/answer.hpp"
#include "source/bigquery/api.hpp"

namespace headrace::source::bigquery {

struct Result {
    Columns columns;
    std::uint64_t rows = 0;  // totalRows
};

class QueryJob {
public:
    // Both outlive it. `mark`: part of the job's id, for a second query of the same attempt.
    QueryJob(const Config& config, Api& api, std::string_view mark = "") : config_(config), api_(api), mark_(mark) {}

    ~QueryJob() { cancel(); }

    QueryJob(const QueryJob&) = delete;
    QueryJob& operator=(const QueryJob&) = delete;

    void estimate();  // dry run
    // Starts a job and waits for its end; a job that BigQuery lost by its own fault is started anew, up to three times.
    Result run();
    // After run(): the table that holds the result.
    TableName destination();
    // After the last row: the job once more, for its verdict and its cost.
    void settle();

    const JobName& name() const { return job_; }

private:
    void start();
    void adopt();
    std::optional<Result> wait();
    Job ask_job(std::string_view doing);
    void cancel() noexcept;  // when it may still run; 5 s at most
    void say(std::string_view level, std::string message) const;

    const Config& config_;
    Api& api_;
    std::string mark_;
    JobName job_;
    int number_ = 0;
    bool running_ = false;         // sent and not known to have ended
    std::optional<Refusal> lost_;  // why the last job is worth another
};

}  // namespace headrace::source::bigquery
