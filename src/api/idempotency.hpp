// Idempotency-Key: the same key with the same request is the same effect and the same answer, for 24 hours.
#pragma once

#include "net/http_message.hpp"
#include "postgres/connection.hpp"

#include <functional>
#include <string>

namespace headrace::api {

// The key of a request, quoted (a structured-field string) or bare, 8 to 128 visible characters. Throws
// api.bad_request.
std::string idempotency_key(const net::Request& request);

// Runs `effect` and stores its answer in the same transaction; or answers as the first time, with Idempotency-Replayed.
// Throws api.idempotency_mismatch when the key was used for another request, api.idempotency_in_progress while the
// first one still runs. What `effect` throws is not stored: the same key may try again.
net::Response once(
    postgres::Connection& db,
    std::string_view actor,
    const std::string& key,
    const net::Request& request,
    const std::function<net::Response(postgres::Connection&)>& effect
);

}  // namespace headrace::api
