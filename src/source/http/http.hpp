// Any API that gives rows as JSON: the one header of this connector that others include.
//
// Asks for page after page, decodes rows into the declared columns while they arrive, and proves that the last page was
// the last (paging.hpp). A page that breaks is asked for again. Memory: one window of text (128 KiB, or the largest
// row) and 0.5 to 4 bytes a row where rows are told apart by a key. The credential is optional, of kind "http":
// settings auth (none, basic, bearer, header), user, header, ca_file, test_url (for its connection test); the secret is
// the password, token or header value. It is sent to its allowed hosts only, over TLS or to this machine. Redirects are
// refused unless allowed, and never followed to another host with a credential.
//
// Errors: source.unavailable, source.timeout, source.rate_limited, source.incomplete (transient) · source.bad_data,
// source.limit, source.query, source.redirect, http.egress (permanent) · source.auth (unauthorized) · pipeline.invalid,
// config.invalid, credential.host_denied (invalid, already when it is made) · net.cancelled.
#pragma once

#include "pipeline/registry.hpp"
#include "source/http/config.hpp"

#include <functional>
#include <memory>

struct sockaddr;

namespace headrace::source::http {

class Paces;

// Asked before each connect; false refuses the address. Empty = every address is allowed.
using EgressCheck = std::function<bool(const sockaddr*)>;

pipeline::SourceType type(EgressCheck egress_check, std::shared_ptr<Paces> paces);
// Its test asks `test_url`, else the setting `url`, else the first allowed host.
pipeline::CredentialType credential_type(EgressCheck egress_check);

// For connectors on top of this one.
std::unique_ptr<pipeline::Source> make_source(Config config, EgressCheck egress_check, Paces& paces);
std::shared_ptr<Paces> make_paces();

}  // namespace headrace::source::http
