// Access tokens: fetched when they are needed, kept until five minutes before their end (or half of a shorter life),
// and dropped when BigQuery refuses one. One thread.
//
// Errors: source.auth (unauthorized) when the credential is refused; source.unavailable (transient) when the endpoint
// is; config.invalid for a private key that cannot be read; net.cancelled. No message holds a key or a token.
#pragma once

#include "base/deadline.hpp"
#include "base/secret.hpp"
#include "base/stop.hpp"
#include "base/time.hpp"
#include "net/http_client.hpp"
#include "source/bigquery/config.hpp"

#include <string>

namespace headrace::source::bigquery {

// A JSON Web Token signed with RS256, as the token endpoint wants it; valid for an hour from `issued`.
Secret make_assertion(const Key& key, Timestamp issued);

class TokenSource {
public:
    // Both outlive it.
    TokenSource(const Config& config, net::HttpClient& client) : config_(config), client_(client) {}

    // One request when there is no fresh token; no retry here.
    const Secret& token(Deadline deadline, const StopToken& stop);

    void forget() { token_ = Secret(); }

private:
    net::HttpRequest request() const;

    const Config& config_;
    net::HttpClient& client_;
    Secret token_;
    Deadline fresh_ = Deadline::never();  // until then
};

}  // namespace headrace::source::bigquery
