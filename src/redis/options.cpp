#include "redis/options.hpp"

#include "base/error.hpp"

#include <charconv>

namespace headrace::redis {
namespace {

int parse_db(std::string_view text) {
    int db = -1;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), db);
    if (error != std::errc{} || end != text.data() + text.size() || db < 0) {
        throw Error(ErrorKind::invalid, "config.invalid", "the database number in the Redis URL must be 0 or more");
    }
    return db;
}

}  // namespace

Options parse_redis_url(std::string_view text) {
    auto url = net::parse_url(text);
    Options options;
    if (url.scheme != "redis" && url.scheme != "rediss" && !url.is_unix()) {
        throw Error(
            ErrorKind::invalid, "config.invalid", "a Redis URL starts with redis://, rediss:// or redis+unix://"
        );
    }
    options.tls = url.scheme == "rediss";
    options.address = url.address(6379);
    options.user = url.user;
    options.password = url.password;
    if (url.is_unix()) {
        if (const auto* db = url.parameter("db")) {
            options.db = parse_db(*db);
        }
    } else if (url.path.size() > 1) {
        options.db = parse_db(std::string_view(url.path).substr(1));
    }
    return options;
}

}  // namespace headrace::redis
