#include "source/clickhouse/config.hpp"

#include "base/error.hpp"
#include "net/address.hpp"
#include "source/options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace headrace::source::clickhouse {
namespace {

using pipeline::OptionKind;

constexpr std::string_view default_block_rows = "16384";
constexpr std::uint64_t most_block_bytes = std::uint64_t{512} << 20;

// Names that are no settings of a query, or that this connector must decide itself.
constexpr std::string_view reserved[] = {
    "buffer_size",
    "compress",
    "database",
    "decompress",
    "default_format",
    "enable_http_compression",
    "http_write_exception_in_output_format",
    "param_",
    "password",
    "query",
    "query_id",
    "quota_key",
    "role",
    "send_progress_in_http_headers",
    "session_check",
    "session_id",
    "session_timeout",
    "user",
    "wait_end_of_query",
    "client_protocol_version",
    "output_format_binary_encode_types_in_binary_format",
    "output_format_native_encode_types_in_binary_format"};

std::vector<std::pair<std::string, std::string>> read_settings(const pipeline::Part& part) {
    std::vector<std::pair<std::string, std::string>> out;
    const auto list = part.options.get_list("settings");
    for (std::size_t i = 0; i + 1 < list.size(); i += 2) {
        const auto& name = list[i];
        if (std::find(std::begin(reserved), std::end(reserved), name) != std::end(reserved)) {
            refuse_option(part, fmt::format("`settings.{}` is decided by the connector", name));
        }
        if (name.ends_with("_overflow_mode") && list[i + 1] != "throw") {
            refuse_option(
                part,
                fmt::format("`settings.{}` must be throw: {} would cut the result without a word", name, list[i + 1])
            );
        }
        out.emplace_back(name, list[i + 1]);
    }
    return out;
}

std::vector<std::pair<std::string, std::string>> read_parameters(const pipeline::Part& part) {
    std::vector<std::pair<std::string, std::string>> out;
    const auto list = part.options.get_list("parameters");
    for (std::size_t i = 0; i + 1 < list.size(); i += 2) {
        const auto& name = list[i];
        const bool good = !name.empty() && (std::isdigit(static_cast<unsigned char>(name[0])) == 0) &&
                          std::all_of(name.begin(), name.end(), [](char c) {
                              return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
                          });
        if (!good) {
            refuse_option(part, fmt::format("`parameters.{}`: a name is letters, digits and _", name));
        }
        out.emplace_back(name, list[i + 1]);
    }
    return out;
}

void read_address(const pipeline::Credential& credential, Config& out) {
    const auto url = net::parse_url(setting(credential, "url"));
    if ((url.scheme != "http" && url.scheme != "https") || url.host.empty() || !url.user.empty() ||
        !url.query.empty()) {
        throw Error(
            ErrorKind::invalid,
            "config.invalid",
            fmt::format(
                "credential {}: `url` must look like https://host:8443, without user and without parameters",
                credential.name
            )
        );
    }
    const net::Address address{url.host, url.port_or(url.scheme == "https" ? 8443 : 8123), ""};
    if (!host_allowed(credential, address)) {
        throw Error(
            ErrorKind::invalid,
            "credential.host_denied",
            fmt::format("credential {} may not be sent to {}", credential.name, address.text())
        );
    }
    out.origin = fmt::format("{}://{}", url.scheme, address.text());
    out.base_url = out.origin + (url.path.empty() ? "/" : url.path);
}

}  // namespace

std::vector<pipeline::OptionSpec> option_specs() {
    return {
        {"query", OptionKind::sql, true, "", "The SELECT to run, without a FORMAT clause.", {}},
        {"database", OptionKind::text, false, "", "Database for names without one; else that of the credential.", {}},
        {"settings",
         OptionKind::text_map,
         false,
         "",
         "Settings of the query, e.g. {max_memory_usage: 2000000000}.",
         {}},
        {"parameters",
         OptionKind::text_map,
         false,
         "",
         "Values for {name:Type} in the query, e.g. {country: UA}; needs ClickHouse 19.14.",
         {}},
        {"format",
         OptionKind::choice,
         false,
         "native",
         "native: blocks of columns. row_binary: RowBinaryWithNamesAndTypes, row by row, for servers from 20 on.",
         {"native", "row_binary"}},
        {"compress",
         OptionKind::boolean,
         false,
         "false",
         "The result comes as gzip: less network, more CPU on both sides.",
         {}},
        {"max_block_size",
         OptionKind::integer,
         false,
         default_block_rows,
         "Rows that the server sends in one block.",
         {}},
        {"max_block_bytes", OptionKind::bytes, false, "64MiB", "A larger block fails the run; up to 512MiB.", {}},
        {"wait_end_of_query",
         OptionKind::boolean,
         false,
         "true",
         "The server keeps the result until the query has ended, so that its status is true. false: the first rows "
         "come sooner.",
         {}},
    };
}

Config connection_config(const pipeline::Credential& credential) {
    Config out;
    read_address(credential, out);
    out.user = setting(credential, "user", "default");
    out.password = credential.secret;
    out.database = setting(credential, "database");
    out.ca_file = setting(credential, "ca_file");
    return out;
}

Config make_config(const pipeline::Part& part, const pipeline::Credential& credential) {
    auto out = connection_config(credential);
    out.database = part.options.get("database", out.database);
    out.query = query_of(part);
    out.settings = read_settings(part);
    out.parameters = read_parameters(part);
    out.compress = part.options.get_bool("compress", false);
    const auto rows = part.options.get_int("max_block_size", 16'384);
    const auto bytes = part.options.get_int("max_block_bytes", 64 << 20);
    if (rows < 1 || rows > 10'000'000) {
        refuse_option(part, "`max_block_size` is between 1 and 10000000 rows");
    }
    if (bytes < 1 << 20 || static_cast<std::uint64_t>(bytes) > most_block_bytes) {
        refuse_option(part, "`max_block_bytes` is between 1MiB and 512MiB");
    }
    out.max_block_size = static_cast<std::uint64_t>(rows);
    out.max_block_bytes = static_cast<std::uint64_t>(bytes);
    out.wait_end_of_query = part.options.get_bool("wait_end_of_query", true);
    out.row_binary = part.options.get("format", "native") == "row_binary";
    if (out.row_binary && !out.wait_end_of_query) {
        refuse_option(
            part,
            "`format: row_binary` needs `wait_end_of_query: true`: without marks between rows only the status after "
            "the "
            "end proves that they are all"
        );
    }
    return out;
}

}  // namespace headrace::source::clickhouse
