// The HTTP requests that the connector sends. Pure: nothing is sent here.
#pragma once

#include "base/deadline.hpp"
#include "net/http_client.hpp"
#include "source/clickhouse/config.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::source::clickhouse {

// Settings that the connector wants for itself; those of the user win. Left out for a user who may not set any
// (readonly=1). `server_major`: first number of the server's version.
std::vector<std::pair<std::string, std::string>>
wanted_settings(const Config& config, Deadline deadline, int server_major);

struct Ask {
    std::string sql;
    std::string query_id;                                         // "" = the server makes one
    std::vector<std::pair<std::string, std::string>> parameters;  // settings and protocol parameters
    std::string_view format = "TabSeparated";
    bool query_parameters = false;  // send those of the configuration: the SQL is the user's
    bool compress = false;          // takes gzip; the server sends it with enable_http_compression=1
};

// POST with the query as the body; user and password in headers.
net::HttpRequest make_request(const Config& config, const Ask& ask, Deadline deadline);

// A literal (quote ') or a name (quote `).
std::string quoted(std::string_view text, char quote);
std::string kill_sql(std::string_view query_id);
std::string describe_sql(std::string_view query);
inline constexpr std::string_view server_sql =
    "SELECT version(), max(value) FROM system.settings WHERE name = 'readonly'";

// Lines of TabSeparated into cells, escapes undone.
std::vector<std::vector<std::string>> parse_tsv(std::string_view text);

}  // namespace headrace::source::clickhouse
