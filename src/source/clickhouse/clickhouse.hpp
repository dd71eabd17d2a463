// ClickHouse over HTTP(S): the one header of this connector that others include.
//
// Reads one SELECT as `Native` blocks and decodes them straight into columns. Completeness: `wait_end_of_query=1` (the
// server gives its status after the query has ended), HTTP framing, and every block repeating the first one's columns.
// Cancel, or an object that is destroyed before the end, sends KILL QUERY on a connection of its own (5 s at most).
// Needs a credential of kind "clickhouse": settings url, user, database, ca_file; the secret is the password.
//
// Errors: source.unavailable, source.timeout, source.incomplete (transient) · source.query, source.bad_data,
// source.unsupported (permanent) · source.auth (unauthorized) · pipeline.invalid, config.invalid,
// credential.host_denied (invalid, already when it is made) · http.egress, net.cancelled.
#pragma once

#include "pipeline/registry.hpp"

#include <functional>

struct sockaddr;

namespace headrace::source::clickhouse {

// `egress_check`: asked before each connect; false refuses the address. Empty = every address is allowed.
pipeline::SourceType type(std::function<bool(const sockaddr*)> egress_check = {});
pipeline::CredentialType credential_type(std::function<bool(const sockaddr*)> egress_check = {});

}  // namespace headrace::source::clickhouse
