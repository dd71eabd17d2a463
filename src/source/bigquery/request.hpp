// The HTTP requests that the connector sends, without the token. Pure: nothing is sent here.
#pragma once

#include "source/bigquery/config.hpp"

#include <string>
#include <string_view>

namespace headrace::source::bigquery {

struct Call {
    std::string method = "GET";
    std::string path;    // behind the base URL, with its parameters
    std::string body;    // JSON
    bool large = false;  // a page: may come compressed
};

struct JobName {
    std::string id;
    std::string location;  // as BigQuery said; "" = not known yet
};

Call dry_run_call(const Config& config);
// `run_id` becomes a label.
Call insert_call(const Config& config, const JobName& job, std::string_view run_id);
Call get_job_call(const Config& config, const JobName& job);
Call cancel_call(const Config& config, const JobName& job);
// Waits at the server for the job's end; the answer has columns and `totalRows`, no rows.
Call wait_call(const Config& config, const JobName& job);
Call page_call(const Config& config, const JobName& job, std::string_view page_token);

// Only from ids of ours; "-" stays. `mark` tells several queries of one attempt apart.
std::string job_id(std::string_view run_id, std::string_view attempt_id, std::string_view mark, int number);

}  // namespace headrace::source::bigquery
