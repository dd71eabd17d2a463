#include "source/http/config.hpp"

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "net/address.hpp"
#include "net/http_headers.hpp"
#include "source/http/paging.hpp"
#include "source/options.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::source::http {
namespace {

using pipeline::OptionKind;

bool is_loopback(std::string_view host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Pairs pairs_of(const pipeline::Part& part, std::string_view option) {
    Pairs out;
    const auto list = part.options.get_list(option);
    for (std::size_t i = 0; i + 1 < list.size(); i += 2) {
        out.emplace_back(list[i], list[i + 1]);
    }
    return out;
}

void check_url(const pipeline::Part& part, const std::string& text) {
    try {
        const auto url = net::parse_url(text);
        if ((url.scheme == "https" || url.scheme == "http") && url.user.empty() && url.password.empty() &&
            text.find('#') == std::string::npos) {
            return;
        }
    } catch (const Error&) {
        // the same sentence
    }
    refuse_option(part, "`url` is an address such as https://api.example.com/v1/orders, without user and fragment");
}

void read_columns(const pipeline::Part& part, Config& out) {
    for (const auto& [name, text] : pairs_of(part, "columns")) {
        auto column = parse_column(name, text);
        if (!column) {
            refuse_option(
                part,
                fmt::format(
                    "`columns.{0}`: `{1}` is no type with a pointer; write e.g. `{0}: int64!` or `{0}: string /a/b`",
                    name,
                    text
                )
            );
        }
        out.columns.push_back(std::move(*column));
    }
    const auto key = part.options.get("unique_by");
    if (key.empty()) {
        return;
    }
    const auto found =
        std::find_if(out.columns.begin(), out.columns.end(), [&](const auto& one) { return one.field.name == key; });
    if (found == out.columns.end() || found->field.kind != data::Kind::int64) {
        refuse_option(part, "`unique_by` names a column of type int64");
    }
    out.key = static_cast<std::size_t>(found - out.columns.begin());
}

PagingKind paging_kind(std::string_view word) {
    return word == "page"     ? PagingKind::page
           : word == "offset" ? PagingKind::offset
           : word == "cursor" ? PagingKind::cursor
           : word == "link"   ? PagingKind::link
                              : PagingKind::none;
}

void read_paging(const pipeline::Part& part, Config& out) {
    const auto& options = part.options;
    auto& plan = out.paging;
    const auto word = options.get("paging", "none");
    plan.kind = paging_kind(word);
    plan.position = options.get("position", word);
    plan.first = options.get_int("first", plan.kind == PagingKind::page ? 1 : 0);
    plan.size = options.get("size");
    plan.page_rows = options.get_int("page_rows");
    plan.cursor = options.get("cursor");
    plan.more = options.get("more");
    plan.total = options.get("total");
    plan.overlap = options.get_int("overlap");
    plan.keyed = out.key.has_value();
    if (plan.page_rows < 0 || plan.page_rows > 1'000'000) {
        refuse_option(part, "`page_rows` is between 0 (the service decides) and 1000000");
    }
    if (!plan.size.empty() && plan.page_rows == 0) {
        refuse_option(part, "`size` needs `page_rows`: how many rows to ask for");
    }
    if (plan.overlap < 0 || (plan.overlap > 0 && (plan.kind != PagingKind::offset || !plan.keyed))) {
        refuse_option(part, "`overlap` is for `paging: offset`, and needs `unique_by`");
    }
    if (plan.overlap > 0 && plan.page_rows > 0 && plan.overlap > plan.page_rows / 2) {
        refuse_option(part, "`overlap` is at most half of `page_rows`");
    }
    if (!plan.more.empty() && plan.kind != PagingKind::cursor) {
        refuse_option(part, "`more` is for `paging: cursor`");
    }
}

std::vector<pipeline::OptionSpec> paging_specs() {
    return {
        {"paging",
         OptionKind::choice,
         false,
         "none",
         "How further rows are asked for.",
         {"none", "page", "offset", "cursor", "link"}},
        {"position",
         OptionKind::text,
         false,
         "",
         "Parameter with the page number, offset or cursor; else page, offset or cursor.",
         {}},
        {"first", OptionKind::integer, false, "", "Number of the first page (else 1) or row (else 0).", {}},
        {"size", OptionKind::text, false, "", "Parameter that says how many rows to give.", {}},
        {"page_rows", OptionKind::integer, false, "0", "How many rows to ask for; 0: the service decides.", {}},
        {"cursor",
         OptionKind::text,
         false,
         "",
         "Where the next cursor stands: a JSON pointer, or the name of a header.",
         {},
         {"paging", {"cursor"}}},
        {"more", OptionKind::text, false, "", "Where it says true or false: there are more pages.", {}},
        {"total",
         OptionKind::text,
         false,
         "",
         "Where the number of all rows stands (pointer or header): must not change, and be met.",
         {}},
        {"unique_by", OptionKind::text, false, "", "An int64 column: rows whose value came before are dropped.", {}},
        {"overlap",
         OptionKind::integer,
         false,
         "0",
         "Rows of the page before that are asked for again, to see that none slipped out.",
         {}},
    };
}

}  // namespace

std::vector<pipeline::OptionSpec> option_specs() {
    std::vector<pipeline::OptionSpec> out = {
        {"url", OptionKind::text, true, "", "The address, e.g. https://api.example.com/v1/orders.", {}},
        {"columns",
         OptionKind::text_map,
         true,
         "",
         "Name to type and JSON pointer within a row: {id: int64!, mail: string /contact/email}.",
         {}},
        {"rows", OptionKind::text, false, "", "JSON pointer of the list of rows; else the answer is the list.", {}},
        {"method", OptionKind::choice, false, "GET", "How to ask.", {"GET", "POST"}},
        {"headers", OptionKind::text_map, false, "", "More headers; no secrets: those belong into the credential.", {}},
        {"query", OptionKind::text_map, false, "", "Parameters of every request.", {}},
        {"body",
         OptionKind::text,
         false,
         "",
         "Body of a POST; @page, @offset, @cursor and @limit in it become their values.",
         {}},
        {"single_as_list",
         OptionKind::boolean,
         false,
         "false",
         "An object where a list should be is a list of one.",
         {}},
    };
    for (auto& spec : paging_specs()) {
        out.push_back(std::move(spec));
    }
    out.push_back(
        {"follow_redirects", OptionKind::boolean, false, "false", "Within the same host, or without a credential.", {}}
    );
    for (auto& spec : conduct_specs()) {
        out.push_back(std::move(spec));
    }
    return out;
}

Auth read_auth(const pipeline::Credential& credential) {
    Auth out;
    if (credential.name.empty()) {
        return out;
    }
    const auto word = setting(credential, "auth", credential.secret.empty() ? "none" : "basic");
    constexpr std::pair<std::string_view, AuthKind> kinds[] = {
        {"none", AuthKind::none},
        {"basic", AuthKind::basic},
        {"bearer", AuthKind::bearer},
        {"header", AuthKind::header}};
    const auto* kind = std::find_if(std::begin(kinds), std::end(kinds), [&](const auto& k) { return k.first == word; });
    if (kind == std::end(kinds)) {
        throw Error(
            ErrorKind::invalid,
            "config.invalid",
            fmt::format("credential {}: `auth` is none, basic, bearer or header, found `{}`", credential.name, word)
        );
    }
    out.kind = kind->second;
    // Some gateways drop a Basic login with an empty user; where the key is all that counts, any name does.
    out.name = out.kind == AuthKind::header ? setting(credential, "header") : setting(credential, "user", "headrace");
    if (out.kind == AuthKind::header && out.name.empty()) {
        throw Error(
            ErrorKind::invalid,
            "config.invalid",
            fmt::format("credential {}: with `auth: header` the setting `header` is its name", credential.name)
        );
    }
    out.secret = credential.secret;
    out.credential = credential.name;
    out.allowed_hosts = credential.allowed_hosts;
    out.ca_file = setting(credential, "ca_file");
    return out;
}

void authorize(net::HttpRequest& request, const Auth& auth) {
    if (auth.kind == AuthKind::basic) {
        request.headers.emplace_back("Authorization", "Basic " + base64_encode(auth.name + ":" + auth.secret.reveal()));
    } else if (auth.kind == AuthKind::bearer) {
        request.headers.emplace_back("Authorization", "Bearer " + auth.secret.reveal());
    } else if (auth.kind == AuthKind::header) {
        request.headers.emplace_back(auth.name, auth.secret.reveal());
    }
    request.ca_file = auth.ca_file;
}

void check_target(const Auth& auth, const std::string& text) {
    if (auth.kind == AuthKind::none) {
        return;
    }
    const auto url = net::parse_url(text);
    if (url.scheme != "https" && !is_loopback(url.host)) {
        throw Error(
            ErrorKind::invalid,
            "config.invalid",
            fmt::format("credential {} may only be sent over https:// (http:// only to this machine)", auth.credential)
        );
    }
    const net::Address address{url.host, url.port_or(url.scheme == "https" ? 443 : 80), ""};
    pipeline::Credential credential;
    credential.allowed_hosts = auth.allowed_hosts;
    if (!host_allowed(credential, address)) {
        throw Error(
            ErrorKind::invalid,
            "credential.host_denied",
            fmt::format("credential {} may not be sent to {}", auth.credential, address.text())
        );
    }
}

Config make_config(const pipeline::Part& part, const pipeline::Credential& credential) {
    Config out;
    const auto& options = part.options;
    out.service = "the service";
    out.url = options.get("url");
    check_url(part, out.url);
    out.auth = read_auth(credential);
    check_target(out.auth, out.url);
    out.method = options.get("method", "GET");
    out.headers = pairs_of(part, "headers");
    const bool says_accept = std::any_of(out.headers.begin(), out.headers.end(), [](const auto& one) {
        return net::equal_no_case(one.first, "accept");
    });
    if (!says_accept) {
        out.headers.emplace_back("Accept", "application/json");
    }
    out.query = pairs_of(part, "query");
    out.body = options.get("body");
    if (!out.body.empty() && out.method == "GET") {
        refuse_option(part, "`body` needs `method: POST`");
    }
    if (!out.body.empty()) {
        out.headers.emplace_back("Content-Type", "application/json");
    }
    const auto rows = parse_path(options.get("rows"));
    if (!rows || std::any_of(rows->begin(), rows->end(), [](const Step& step) { return step.selects(); })) {
        refuse_option(part, "`rows` is a JSON pointer such as /data/items");
    }
    out.rows = *rows;
    out.single_as_list = options.get_bool("single_as_list");
    out.follow_redirects = options.get_bool("follow_redirects");
    read_columns(part, out);
    read_paging(part, out);
    read_conduct(part, out);
    return out;
}

}  // namespace headrace::source::http
