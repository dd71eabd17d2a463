#include "base/codes.hpp"

#include <algorithm>

namespace headrace {
namespace {

// Sorted by code (checked by a test).
constexpr CodeInfo codes[] = {
    {"api.bad_request", "The request is not understood.", "Compare it with /api/openapi.json."},
    {"api.busy", "The server has too much to do.", "Wait for the time in Retry-After and try again."},
    {"api.edit_conflict", "Someone changed this first.", "Reload and apply your change again."},
    {"api.forbidden", "This action is not allowed from here.", "Use the page itself, or send the headers that the API asks for."},
    {"api.header_too_large", "The request head is too large.", "The limit is 16 KiB; look for oversized cookies."},
    {"api.idempotency_in_progress", "The first request with this Idempotency-Key is still running.", "Wait a moment and send it again."},
    {"api.idempotency_mismatch", "This Idempotency-Key was used with another body.", "Make a new key for a new request."},
    {"api.internal", "The server failed.", "Look for the request id in the api log."},
    {"api.invalid", "A value in the request is not valid.", "See errors[] for the place."},
    {"api.invalid_cursor", "The cursor does not belong to this list.", "Start again without a cursor."},
    {"api.method_not_allowed", "This path does not take this method.", "See the Allow header."},
    {"api.not_acceptable", "The server cannot answer in that form.", "Ask for application/json."},
    {"api.not_found", "There is no such thing here.", "Check the address."},
    {"api.payload_too_large", "The request body is too large.", "The limit is 1 MiB."},
    {"api.precondition_required", "This change needs an If-Match header.", "Read the resource first and send back its ETag."},
    {"api.rate_limited", "Too many requests.", "Wait for the time in Retry-After."},
    {"api.request_timeout", "The request came too slowly.", "Send it again in one go."},
    {"api.unauthenticated", "You are not logged in.", "Open the login link that `headrace dev` printed."},
    {"api.unavailable", "A server that this needs is not reachable.", "Try again in a few seconds; `headrace doctor` shows which one."},
    {"api.unsupported_media_type", "The Content-Type is not accepted here.", "Send application/json."},
    {"check.allow_empty", "The source returned no rows.", "If an empty result is right, set `allow_empty: true`."},
    {"check.max_drop", "The result is much smaller than the last good one.", "The old output stays. Raise `checks: max_drop`, or run once with --force when the drop is real."},
    {"check.min_rows", "The result has fewer rows than `min_rows`.", "The old output stays. Look at the source, or lower `min_rows`."},
    {"check.not_null", "A column that must have a value has none.", "Fix the query or the check."},
    {"check.unique", "A key appears more than once.", "Fix the query or the check."},
    {"config.invalid", "A configuration value is not valid.", "`headrace config` prints the values and where they come from."},
    {"config.missing", "A configuration value is missing.", "Set it in headrace.yaml or in the environment."},
    {"credential.exists", "A credential with this name exists.", "Use `headrace credential set --replace`."},
    {"credential.host_denied", "The credential may not be sent to this host.", "Add the host to the credential's allowed hosts and enter the secret again."},
    {"credential.in_use", "The credential is used by a pipeline.", "Remove it from the pipeline first."},
    {"credential.key_missing", "There is no master key.", "Set HEADRACE_KEY_FILE to a file with the 32-byte key; `headrace dev` makes one."},
    {"credential.key_wrong", "The master key does not belong to this database.", "Restore the key file that was used when the credentials were stored."},
    {"credential.not_found", "There is no credential of this name.", "`headrace credential list` shows the names; add it with `headrace credential set`."},
    {"credential.tampered", "A stored credential does not verify.", "Somebody changed the row. Enter the credential again."},
    {"dev.data_missing", "The sample data is not installed.", "Run scripts/install-deps."},
    {"dev.port_taken", "The port is in use.", "Choose another with --port, or stop the program that holds it."},
    {"dev.server_failed", "A private server did not start.", "Read its log file, named in the message."},
    {"dev.server_missing", "A server program is not installed.", "Run scripts/install-deps."},
    {"http.connect", "The connection could not be made.", "Check host, port and firewall."},
    {"http.egress", "The address may not be called from here.", "Private and local addresses are refused unless the configuration allows them."},
    {"http.protocol", "The peer broke the HTTP protocol.", "Try again; if it stays, look at proxies in between."},
    {"http.status", "The server answered with an error status.", "See the message for the server's own words."},
    {"http.timeout", "The peer did not answer in time.", "Try again later, or raise the timeout."},
    {"http.tls", "The TLS connection was refused.", "Check the certificate: expired, wrong host or unknown authority."},
    {"internal.bug", "A bug in Headrace.", "Please report it with the log of this run."},
    {"net.address_in_use", "The port is in use.", "Choose another port, or stop the program that holds it."},
    {"net.cancelled", "The operation was stopped.", ""},
    {"net.closed", "The peer closed the connection.", "It is tried again by itself."},
    {"net.connect", "The connection could not be made.", "Is the server running, and are host and port right?"},
    {"net.dns", "The host name could not be resolved.", "Check the name and the resolver."},
    {"net.io", "Reading or writing the connection failed.", "It is tried again by itself."},
    {"net.timeout", "The peer did not answer in time.", "It is tried again by itself."},
    {"net.tls", "The TLS connection was refused.", "Check the certificate: expired, wrong host or unknown authority."},
    {"pipeline.invalid", "The pipeline file is not valid.", "See the file, line and column in the message."},
    {"pipeline.not_found", "There is no pipeline of this name.", "`headrace check` lists the files that were read."},
    {"pipeline.paused", "The pipeline is paused.", "Resume it on its page."},
    {"postgres.connect", "Postgres is not reachable.", "Check DATABASE_URL and that the server runs."},
    {"postgres.auth", "Postgres refused the login.", "Check user and password in DATABASE_URL."},
    {"postgres.conflict", "The transaction met another one.", "It is tried again by itself."},
    {"postgres.disk_full", "Postgres has no space left.", "Free disk space on the database server."},
    {"postgres.query", "A statement failed in Postgres.", "See the message for the server's own words."},
    {"postgres.schema", "The database schema does not fit this program.", "Run `headrace migrate`."},
    {"postgres.timeout", "Postgres did not answer in time.", "It is tried again by itself."},
    {"queue.bad_reply", "A queue script answered something unknown.", "Does another BullMQ version write to this queue?"},
    {"queue.lock_lost", "The job's lock was lost.", "Another worker has taken the run over."},
    {"queue.refused", "The queue refused the change.", "See the message: the job is not in the state that this needs."},
    {"redis.auth", "Redis refused the login.", "Check user and password in REDIS_URL."},
    {"redis.command", "Redis refused a command.", "See the message for the server's own words."},
    {"redis.connect", "Redis is not reachable.", "Check REDIS_URL and that the server runs."},
    {"redis.policy", "Redis may evict queue data.", "Set maxmemory-policy noeviction."},
    {"redis.protocol", "Redis sent something that is not RESP.", "Is it really a Redis server?"},
    {"redis.timeout", "Redis did not answer in time.", "It is tried again by itself."},
    {"run.already_active", "This pipeline already has a run in progress.", "Wait for it, or cancel it first."},
    {"run.cancelled", "The run was cancelled.", ""},
    {"run.fenced", "Another attempt has taken over.", "Nothing to do: the newer attempt finishes the run."},
    {"run.lease_lost", "The lease of the run was lost.", "Another worker finishes the run. Is this host overloaded?"},
    {"run.memory", "The run needed more memory than it may use.", "Raise `limits: memory`, or read fewer columns."},
    {"run.not_cancellable", "The run is already decided.", "Use `headrace rollback` to go back to the previous generation."},
    {"run.not_found", "There is no run of this id.", "It may have been removed by retention."},
    {"run.quarantined", "The run killed its worker three times.", "Look at the worker log, mend the pipeline, then resume it."},
    {"run.timeout", "The run took longer than its `timeout`.", "Raise `timeout`, or make the query faster."},
    {"run.worker_died", "The worker died during the run.", "Another attempt is made by itself."},
    {"schedule.bad_cron", "The cron expression is not valid.", "Five fields: minute hour day month weekday; e.g. */15 * * * *."},
    {"schedule.bad_zone", "The time zone is unknown.", "Use an IANA name such as Europe/Kyiv."},
    {"sink.invalid", "The rows do not fit the sink.", "See the message for the column."},
    {"sink.redis_oom", "Redis is out of memory.", "The old output stays. Raise maxmemory or make the output smaller."},
    {"sink.too_large", "The output is larger than Redis can hold in one key.", "Use `as: list` or `as: hash` instead of `as: json`."},
    {"source.auth", "The source refused the credential.", "Check user and secret: `headrace credential test`."},
    {"source.bad_data", "The source sent data that cannot be read.", "See the message for the place."},
    {"source.incomplete", "The source stopped before the result was complete.", "Nothing was published. It is tried again by itself."},
    {"source.query", "The source refused the query.", "See the message for the source's own words."},
    {"source.schema", "The source's columns are not those of the definition.", "Compare `columns:` with the query."},
    {"source.timeout", "The source did not answer in time.", "Raise `timeout`, or make the query faster."},
    {"source.unavailable", "The source is not reachable.", "It is tried again by itself."},
    {"source.unsupported", "The source has a column type that is not supported.", "Cast it in the query, e.g. toString(column)."},
};

}  // namespace

std::span<const CodeInfo> all_codes() {
    return codes;
}

const CodeInfo* find_code(std::string_view code) {
    const auto* it = std::find_if(std::begin(codes), std::end(codes), [&](const CodeInfo& c) { return c.code == code; });
    return it == std::end(codes) ? nullptr : it;
}

}  // namespace headrace
