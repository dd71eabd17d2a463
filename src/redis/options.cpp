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

// "redis+sentinel://first/master?sentinel=second:26379&db=0"
void read_sentinels(Options& options, const net::Url& url) {
    constexpr std::uint16_t port = 26379;
    options.master = url.path.empty() ? std::string() : url.path.substr(1);
    if (options.master.empty()) {
        throw Error(
            ErrorKind::invalid, "config.invalid", "a Sentinel URL names the master: redis+sentinel://host/mymaster"
        );
    }
    options.sentinels.push_back(url.address(port));
    for (const auto& [name, value] : url.query) {
        if (name == "sentinel") {
            options.sentinels.push_back(net::parse_url("redis://" + value).address(port));
        }
    }
}

}  // namespace

Options at_key(Options options, std::string key) {
    if (options.cluster) {
        options.cluster_key = std::move(key);
    }
    return options;
}

Options parse_redis_url(std::string_view text) {
    auto url = net::parse_url(text);
    Options options;
    const auto plus = url.scheme.find('+');
    const auto base = url.scheme.substr(0, plus);
    const auto kind = plus == std::string::npos ? std::string() : url.scheme.substr(plus + 1);
    const bool is_known = base == "redis" || base == "rediss";
    if (!url.is_unix() && !(is_known && (kind.empty() || kind == "sentinel" || kind == "cluster"))) {
        throw Error(
            ErrorKind::invalid,
            "config.invalid",
            "a Redis URL starts with redis://, rediss://, redis+unix://, redis+sentinel:// or redis+cluster://"
        );
    }
    options.tls = base == "rediss";
    options.cluster = kind == "cluster";
    options.address = url.address(6379);
    options.user = url.user;
    options.password = url.password;
    if (kind == "sentinel") {
        read_sentinels(options, url);
    }
    if (url.is_unix() || kind == "sentinel") {
        if (const auto* db = url.parameter("db")) {
            options.db = parse_db(*db);
        }
    } else if (url.path.size() > 1) {
        options.db = parse_db(std::string_view(url.path).substr(1));
    }
    return options;
}

}  // namespace headrace::redis
