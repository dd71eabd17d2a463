// Name resolution that can be abandoned. For net, and for a connector whose library connects by itself.
#pragma once

#include "base/deadline.hpp"
#include "base/stop.hpp"
#include "net/address.hpp"

#include <sys/socket.h>

#include <functional>
#include <string>
#include <vector>

namespace headrace::net {

struct Endpoint {
    sockaddr_storage storage{};
    socklen_t size = 0;

    int family() const { return storage.ss_family; }

    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// Blocking look-up; an empty list with a reason means failure. The default is getaddrinfo. Must be
// safe to run on a thread that outlives the caller.
struct Lookup {
    std::vector<Endpoint> found;
    std::string failure;
};

using LookupFunction = std::function<Lookup(const std::string& host, std::uint16_t port)>;
Lookup system_lookup(const std::string& host, std::uint16_t port);

// At least one endpoint, in the order to try. Errors: net.dns, net.timeout, net.cancelled,
// net.connect (bad unix path).
std::vector<Endpoint>
resolve(const Address& address, Deadline deadline, const StopToken& stop, const LookupFunction& lookup = system_lookup);

}  // namespace headrace::net
