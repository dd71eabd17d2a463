// What an HTTP source reads, checked. Made from the options of a pipeline here, or by a connector on top (Yespo).
#pragma once

#include "net/http_client.hpp"
#include "pipeline/registry.hpp"
#include "source/http/columns.hpp"
#include "source/http/page.hpp"
#include "source/options.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace headrace::source::http {

enum class PagingKind { none, page, offset, cursor, link };
enum class AuthKind { none, basic, bearer, header };

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Auth {
    AuthKind kind = AuthKind::none;
    std::string name;  // user; or the header's
    Secret secret;
    std::string credential;  // its name, for messages
    std::vector<std::string> allowed_hosts;
    std::string ca_file;  // "" = the system's
};

struct PagingPlan {
    PagingKind kind = PagingKind::none;
    std::string position;  // the parameter for page number, offset or cursor
    std::int64_t first = 0;
    std::string size;  // the parameter for page_rows; "": it is not sent
    std::int64_t page_rows = 0;
    std::string cursor, more, total;  // a pointer ("/meta/next") or a header; "": none
    bool total_is_hint = false;       // a wrong one is worth a remark
    std::int64_t overlap = 0;         // rows of the page before that are asked for again
    bool keyed = false;               // rows are told apart by their key
    bool probe_first = false;         // asks whether there is a row before the first
};

struct Config {
    std::string service;  // for messages: "the service", "Yespo"
    std::string url;
    std::string method = "GET";
    Pairs headers;
    Pairs query;
    std::string body;
    Auth auth;
    std::vector<Step> rows;
    bool single_as_list = false;
    Columns columns;
    std::optional<std::size_t> key;  // a column
    PagingPlan paging;
    PageBounds bounds;
    std::uint64_t max_pages = 0;
    std::uint64_t max_rows = 0;
    std::chrono::nanoseconds pace{0};  // between the beginnings of two requests
    Retrying retrying;
    std::chrono::milliseconds max_wait{0};     // of one wait
    std::chrono::milliseconds wait_budget{0};  // of all waits of an attempt
    std::chrono::milliseconds request_timeout{0};
    bool compress = true;
    bool follow_redirects = false;
};

std::vector<pipeline::OptionSpec> option_specs();

// The options that say how a source behaves towards its service; connectors on top offer them, too.
std::vector<pipeline::OptionSpec> conduct_specs();
void read_conduct(const pipeline::Part& part, Config& out);

// settings: auth (none, basic, bearer, header), user, header, ca_file. Throws config.invalid.
Auth read_auth(const pipeline::Credential& credential);
void authorize(net::HttpRequest& request, const Auth& auth);  // adds the header of the login
// Throws config.invalid or credential.host_denied when the secret may not go to this address.
void check_target(const Auth& auth, const std::string& url);

// Throws pipeline.invalid (options), config.invalid (credential), credential.host_denied.
Config make_config(const pipeline::Part& part, const pipeline::Credential& credential);

}  // namespace headrace::source::http
