#include "auth/login_token.hpp"

#include "auth/cookie.hpp"
#include "base/ids.hpp"

namespace headrace::auth {
namespace {

std::string key_of(std::string_view token) {
    return "headrace:login:" + sha256_hex(token);
}

}  // namespace

std::string create_login_token(redis::Connection& redis, std::chrono::seconds ttl) {
    auto token = random_token(32);
    redis.command({"SET", key_of(token), "1", "EX", std::to_string(ttl.count())});
    return token;
}

bool use_login_token(redis::Connection& redis, std::string_view token) {
    return !redis.command({"GETDEL", key_of(token)}).is_nil();
}

}  // namespace headrace::auth
