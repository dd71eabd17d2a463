// A proxy of our own between the program and one of its servers, which loses, holds back, slows down or cuts what
// passes. Listens on a unix socket or a loopback port; one thread serves all connections. Its switches may be thrown at
// any time, from any thread, and hold for open and for later connections.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace headrace::support {

enum class Loss {
    request,  // the last piece of the request does not arrive: nothing happens at the server
    reply,    // the server does what it is asked; its answer is thrown away
    none,     // everything passes: only tells that it was seen
};

class Proxy {
public:
    // Before `upstream`, a unix socket; listens on the unix socket `listen`.
    Proxy(std::string upstream, std::string listen);
    // Before a loopback port; listens on a free one.
    explicit Proxy(std::uint16_t upstream);
    ~Proxy();
    Proxy(const Proxy&) = delete;
    Proxy& operator=(const Proxy&) = delete;

    std::uint16_t port() const { return port_; }

    // Once: on the first connection by which the client sends these texts, one after another, the rest is lost as
    // said and the connection is cut. `then_refuse` refuses every connection from then on, see refuse().
    void lose(Loss loss, std::vector<std::string> texts, bool then_refuse = false);

    int lost() const { return lost_; }  // how often that happened

    void redirect(std::string upstream);  // another unix socket for new connections; open ones are cut
    void cut();                           // every open connection
    void refuse(bool on);                 // new ones are closed at once; open ones are cut when it begins
    // As packets that are dropped for a while: nothing ends, and what was held arrives when it is over.
    void hold_replies(bool on);  // requests still arrive
    void hold_all(bool on);
    void limit(std::size_t bytes_per_second);  // of all connections together; 0 = as fast as it goes

    int connections() const { return connections_; }  // open now

    std::uint64_t bytes_to_client() const { return to_client_; }

private:
    struct State;
    std::unique_ptr<State> state_;
    std::uint16_t port_ = 0;
    std::atomic<int> lost_{0};
    std::atomic<int> connections_{0};
    std::atomic<std::uint64_t> to_client_{0};
};

// The same Postgres or Redis behind a proxy, for the addresses that Stack gives out (unix sockets).
struct ProxiedUrl {
    std::unique_ptr<Proxy> proxy;
    std::string url;
};

ProxiedUrl proxied_postgres(const std::string& database_url);
ProxiedUrl proxied_redis(const std::string& redis_url);

}  // namespace headrace::support
