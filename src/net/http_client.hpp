// HTTP/1.1 client on libcurl for http and https. libcurl sets itself up at the first request (thread-safe since 7.84),
// so that a process that makes none does not pay for its TLS libraries. A client and its responses belong to one
// thread; a response must not outlive its client. No redirects, no proxy from the environment, no cookies, no retries:
// the caller sees what was said.
//
// Errors: http.connect, http.timeout, http.protocol: transient; http.tls: permanent for a refused
// certificate, else transient; http.egress: permanent (address refused by the check);
// net.cancelled: cancelled. Messages name scheme, host and port, never path, query or headers.
#pragma once

#include "base/deadline.hpp"
#include "base/stop.hpp"
#include "net/http_headers.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct sockaddr;

namespace headrace::net {

struct HttpRequest {
    std::string method = "GET";
    std::string url;  // http or https; userinfo in it is refused (send a header)
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::chrono::milliseconds connect_timeout{10'000};  // name, TCP and TLS together
    std::chrono::milliseconds idle_timeout{60'000};     // longest silence of the peer while we wait for it
    Deadline deadline = Deadline::never();              // whole exchange, head and body
    std::string ca_file;                                // PEM; empty: the system's store
    bool verify = true;                                 // false only for tests
    bool accept_compressed = false;                     // asks for gzip and decodes it while reading
    std::size_t max_header_bytes = 64 * 1024;           // of the response head
    std::size_t buffer_bytes = 1024 * 1024;             // received and not yet read; beyond it the transfer is paused
};

struct HttpClientOptions {
    std::chrono::seconds max_idle_connection{60};       // older idle connections are not reused
    std::function<bool(const sockaddr*)> egress_check;  // called before each connect; false refuses the address
};

// The answer: head at once, body as it comes. Destroying it before the end closes its connection.
class HttpResponse {
public:
    HttpResponse(HttpResponse&&) noexcept;
    HttpResponse& operator=(HttpResponse&&) noexcept;
    ~HttpResponse();

    // Waits for the head of the final answer (not 1xx). Done already, unless this came from begin().
    void await_head();
    int status() const;
    const HttpHeaders& headers() const;

    // Blocks for at least one byte. 0 = the body is complete, and HTTP framing proves it:
    // Content-Length was met or the last chunk was seen (and the gzip trailer was right). A body
    // cut anywhere, or one that only "ends" with the connection, throws http.protocol.
    std::size_t read(char* to, std::size_t size);
    // The next received piece, without a further copy; valid until the next call on this response.
    // Empty = complete.
    std::string_view read_chunk();
    // The rest as text; more than `max_body` bytes throws http.protocol.
    std::string read_all(std::size_t max_body);

    std::uint64_t wire_bytes() const;  // body bytes received so far, before decompression

private:
    friend class HttpClient;
    struct Transfer;
    explicit HttpResponse(std::unique_ptr<Transfer> transfer);

    std::unique_ptr<Transfer> transfer_;
};

struct HttpReply {
    int status = 0;
    HttpHeaders headers;
    std::string body;
};

class HttpClient {
public:
    explicit HttpClient(HttpClientOptions options = {});
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // Returns when the head of the final answer (not 1xx) is there; any status is an answer. `stop`
    // also guards the body.
    HttpResponse start(const HttpRequest& request, const StopToken& stop);
    // Returns at once, the request on its way where a connection is free; await_head() comes first. Until then the
    // exchange goes on, up to `buffer_bytes` of body, while another response of this client is read: that is how the
    // next page comes while this one is decoded.
    HttpResponse begin(const HttpRequest& request, const StopToken& stop);
    // Head and body of a small answer.
    HttpReply fetch(const HttpRequest& request, const StopToken& stop, std::size_t max_body = 1024 * 1024);

private:
    friend class HttpResponse;
    struct State;

    std::unique_ptr<State> state_;
};

}  // namespace headrace::net
