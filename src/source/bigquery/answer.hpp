// The small documents of the REST API: what stands around the rows of a page, and the state of a job. Pure.
//
// Errors: source.bad_data (permanent) for text that is no such document, source.unsupported for nesting beyond 32.
#pragma once

#include "source/bigquery/refusal.hpp"
#include "source/bigquery/schema.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::source::bigquery {

// jobs.query and jobs.getQueryResults.
struct Envelope {
    bool complete = false;  // jobComplete
    std::string job_id;
    std::string location;
    std::string page_token;
    std::optional<std::uint64_t> total_rows;
    std::optional<std::uint64_t> bytes_processed;
    std::optional<Columns> columns;
    std::string warning;  // first of errors[]: no failure
    std::optional<Refusal> error;
};

// `text` without the rows ("rows":[] in their place). `status` goes into `error`.
Envelope parse_envelope(std::string_view text, int status = 200);

struct TableName {
    std::string project;
    std::string dataset;
    std::string table;
};

// jobs.insert, jobs.get.
struct Job {
    std::string id;
    std::string location;
    std::string state;             // PENDING, RUNNING, DONE
    std::string query;             // as BigQuery has it
    TableName destination;         // where its result is; empty: not said
    std::optional<Refusal> error;  // errorResult: it failed
    std::optional<std::uint64_t> bytes_billed;
    std::optional<std::uint64_t> bytes_processed;
    bool cache_hit = false;
};

Job parse_job(std::string_view text);

}  // namespace headrace::source::bigquery
