// The connection test of a BigQuery credential: gets a token, asks which projects it sees, and has a query checked
// without running it. Costs nothing.
#include "base/error.hpp"
#include "net/address.hpp"
#include "net/reach.hpp"
#include "source/bigquery/answer.hpp"
#include "source/bigquery/api.hpp"
#include "source/bigquery/bigquery.hpp"
#include "source/bigquery/config.hpp"
#include "source/bigquery/dom.hpp"

#include <fmt/core.h>

namespace headrace::source::bigquery {
namespace {

using pipeline::ConnectionTest;

// "http://host:port/path" → the way there.
net::Destination
destination(const std::string& text, const std::string& ca_file, const std::function<bool(const sockaddr*)>& egress) {
    const auto url = net::parse_url(text);
    const bool tls = url.scheme == "https";
    net::Destination out{{url.host, url.port_or(tls ? 443 : 80), ""}, std::nullopt, egress};
    if (tls) {
        out.tls.emplace().ca_file = ca_file;
    }
    return out;
}

std::string token_address(const Config& config) {
    return config.key.kind == AuthKind::metadata ? "http://" + config.metadata_host : config.key.token_uri;
}

std::string projects_seen(Api& api) {
    const auto answer = api.ask({"GET", "/bigquery/v2/projects?maxResults=5&prettyPrint=false", "", false});
    if (answer.refusal) {
        throw to_error(*answer.refusal, "list projects");
    }
    simdjson::dom::parser parser;
    dom::element document;
    std::string names;
    if (parser.parse(answer.body.data(), answer.body.size()).get(document) != simdjson::SUCCESS) {
        throw Error(ErrorKind::permanent, "source.bad_data", "the list of projects is no JSON");
    }
    if (const auto projects = dom::list(document, "projects")) {
        for (const auto& project : *projects) {
            names += (names.empty() ? "" : ", ") + dom::text(project, "id");
        }
    }
    return names.empty() ? "BigQuery answers; this account sees no project of its own" : "sees " + names;
}

std::string may_query(Api& api, const Config& config) {
    if (config.project.empty()) {
        return "not tried: neither credential nor key name a project; pipelines say `project`";
    }
    const auto answer = api.ask(dry_run_call(config));
    if (answer.refusal) {
        throw to_error(*answer.refusal, "check a query")
            .with_hint(fmt::format(
                "Give {} the role `BigQuery Job User` in project {}, and `BigQuery Data Viewer` on its datasets.",
                config.key.who(),
                config.project
            ));
    }
    return fmt::format("may run queries that project {} pays for", config.project);
}

void test(const pipeline::Credential& credential, ConnectionTest& test, std::function<bool(const sockaddr*)> egress) {
    Config config;
    test.step("host", [&] {
        config = connection_config(credential);
        config.query = "SELECT 1";
        config.request_timeout = std::chrono::seconds(15);
        return fmt::format("{} and {} are allowed", config.base_url, token_address(config));
    });
    const auto step = [&](std::string_view name, const auto& work) { test.step(name, work); };
    net::reach(destination(token_address(config), config.ca_file, egress), test.deadline(), test.stop(), step);
    Api api(config, egress);
    api.use({.stop = test.stop(), .deadline = test.deadline(), .run_id = {}, .attempt_id = {}, .log = {}});
    test.step(
        "login",
        [&] {
            api.check_token();
            return "got a token as " + config.key.who();
        },
        "Is the key still active (IAM, service accounts, keys), and this machine's clock right? Store a new key: "
        "headrace credential set NAME --kind bigquery --replace --secret-file key.json."
    );
    net::reach(destination(config.base_url, config.ca_file, egress), test.deadline(), test.stop(), step);
    api.use({.stop = test.stop(), .deadline = test.deadline(), .run_id = {}, .attempt_id = {}, .log = {}});
    test.step("call", [&] { return projects_seen(api); });
    test.step("permission", [&] { return may_query(api, config); });
}

}  // namespace

pipeline::CredentialType credential_type(std::function<bool(const sockaddr*)> egress_check) {
    return {"bigquery", [egress_check = std::move(egress_check)](const auto& credential, auto& steps) {
                test(credential, steps, egress_check);
            }};
}

}  // namespace headrace::source::bigquery
