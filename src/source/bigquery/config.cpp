#include "source/bigquery/config.hpp"

#include "base/error.hpp"
#include "net/address.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <string_view>

namespace headrace::source::bigquery {
namespace {

using pipeline::OptionKind;

constexpr std::string_view google = "https://bigquery.googleapis.com";
constexpr std::string_view google_storage = "https://bigquerystorage.googleapis.com";
constexpr std::string_view google_metadata = "metadata.google.internal";
constexpr std::int64_t row_bytes_limit = std::int64_t{256} << 20;

constexpr std::string_view parameter_types[] = {
    "STRING",
    "INT64",
    "FLOAT64",
    "NUMERIC",
    "BIGNUMERIC",
    "BOOL",
    "BYTES",
    "DATE",
    "DATETIME",
    "TIME",
    "TIMESTAMP",
    "JSON"};

bool is_loopback(std::string_view host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

// Secrets and tokens go there: only over TLS, and only where the credential allows it.
std::string checked_url(const pipeline::Credential& credential, std::string_view what, const std::string& text) {
    const auto url = net::parse_url(text);
    const bool plain = url.scheme == "http" && is_loopback(url.host);
    if ((url.scheme != "https" && !plain) || url.host.empty() || !url.user.empty() || !url.query.empty()) {
        throw Error(
            ErrorKind::invalid,
            "config.invalid",
            fmt::format(
                "credential {}: `{}` must be an https:// address without user and parameters (http:// only to this "
                "machine)",
                credential.name,
                what
            )
        );
    }
    const net::Address address{url.host, url.port_or(url.scheme == "https" ? 443 : 80), ""};
    if (!host_allowed(credential, address)) {
        throw Error(
            ErrorKind::invalid,
            "credential.host_denied",
            fmt::format("credential {} may not be sent to {} (`{}`)", credential.name, address.text(), what)
        );
    }
    std::string out = text;
    while (out.ends_with('/')) {
        out.pop_back();
    }
    return out;
}

void read_credential(const pipeline::Credential& credential, Config& out) {
    if (setting(credential, "auth") == "metadata") {
        out.key.kind = AuthKind::metadata;
        out.metadata_host = setting(credential, "metadata_host", google_metadata);
    } else {
        try {
            out.key = parse_key(credential.secret.reveal());
        } catch (Error& error) {
            throw Error(error.within(fmt::format("credential {}", credential.name)));
        }
        out.key.token_uri = checked_url(credential, "token_uri", setting(credential, "token_uri", out.key.token_uri));
    }
    out.base_url = checked_url(credential, "url", setting(credential, "url", google));
    out.ca_file = setting(credential, "ca_file");
}

// Whether the order of the rows may be meant; rather once too often.
bool has_order(std::string_view query) {
    std::string words;  // small letters, single blanks
    for (const char c : query) {
        const bool blank = static_cast<unsigned char>(c) <= ' ';
        if (!blank) {
            words += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        } else if (!words.empty() && words.back() != ' ') {
            words += ' ';
        }
    }
    return words.find("order by") != std::string::npos;
}

// Without an address of its own the Storage Read API is Google's, and only beside Google's own BigQuery.
void read_storage(const pipeline::Part& part, const pipeline::Credential& credential, Config& out) {
    const auto read = part.options.get("read", "auto");
    out.read = read == "rest" ? ReadBy::rest : read == "storage" ? ReadBy::storage : ReadBy::choice;
    if (out.read == ReadBy::rest) {
        return;
    }
    const auto named = setting(credential, "storage_url");
    const auto host = net::parse_url(std::string(google_storage)).host;
    if (!named.empty()) {
        out.storage_url = checked_url(credential, "storage_url", named);
    } else if (out.base_url != google) {  // another place, which need not have it
        if (out.read == ReadBy::storage) {
            refuse_option(part, "`read: storage`: the credential has another `url` and no `storage_url`");
        }
    } else if (out.read == ReadBy::storage || host_allowed(credential, {host, 443, ""})) {
        out.storage_url = checked_url(credential, "storage_url", std::string(google_storage));
    } else {
        out.no_storage = fmt::format("the credential may not be sent to {}", host);
    }
    const auto streams = part.options.get_int("max_streams", 4);
    if (streams < 1 || streams > 16) {
        refuse_option(part, "`max_streams` is between 1 and 16");
    }
    out.max_streams = has_order(out.query) ? 1 : static_cast<int>(streams);
}

void read_parameters(const pipeline::Part& part, Config& out) {
    const auto values = part.options.get_list("parameters");
    const auto types = part.options.get_list("parameter_types");
    for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
        if (values[i] == "cursor_from" || values[i] == "cursor_to") {
            refuse_option(part, fmt::format("`parameters.{}` is the incremental read's own", values[i]));
        }
        out.parameters.push_back({values[i], "STRING", values[i + 1]});
    }
    for (std::size_t i = 0; i + 1 < types.size(); i += 2) {
        const auto it = std::find_if(out.parameters.begin(), out.parameters.end(), [&](const QueryParameter& one) {
            return one.name == types[i];
        });
        if (it == out.parameters.end()) {
            refuse_option(part, fmt::format("`parameter_types.{0}`: there is no parameter `{0}`", types[i]));
        }
        if (std::find(std::begin(parameter_types), std::end(parameter_types), types[i + 1]) ==
            std::end(parameter_types)) {
            refuse_option(
                part,
                fmt::format("`parameter_types.{}`: `{}` is no type of a parameter, e.g. INT64", types[i], types[i + 1])
            );
        }
        it->type = types[i + 1];
    }
}

// Google's rule: at most 63 small letters, digits, _ and -; a key begins with a letter.
bool is_label(std::string_view text, bool key) {
    return text.size() <= 63 && (!key || (!text.empty() && text[0] >= 'a' && text[0] <= 'z')) &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
           });
}

void read_labels(const pipeline::Part& part, Config& out) {
    const auto list = part.options.get_list("labels");
    for (std::size_t i = 0; i + 1 < list.size(); i += 2) {
        if (!is_label(list[i], true) || !is_label(list[i + 1], false)) {
            refuse_option(
                part,
                fmt::format("`labels.{}`: at most 63 of a-z, 0-9, _ and -, and a name begins with a letter", list[i])
            );
        }
        out.labels.emplace_back(list[i], list[i + 1]);
    }
}

void read_names(const pipeline::Part& part, Config& out) {
    out.project = part.options.get("project", out.project);
    if (out.project.empty()) {
        refuse_option(part, "`project` is missing: the project that pays for the query (or set it in the credential)");
    }
    out.location = part.options.get("location", out.location);
    const auto dataset = part.options.get("default_dataset");
    const auto dot = dataset.rfind('.');
    out.default_project = dot == std::string::npos ? out.project : dataset.substr(0, dot);
    out.default_dataset = dot == std::string::npos ? dataset : dataset.substr(dot + 1);
    if (!dataset.empty() && (out.default_dataset.empty() || out.default_project.empty())) {
        refuse_option(part, "`default_dataset` is written dataset or project.dataset");
    }
}

void read_bounds(const pipeline::Part& part, Config& out) {
    const auto& options = part.options;
    if (options.has("maximum_bytes_billed") && !options.get("maximum_bytes_billed").empty()) {
        out.maximum_bytes_billed = static_cast<std::uint64_t>(options.get_int("maximum_bytes_billed"));
    }
    out.page_rows = static_cast<std::uint64_t>(
        bounded(part, "page_rows", 0, 10'000'000, "between 0 (BigQuery decides) and 10000000")
    );
    out.max_row_bytes =
        static_cast<std::uint64_t>(bounded(part, "max_row_bytes", 64 << 10, row_bytes_limit, "between 64KiB and 256MiB")
        );
    out.retrying = retrying_of(part);
    out.request_timeout = std::chrono::milliseconds(
        bounded(part, "request_timeout", 100, std::numeric_limits<std::int64_t>::max(), "at least 100ms")
    );
}

}  // namespace

std::vector<pipeline::OptionSpec> option_specs() {
    return {
        {"query", OptionKind::sql, true, "", "The SELECT to run, in GoogleSQL.", {}},
        {"project", OptionKind::text, false, "", "Project that pays; else that of the credential.", {}},
        {"default_dataset",
         OptionKind::text,
         false,
         "",
         "For table names without one: dataset or project.dataset.",
         {}},
        {"location", OptionKind::text, false, "", "Where the job runs, e.g. EU; else where the data is.", {}},
        {"parameters", OptionKind::text_map, false, "", "Values for @name in the query, e.g. {country: UA}.", {}},
        {"parameter_types",
         OptionKind::text_map,
         false,
         "",
         "Their types where they are not STRING, e.g. {since: DATE}.",
         {}},
        {"labels", OptionKind::text_map, false, "", "Labels of the job, beside headrace_run.", {}},
        {"maximum_bytes_billed",
         OptionKind::bytes,
         false,
         "",
         "A query that would be billed for more is refused before it costs anything.",
         {}},
        {"dry_run",
         OptionKind::boolean,
         false,
         "true",
         "Ask first what the query will read, for the log and for `maximum_bytes_billed`.",
         {}},
        {"read",
         OptionKind::choice,
         false,
         "auto",
         "How rows come: `storage` (Storage Read, gRPC), `rest`, or `auto`: storage when the result is larger than a "
         "page.",
         {"auto", "rest", "storage"}},
        {"max_streams",
         OptionKind::integer,
         false,
         "4",
         "Storage Read: streams read at once; 1 for a query with ORDER BY.",
         {}},
        {"use_query_cache", OptionKind::boolean, false, "true", "Let BigQuery answer from its cache.", {}},
        {"compress", OptionKind::boolean, false, "true", "Pages come as gzip: less network, more CPU.", {}},
        {"page_rows", OptionKind::integer, false, "0", "Most rows of one page; 0: BigQuery decides.", {}},
        {"max_row_bytes", OptionKind::bytes, false, "32MiB", "A larger row fails the run; up to 256MiB.", {}},
        retries_spec(),
        backoff_spec(),
        {"request_timeout",
         OptionKind::duration,
         false,
         "10m",
         "Longest time that BigQuery may take for one page; two minutes of silence end it too.",
         {}},
    };
}

Config connection_config(const pipeline::Credential& credential) {
    Config out;
    read_credential(credential, out);
    out.project = setting(credential, "project", out.key.project);
    out.location = setting(credential, "location");
    return out;
}

Config make_config(const pipeline::Part& part, const pipeline::Credential& credential) {
    auto out = connection_config(credential);
    read_names(part, out);
    out.query = query_of(part);
    read_storage(part, credential, out);
    read_parameters(part, out);
    read_labels(part, out);
    read_bounds(part, out);
    out.dry_run = part.options.get_bool("dry_run", true);
    out.use_query_cache = part.options.get_bool("use_query_cache", true);
    out.compress = part.options.get_bool("compress", true);
    return out;
}

}  // namespace headrace::source::bigquery
