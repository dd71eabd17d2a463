#include "api/idempotency.hpp"

#include "api/json_writer.hpp"
#include "api/problem.hpp"
#include "auth/cookie.hpp"
#include "base/killpoint.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/core.h>

#include <algorithm>

namespace headrace::api {
namespace {

constexpr int lock_class = 0x4944;  // "ID": first key of the advisory locks here

std::string headers_json(const net::Response& response) {
    JsonWriter json;
    json.begin_object();
    for (const auto& [name, value] : response.headers) {
        json.key(name).text(value);
    }
    json.end();
    return json.take();
}

net::Response stored(const postgres::Result& row) {
    net::Response out;
    out.status = static_cast<int>(row.integer(0, "status"));
    out.body = row.text(0, "body");
    const auto headers = boost::json::parse(std::string(row.text(0, "headers")));
    for (const auto& header : headers.as_object()) {
        out.headers.set(std::string(header.key()), std::string(header.value().as_string()));
    }
    out.headers.set("Idempotency-Replayed", "true");
    return out;
}

}  // namespace

std::string idempotency_key(const net::Request& request) {
    if (request.headers.count("Idempotency-Key") == 0) {
        throw Problem("api.bad_request", "the header Idempotency-Key is missing")
            .with_hint("Send a new UUID for every action that is meant.");
    }
    std::string key(request.headers.get("Idempotency-Key"));
    if (key.size() >= 2 && key.front() == '"' && key.back() == '"') {
        key = key.substr(1, key.size() - 2);
    }
    const bool plain =
        std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
    if (request.headers.count("Idempotency-Key") != 1 || key.size() < 8 || key.size() > 128 || !plain) {
        throw Problem(
            "api.bad_request", "Idempotency-Key must be one text of 8 to 128 visible characters, such as a UUID"
        );
    }
    return key;
}

net::Response once(
    postgres::Connection& db,
    std::string_view actor,
    const std::string& key,
    const net::Request& request,
    const std::function<net::Response(postgres::Connection&)>& effect
) {
    const auto fingerprint = auth::sha256_hex(fmt::format("{} {}\n{}", request.method, request.path, request.body));
    net::Response out;
    db.transaction([&](postgres::Connection& c) {
        const auto lock = c.exec(
            "select pg_try_advisory_xact_lock($1, hashtext($2)) as got", {lock_class, fmt::format("{}\n{}", actor, key)}
        );
        if (!lock.boolean(0, "got")) {
            throw Problem("api.idempotency_in_progress", "").with_header("Retry-After", "1");
        }
        const auto known = c.exec(
            "select fingerprint, status, headers, body from etl_idempotency where actor = $1 and key = $2"
            " and created_at > now() - interval '24 hours'",
            {actor, key}
        );
        if (!known.empty()) {
            if (known.text(0, "fingerprint") != fingerprint) {
                throw Problem("api.idempotency_mismatch", "");
            }
            out = stored(known);
            return;
        }
        out = effect(c);
        HEADRACE_POINT("A1");
        c.exec(
            "insert into etl_idempotency (actor, key, fingerprint, status, headers, body) values ($1, $2, $3, $4, $5, "
            "$6)"
            " on conflict (actor, key) do update set fingerprint = excluded.fingerprint, status = excluded.status,"
            " headers = excluded.headers, body = excluded.body, created_at = now()",
            {actor, key, fingerprint, out.status, headers_json(out), out.body}
        );
        c.exec(
            "delete from etl_idempotency where ctid in (select ctid from etl_idempotency where created_at < now() - "
            "interval '24 hours'"
            " limit 100 for update skip locked)"
        );
        HEADRACE_POINT("A2");
    });
    HEADRACE_POINT("A3");
    return out;
}

}  // namespace headrace::api
