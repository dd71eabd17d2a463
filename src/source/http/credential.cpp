// The connection test of an HTTP credential: asks its address with the login, and says what the service made of it.
#include "base/error.hpp"
#include "net/http_client.hpp"
#include "net/reach.hpp"
#include "source/http/api.hpp"
#include "source/http/http.hpp"
#include "source/options.hpp"

#include <fmt/core.h>

namespace headrace::source::http {
namespace {

using pipeline::ConnectionTest;
using pipeline::Credential;

struct Place {
    Auth auth;
    std::string url;
    bool proves_login = false;  // `test_url`: its answer depends on the login
};

Place place_of(const Credential& credential) {
    Place out;
    out.auth = read_auth(credential);
    out.url = setting(credential, "test_url");
    out.proves_login = !out.url.empty();
    if (out.url.empty()) {
        out.url = setting(credential, "url");
    }
    if (out.url.empty() && !credential.allowed_hosts.empty()) {
        out.url = "https://" + credential.allowed_hosts.front() + "/";
    }
    if (out.url.empty()) {
        throw Error(
            ErrorKind::invalid, "config.invalid", fmt::format("credential {} says nowhere to call", credential.name)
        )
            .with_hint("Store it again with the setting test_url: an address that only the right login may read.");
    }
    check_target(out.auth, out.url);
    return out;
}

std::string call(const Place& place, const net::HttpClientOptions& options, const ConnectionTest& test) {
    net::HttpRequest request;
    request.url = place.url;
    request.headers = {{"Accept", "application/json"}};
    authorize(request, place.auth);
    request.deadline = test.deadline();
    net::HttpClient client(options);
    try {
        auto response = client.start(request, test.stop());
        const int status = response.status();
        if (status == 401 || status == 403 || status == 407) {
            throw Error(
                ErrorKind::unauthorized, "source.auth", fmt::format("HTTP {}: the service refuses this login", status)
            );
        }
        if (status >= 200 && status <= 299) {
            return place.proves_login ? fmt::format("HTTP {}: the login is accepted", status)
                                      : fmt::format("HTTP {}: the login is not refused", status);
        }
        if (place.proves_login || status >= 500 || status == 429) {
            throw Error(ErrorKind::transient, "source.unavailable", fmt::format("HTTP {}", status));
        }
        return fmt::format(
            "HTTP {}: the login is not refused, which proves little; with the setting test_url (an address that only "
            "the right login may read) this test says more",
            status
        );
    } catch (const Error& error) {
        throw in_source_words(error);
    }
}

void test(const Credential& credential, ConnectionTest& test, const EgressCheck& egress_check) {
    Place place;
    test.step("host", [&] {
        place = place_of(credential);
        return fmt::format("{} is in the credential's allowed hosts", origin_of(place.url));
    });
    const auto url = net::parse_url(place.url);
    net::Destination to{{url.host, url.port_or(url.scheme == "https" ? 443 : 80), ""}, std::nullopt, egress_check};
    if (url.scheme == "https") {
        to.tls.emplace().ca_file = place.auth.ca_file;
    }
    net::reach(to, test.deadline(), test.stop(), [&](auto name, const auto& work) { test.step(name, work); });
    net::HttpClientOptions options;
    options.egress_check = egress_check;
    test.step(
        "login",
        [&] { return call(place, options, test); },
        "Are the settings auth (none, basic, bearer, header), user and header as the service wants them, and is "
        "test_url "
        "right? Store it again: headrace credential set NAME --replace."
    );
}

}  // namespace

pipeline::CredentialType credential_type(EgressCheck egress_check) {
    return {"http", [egress_check = std::move(egress_check)](const auto& credential, auto& steps) {
                test(credential, steps, egress_check);
            }};
}

}  // namespace headrace::source::http
