// The options of a BigQuery source and its credential, checked.
#pragma once

#include "pipeline/registry.hpp"
#include "source/bigquery/key.hpp"
#include "source/options.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace headrace::source::bigquery {

struct QueryParameter {
    std::string name;
    std::string type;  // "STRING", "INT64", …
    std::string value;
};

enum class ReadBy { choice, rest, storage };  // choice: see read.cpp

struct Config {
    std::string base_url;     // "https://bigquery.googleapis.com", without a slash at its end
    std::string storage_url;  // of the Storage Read API; "" = it is not to be used
    std::string no_storage;   // why it cannot be, where it should
    std::string ca_file;      // "" = the system's
    std::string metadata_host;
    Key key;

    std::string project;   // is billed
    std::string location;  // "" = where BigQuery finds the data
    std::string default_project;
    std::string default_dataset;
    std::string query;
    std::vector<QueryParameter> parameters;
    std::vector<std::pair<std::string, std::string>> labels;
    std::optional<std::uint64_t> maximum_bytes_billed;
    ReadBy read = ReadBy::choice;
    int max_streams = 1;  // of a read session
    bool dry_run = true;
    bool use_query_cache = true;
    bool compress = true;
    std::uint64_t page_rows = 0;  // 0 = BigQuery decides
    std::uint64_t max_row_bytes = 0;
    Retrying retrying;
    std::chrono::milliseconds request_timeout{0};
};

std::vector<pipeline::OptionSpec> option_specs();

// What the credential alone says: key, addresses, project ("" when it names none). Throws config.invalid,
// credential.host_denied.
Config connection_config(const pipeline::Credential& credential);

// Throws pipeline.invalid (options), config.invalid (credential), credential.host_denied.
Config make_config(const pipeline::Part& part, const pipeline::Credential& credential);

}  // namespace headrace::source::bigquery
