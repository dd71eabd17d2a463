// Where the server is that a connection must go to: what Sentinels and clusters say.
#pragma once

#include "base/stop.hpp"
#include "net/address.hpp"
#include "redis/options.hpp"
#include "redis/reply.hpp"

#include <optional>

namespace headrace::redis {

// Asks the Sentinels of `options` in their order. Throws redis.connect (transient) when none of them knows the master.
net::Address find_master(const Options& options, const StopToken& stop);

// The node that an error reply "MOVED slot host:port" points to; nullopt for any other reply. `from` is the node that
// said it: an empty host means the same one.
std::optional<net::Address> moved_to(const ReplyPart& reply, const net::Address& from);

}  // namespace headrace::redis
