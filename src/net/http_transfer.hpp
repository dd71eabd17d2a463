// One exchange on a curl handle: what curl's callbacks write and HttpResponse reads. Private to
// net.
#pragma once

#include "net/gunzip.hpp"
#include "net/http_client.hpp"

#include <curl/curl.h>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::net {

struct CurlDeleter {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }

    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

struct HttpClient::State {
    HttpClientOptions options;
    std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)> multi{nullptr, &curl_multi_cleanup};

    void perform();  // lets curl work once on all transfers, and marks those that are done
};

struct HttpResponse::Transfer {
    Transfer(HttpClient::State& owner, const HttpRequest& wanted, StopToken stop_token);
    ~Transfer();
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    // Makes the handle. Throws Error{invalid, "config.invalid"} for what cannot be sent.
    void prepare(const HttpRequest& request);
    void add_headers(const HttpRequest& request);
    void set_method(const HttpRequest& request);

    void wait_for_head();
    // Received bytes that nobody has seen, valid until the next call; empty: complete and proven.
    std::string_view next_piece();
    std::string_view next_plain_piece();
    std::string_view next_inflated_piece();

    // Callbacks of curl; an exception is kept in `failure` and thrown by drive().
    static std::size_t header_callback(char* bytes, std::size_t, std::size_t count, void* transfer);
    static std::size_t body_callback(char* bytes, std::size_t, std::size_t count, void* transfer);
    static curl_socket_t socket_callback(void* transfer, curlsocktype, curl_sockaddr* address);
    std::size_t on_header(std::string_view line);
    std::size_t on_body(const char* bytes, std::size_t count);
    curl_socket_t on_socket(const curl_sockaddr& address);

    void take_header_line(std::string_view line);
    void head_is_complete();
    void drive();  // lets curl work once; waits when there is nothing to do
    void wait_for_peer();
    void throw_if_failed() const;
    void demand_proof() const;
    [[noreturn]] void fail(CURLcode code) const;

    HttpClient::State& client;
    StopToken stop;
    Deadline deadline;
    std::chrono::milliseconds idle_timeout;
    std::size_t max_header_bytes;
    std::string origin;        // scheme://host:port, for messages
    std::string request_body;  // curl reads it in place
    bool head_only = false;    // HEAD
    bool inflate = false;      // gzip was asked for

    int status = 0;
    HttpHeaders headers;
    std::size_t header_bytes = 0;
    bool head_done = false;
    bool framed = false;  // Content-Length, chunks, or no body by definition

    std::size_t capacity;
    std::unique_ptr<char[]> buffer;  // received, filled from the front
    std::size_t filled = 0;
    std::size_t lent = 0;  // of these, handed out
    bool paused = false;
    std::uint64_t wire_bytes = 0;
    std::string_view rest;  // of a piece that read() took only in part

    std::unique_ptr<Gunzip> gunzip;
    std::string_view compressed;  // received and not yet inflated, points into buffer
    std::unique_ptr<char[]> inflated;
    bool more_inflated = false;  // the last output was full

    bool done = false;
    CURLcode result = CURLE_OK;
    std::exception_ptr failure;
    bool egress_refused = false;
    Deadline::Clock::time_point last_activity;
    curl_off_t uploaded = 0;
    char sentence[CURL_ERROR_SIZE] = {};

    std::unique_ptr<curl_slist, CurlDeleter> header_list;
    std::unique_ptr<CURL, CurlDeleter> easy;
};

}  // namespace headrace::net
