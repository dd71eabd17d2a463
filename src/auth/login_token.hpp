// One-time login links of `headrace dev`. Redis keeps only the SHA-256 of a token, under headrace:login:<hash>.
#pragma once

#include "redis/connection.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace headrace::auth {

// A new token (43 characters of base64url, 256 random bits), good once within `ttl`.
std::string create_login_token(redis::Connection& redis, std::chrono::seconds ttl = std::chrono::minutes(10));

// True exactly once for each token that create_login_token returned in time.
bool use_login_token(redis::Connection& redis, std::string_view token);

}  // namespace headrace::auth
