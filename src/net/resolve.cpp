#include "net/resolve.hpp"

#include "base/error.hpp"
#include "net/wait.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

namespace headrace::net {
namespace {

Endpoint ipv4(in_addr ip, std::uint16_t port) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr = ip;
    Endpoint out;
    std::memcpy(&out.storage, &name, sizeof name);
    out.size = sizeof name;
    return out;
}

Endpoint ipv6(const in6_addr& ip, std::uint16_t port) {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(port);
    name.sin6_addr = ip;
    Endpoint out;
    std::memcpy(&out.storage, &name, sizeof name);
    out.size = sizeof name;
    return out;
}

Endpoint unix_endpoint(const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (path.size() >= sizeof name.sun_path) {
        throw Error(ErrorKind::invalid, "config.invalid", "the path of the unix socket is longer than 107 bytes");
    }
    std::memcpy(name.sun_path, path.data(), path.size());
    Endpoint out;
    std::memcpy(&out.storage, &name, sizeof name);
    out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return out;
}

// What needs no resolver: literals, and "localhost", which must work without a resolver
// configuration.
std::vector<Endpoint> without_lookup(const Address& address) {
    in_addr four{};
    in6_addr six{};
    if (::inet_pton(AF_INET, address.host.c_str(), &four) == 1) {
        return {ipv4(four, address.port)};
    }
    if (::inet_pton(AF_INET6, address.host.c_str(), &six) == 1) {
        return {ipv6(six, address.port)};
    }
    if (address.host == "localhost") {
        four.s_addr = htonl(INADDR_LOOPBACK);
        return {ipv4(four, address.port), ipv6(in6addr_loopback, address.port)};
    }
    return {};
}

struct Shared {
    Waker done;
    std::mutex mutex;
    Lookup result;
};

}  // namespace

Lookup system_lookup(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    Lookup out;
    const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
    if (code != 0) {
        out.failure = code == EAI_SYSTEM ? std::generic_category().message(errno) : ::gai_strerror(code);
        return out;
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
    for (const auto* item = list; item != nullptr; item = item->ai_next) {
        Endpoint endpoint;
        std::memcpy(&endpoint.storage, item->ai_addr, item->ai_addrlen);
        endpoint.size = item->ai_addrlen;
        out.found.push_back(endpoint);
    }
    if (out.found.empty()) {
        out.failure = "no address";
    }
    return out;
}

std::vector<Endpoint>
resolve(const Address& address, Deadline deadline, const StopToken& stop, const LookupFunction& lookup) {
    if (address.is_unix()) {
        return {unix_endpoint(address.unix_path)};
    }
    if (auto known = without_lookup(address); !known.empty()) {
        return known;
    }
    // getaddrinfo can neither be given a deadline nor be interrupted (it may sit in nsswitch
    // modules for minutes), so it runs on a thread of its own. On stop or time-out we walk away:
    // the thread is detached, shares nothing with us but this block, and ends by itself when the
    // resolver gives up.
    auto shared = std::make_shared<Shared>();
    try {
        std::thread([shared, lookup, host = address.host, port = address.port] {
            auto result = lookup(host, port);
            {
                std::lock_guard lock(shared->mutex);
                shared->result = std::move(result);
            }
            shared->done.wake();
        }).detach();
    } catch (const std::system_error&) {
        throw Error(ErrorKind::transient, "net.dns", "no thread left to resolve " + address.host);
    }
    switch (wait_readable(shared->done.fd(), deadline, stop)) {
        case Ready::stopped:
            throw Error(ErrorKind::cancelled, "net.cancelled", stop.reason() + " (resolving " + address.host + ")");
        case Ready::timeout:
            throw Error(ErrorKind::transient, "net.timeout", "resolving " + address.host + " took too long");
        case Ready::ready:
            break;
    }
    std::lock_guard lock(shared->mutex);
    if (shared->result.found.empty()) {
        throw Error(ErrorKind::transient, "net.dns", address.host + ": " + shared->result.failure);
    }
    return std::move(shared->result.found);
}

}  // namespace headrace::net
