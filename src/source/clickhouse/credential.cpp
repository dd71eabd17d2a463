// The connection test of a ClickHouse credential: reads the server's version and what the user may see.
#include "base/error.hpp"
#include "net/address.hpp"
#include "net/reach.hpp"
#include "source/clickhouse/clickhouse.hpp"
#include "source/clickhouse/config.hpp"
#include "source/clickhouse/server.hpp"

#include <fmt/core.h>

namespace headrace::source::clickhouse {
namespace {

using pipeline::ConnectionTest;

constexpr std::string_view tables_sql =
    "SELECT count(), sum(database = currentDatabase()), currentDatabase() FROM system.tables WHERE database NOT IN "
    "('system', 'information_schema', 'INFORMATION_SCHEMA')";
constexpr std::string_view readonly_sql = "SELECT value FROM system.settings WHERE name = 'readonly'";

std::string rights(Server& server, const ConnectionTest& test, const Config& config) {
    const auto seen = server.ask_row(tables_sql, 3, test.deadline());
    if (seen[0] == "0") {
        throw Error(ErrorKind::permanent, "source.auth", fmt::format("user {} sees no table at all", config.user))
            .with_hint(fmt::format("On the server: GRANT SELECT ON {}.* TO {}.", seen[2], config.user));
    }
    std::string writes = "whether it may write is not told";
    try {
        const auto readonly = server.ask_row(readonly_sql, 1, test.deadline())[0];
        writes = readonly == "0" ? "it may also write (a user with readonly = 1 or 2 is enough)"
                                 : fmt::format("it may only read (readonly = {})", readonly);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled) {
            throw;
        }
    }
    return fmt::format("sees {} tables, {} of them in database {}; {}", seen[0], seen[1], seen[2], writes);
}

void test(const pipeline::Credential& credential, ConnectionTest& test, std::function<bool(const sockaddr*)> egress) {
    Config config;
    test.step("host", [&] {
        config = connection_config(credential);
        return fmt::format("{} is in the credential's allowed hosts", config.origin);
    });
    const auto url = net::parse_url(config.base_url);
    net::Destination to{{url.host, url.port_or(url.scheme == "https" ? 8443 : 8123), ""}, std::nullopt, egress};
    if (url.scheme == "https") {
        to.tls.emplace().ca_file = config.ca_file;
    }
    net::reach(to, test.deadline(), test.stop(), [&](auto name, const auto& work) { test.step(name, work); });
    Server server(config, egress);
    server.use({.stop = test.stop(), .deadline = test.deadline(), .run_id = {}, .attempt_id = {}, .log = {}});
    test.step(
        "login",
        [&] {
            server.ask_row("SELECT 1", 1);
            return fmt::format("as user {}", config.user);
        },
        "Is the setting `user` right (-s user=NAME), and the password? Store both again: headrace credential set NAME "
        "--replace."
    );
    test.step("call", [&] { return "ClickHouse " + server.ask_row("SELECT version()", 1)[0]; });
    test.step("permission", [&] { return rights(server, test, config); });
}

}  // namespace

pipeline::CredentialType credential_type(std::function<bool(const sockaddr*)> egress_check) {
    return {"clickhouse", [egress_check = std::move(egress_check)](const auto& credential, auto& steps) {
                test(credential, steps, egress_check);
            }};
}

}  // namespace headrace::source::clickhouse
