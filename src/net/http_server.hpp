// HTTP/1.1 server: non-blocking edge (Boost.Beast's parser on Asio) in front of a bounded pool of
// plain handlers. Keep-alive, pipelining (answered in order), HEAD, 100-continue, files,
// Server-Sent Events. TLS ends at the proxy.
//
// Answered by the server itself, as problem+json: 400 api.bad_request (malformed, ambiguous
// framing, bad path), 408 head or body too slow, 413 api.payload_too_large, 431 head too large, 503
// api.busy with Retry-After (queue or connection limit), 500 api.internal (handler threw).
#pragma once

#include "base/deadline.hpp"
#include "net/http_message.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace headrace::net {

struct HttpServerOptions {
    std::string host = "127.0.0.1";  // numeric address
    std::uint16_t port = 0;          // 0: the kernel chooses
    unsigned io_threads = 1;         // 1..64; one acceptor deals connections round
    unsigned pool_threads = 4;       // 1..256
    std::size_t queue_limit = 256;   // requests waiting for a pool thread
    std::size_t header_limit = 16 * 1024;
    std::size_t body_limit = 1024 * 1024;
    std::size_t max_connections = 1024;
    std::chrono::milliseconds header_timeout{10'000};  // first byte to end of head; also connect to first byte
    std::chrono::milliseconds body_timeout{30'000};    // end of head to end of body
    std::chrono::milliseconds idle_timeout{75'000};    // between requests of one connection
    std::chrono::milliseconds write_timeout{30'000};   // longest time without progress while sending
    std::size_t thread_stack = 256 * 1024;
};

class HttpServer {
public:
    // Binds and starts at once. Errors: net.address_in_use (permanent), net.io (permanent: bad
    // address, no right).
    HttpServer(HttpServerOptions options, Handler handler);
    // stop(now)
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    std::uint16_t port() const;
    std::size_t connections() const;

    // No new connections; idle ones close at once, busy ones after their answer, event streams
    // after what is queued; at `grace` the rest is cut. Returns when every thread has ended, so it
    // waits for handlers that still run. Idempotent; not from a handler.
    void stop(Deadline grace);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace headrace::net
