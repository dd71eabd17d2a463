// The options of a ClickHouse source and its credential, checked.
#pragma once

#include "base/secret.hpp"
#include "pipeline/registry.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace headrace::source::clickhouse {

struct Config {
    std::string base_url;  // "https://ch.example:8443/", ends with the path
    std::string origin;    // "https://ch.example:8443": for messages
    std::string user;
    Secret password;
    std::string database;                                         // "" = the user's own
    std::string ca_file;                                          // "" = the system's
    std::string query;                                            // without a ';' at its end
    std::vector<std::pair<std::string, std::string>> settings;    // of the user
    std::vector<std::pair<std::string, std::string>> parameters;  // values for {name:Type}
    bool compress = false;
    bool row_binary = false;           // RowBinaryWithNamesAndTypes instead of Native
    std::uint64_t max_block_size = 0;  // rows
    std::uint64_t max_block_bytes = 0;
    bool wait_end_of_query = true;
};

std::vector<pipeline::OptionSpec> option_specs();

// What the credential alone says: addresses, user, password. Throws config.invalid, credential.host_denied.
Config connection_config(const pipeline::Credential& credential);

// Throws pipeline.invalid (options), config.invalid (credential settings), credential.host_denied.
Config make_config(const pipeline::Part& part, const pipeline::Credential& credential);

}  // namespace headrace::source::clickhouse
