// Where a server is, and the text form in which people write it. Pure values: no name is resolved
// here.
#pragma once

#include "base/secret.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::net {

// A TCP endpoint (host + port) or, when `unix_path` is not empty, a unix socket.
struct Address {
    std::string host;  // name or literal; an IPv6 literal without brackets
    std::uint16_t port = 0;
    std::string unix_path;

    bool is_unix() const { return !unix_path.empty(); }

    std::string text() const;  // "db.example:5432", "[::1]:6379", "unix:/run/redis.sock": for messages
};

struct Url {
    std::string scheme;  // lower case
    std::string user;    // percent-decoded, as are password, host, path and query
    Secret password;
    std::string host;        // IPv6 literals without brackets; empty for unix schemes
    std::uint16_t port = 0;  // 0: not written; ask port_or()
    std::string path;        // with its leading slash; the socket's path for "unix" and "redis+unix"
    std::vector<std::pair<std::string, std::string>> query;  // in the order written

    bool is_unix() const { return scheme == "unix" || scheme.ends_with("+unix"); }

    std::uint16_t port_or(std::uint16_t fallback) const { return port != 0 ? port : fallback; }

    Address address(std::uint16_t default_port) const;
    const std::string* parameter(std::string_view name) const;  // first of that name, nullptr when absent
    std::string masked() const;                                 // for logs: password shown as ***, query values too
};

// redis:// rediss:// http:// https:// unix:///path redis+unix:///path?db=1 and the like.
// Throws Error{invalid, "config.invalid"} with a sentence that does not hold the text itself (it
// may hold a password).
Url parse_url(std::string_view text);

}  // namespace headrace::net
