#include "source/bigquery/request.hpp"

#include "base/encoding.hpp"
#include "base/json_text.hpp"

#include <fmt/core.h>

namespace headrace::source::bigquery {
namespace {

constexpr std::string_view wait_milliseconds = "20000";  // within the two minutes that a silent server gets

std::string project_path(const Config& config) {
    return "/bigquery/v2/projects/" + percent_encode(config.project);
}

std::string with_location(const JobName& job, const Config& config, char separator) {
    const auto& location = job.location.empty() ? config.location : job.location;
    return location.empty() ? std::string() : separator + std::string("location=") + percent_encode(location);
}

std::string parameters_json(const Config& config) {
    std::string out;
    for (const auto& one : config.parameters) {
        out += fmt::format(
            R"({}{{"name":{},"parameterType":{{"type":{}}},"parameterValue":{{"value":{}}}}})",
            out.empty() ? "" : ",",
            json_string(one.name),
            json_string(one.type),
            json_string(one.value)
        );
    }
    return out;
}

// What jobs.query and the query configuration of jobs.insert have in common.
std::string query_members(const Config& config) {
    std::string out = fmt::format(
        R"("query":{},"useLegacySql":false,"useQueryCache":{})",
        json_string(config.query),
        config.use_query_cache ? "true" : "false"
    );
    if (!config.default_dataset.empty()) {
        out += fmt::format(
            R"(,"defaultDataset":{{"projectId":{},"datasetId":{}}})",
            json_string(config.default_project),
            json_string(config.default_dataset)
        );
    }
    if (config.maximum_bytes_billed) {
        out += fmt::format(R"(,"maximumBytesBilled":"{}")", *config.maximum_bytes_billed);
    }
    if (!config.parameters.empty()) {
        out += fmt::format(R"(,"parameterMode":"NAMED","queryParameters":[{}])", parameters_json(config));
    }
    return out;
}

}  // namespace

Call dry_run_call(const Config& config) {
    std::string body = "{" + query_members(config) + R"(,"dryRun":true)";
    if (!config.location.empty()) {
        body += ",\"location\":" + json_string(config.location);
    }
    return {"POST", project_path(config) + "/queries?prettyPrint=false", body + "}", false};
}

Call insert_call(const Config& config, const JobName& job, std::string_view run_id) {
    std::string labels = fmt::format(R"("headrace_run":{})", json_string(run_id));
    for (const auto& [name, value] : config.labels) {
        labels += "," + json_string(name) + ":" + json_string(value);
    }
    std::string reference =
        fmt::format(R"("projectId":{},"jobId":{})", json_string(config.project), json_string(job.id));
    if (!config.location.empty()) {
        reference += ",\"location\":" + json_string(config.location);
    }
    return {
        "POST",
        project_path(config) + "/jobs?prettyPrint=false",
        fmt::format(
            R"({{"jobReference":{{{}}},"configuration":{{"query":{{{}}},"labels":{{{}}}}}}})",
            reference,
            query_members(config),
            labels
        ),
        false};
}

Call get_job_call(const Config& config, const JobName& job) {
    return {
        "GET",
        project_path(config) + "/jobs/" + percent_encode(job.id) + "?prettyPrint=false" +
            with_location(job, config, '&'),
        "",
        false};
}

Call cancel_call(const Config& config, const JobName& job) {
    return {
        "POST",
        project_path(config) + "/jobs/" + percent_encode(job.id) + "/cancel?prettyPrint=false" +
            with_location(job, config, '&'),
        "",
        false};
}

Call wait_call(const Config& config, const JobName& job) {
    return {
        "GET",
        fmt::format(
            "{}/queries/{}?prettyPrint=false&maxResults=0&timeoutMs={}&formatOptions.useInt64Timestamp=true{}",
            project_path(config),
            percent_encode(job.id),
            wait_milliseconds,
            with_location(job, config, '&')
        ),
        "",
        false};
}

Call page_call(const Config& config, const JobName& job, std::string_view page_token) {
    auto path = fmt::format(
        "{}/queries/{}?prettyPrint=false&timeoutMs={}&formatOptions.useInt64Timestamp=true{}",
        project_path(config),
        percent_encode(job.id),
        wait_milliseconds,
        with_location(job, config, '&')
    );
    if (config.page_rows != 0) {
        path += "&maxResults=" + std::to_string(config.page_rows);
    }
    if (!page_token.empty()) {
        path += "&pageToken=" + percent_encode(page_token);
    }
    return {"GET", std::move(path), "", config.compress};
}

std::string job_id(std::string_view run_id, std::string_view attempt_id, std::string_view mark, int number) {
    return fmt::format("headrace-{}-{}-{}{}", run_id, attempt_id, mark, number);
}

}  // namespace headrace::source::bigquery
