// BigQuery over REST and the Storage Read API: the one header of this connector that others include.
//
// Runs one query as a job (jobs.insert with an id of its own, so that a lost answer starts no second job), waits for it
// and reads its result page by page (jobs.getQueryResults), or, when it is larger than a page, by the streams of a read
// session (gRPC, Avro), decoding rows straight into columns. The next page is asked
// for while the current one is decoded. Completeness: as many rows as `totalRows`, no page token left, the same job,
// columns and `totalRows` on every page, no token and no page twice. A page that breaks is asked for again and goes on
// behind the rows that were handed out. Memory: one window of rows (256 KiB, or the largest row), never a page; of each
// stream one response. A session: every stream ended by itself, and the rows are as many as `totalRows`.
// Cancel, or an object that is destroyed while the job runs, cancels the job at BigQuery (5 s at most).
// Needs a credential of kind "bigquery": the secret is a key file's text (service_account or authorized_user), or
// anything with the setting auth=metadata; settings url, storage_url, project, auth, token_uri, ca_file.
//
// Errors: source.unavailable, source.timeout, source.incomplete (transient) · source.rate_limited (transient; a spent
// quota: permanent) · source.query, source.cost, source.bad_data, source.unsupported (permanent) · source.auth
// (unauthorized) · pipeline.invalid, config.invalid, credential.host_denied (invalid, already when it is made) ·
// http.egress, http.tls, net.dns, net.cancelled.
#pragma once

#include "pipeline/registry.hpp"

#include <functional>

struct sockaddr;

namespace headrace::source::bigquery {

// `egress_check`: asked before each connect; false refuses the address. Empty = every address is allowed.
pipeline::SourceType type(std::function<bool(const sockaddr*)> egress_check = {});
pipeline::CredentialType credential_type(std::function<bool(const sockaddr*)> egress_check = {});

}  // namespace headrace::source::bigquery
