// Where a Redis server is and how to talk to it. Value type.
#pragma once

#include "base/secret.hpp"
#include "net/address.hpp"
#include "net/stream.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::redis {

struct Options {
    // Not empty: these Sentinels are asked, at each connect, where the server called `master` is; `address` is not
    // used. User, password and TLS are those of the server; TLS is used for the Sentinels too.
    std::vector<net::Address> sentinels;
    std::string master;
    // A Redis Cluster: `address` is any node. A connection goes to the node that has `cluster_key`, which the user of
    // the connection sets; all of its keys must share that slot.
    bool cluster = false;
    std::string cluster_key;
    net::Address address{.host = "127.0.0.1", .port = 6379, .unix_path = {}};
    bool tls = false;
    net::TlsOptions tls_options;
    std::string user;         // empty: AUTH with the password alone (the "default" user)
    Secret password;          // empty: no AUTH
    int db = 0;               // SELECT when not 0
    std::string client_name;  // CLIENT SETNAME when not empty; no spaces, no control characters
    std::chrono::milliseconds connect_timeout{5'000};  // name, TCP, TLS and login together
    std::chrono::milliseconds reply_timeout{10'000};   // longest wait for one reply, and for one write
};

// The same; in a cluster the node that has `key`, and everything that shares its slot.
Options at_key(Options options, std::string key);

// redis://[[user]:password@]host[:port][/db], rediss:// for TLS, redis+unix:///path[?db=n] or unix:///path[?db=n];
// redis+sentinel://[[user]:password@]sentinel[:26379]/master[?sentinel=host:port&…&db=n], redis+cluster://…host[:port];
// rediss+sentinel:// and rediss+cluster:// for TLS.
// Throws Error{invalid, "config.invalid"}; the message never holds the URL.
Options parse_redis_url(std::string_view url);

}  // namespace headrace::redis
