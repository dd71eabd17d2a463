// The way to a server in single steps, for tests of a connection: name, TCP, TLS. One thread.
#pragma once

#include "base/deadline.hpp"
#include "base/stop.hpp"
#include "net/stream.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr;

namespace headrace::net {

struct Destination {
    Address address;
    std::optional<TlsOptions> tls;
    std::function<bool(const sockaddr*)> egress_check;  // as HttpClientOptions has it
};

// Calls `step` with "dns", "connect" and, for TLS, "tls", and the work of each, which says what it found: addresses,
// the peer, protocol and certificate with its end. The connection is closed at the end. The work throws net.* and
// http.egress.
using Step = std::function<void(std::string_view name, const std::function<std::string()>& work)>;
void reach(const Destination& to, Deadline deadline, const StopToken& stop, const Step& step);

}  // namespace headrace::net
