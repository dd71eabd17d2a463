// What a handler of the HTTP server gets and gives.
#pragma once

#include "net/event_stream.hpp"
#include "net/http_headers.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::net {

struct Request {
    std::string method;  // upper case as sent
    std::string target;  // as sent, with its query
    // Percent-decoded once and in normal form: starts with "/", no "." or ".." part, no empty part
    // but the last, no backslash, no control character, valid UTF-8. A request that breaks this, or
    // that encodes a slash, never reaches a handler (400).
    std::string path;
    std::vector<std::pair<std::string, std::string>> query;  // decoded, in the order sent
    HttpHeaders headers;
    std::string body;
    std::string remote;  // address of the TCP peer without port
    std::string id;      // unique per request, for logs and X-Request-Id

    const std::string* parameter(std::string_view name) const;  // first query value of that name, nullptr when absent
};

// Exactly one of body, file and stream is used: stream before file before body. The server adds
// Date, Content-Length or Transfer-Encoding, and Connection; all else is the handler's. For HEAD
// only the head is sent.
struct Response {
    int status = 200;
    HttpHeaders headers;
    std::string body;
    std::string file;                     // path of a regular file to send; missing or unreadable: 404
    std::shared_ptr<EventStream> stream;  // the connection then belongs to the stream until it is closed
};

// Runs on a pool thread, several at a time. An exception that escapes becomes 500 api.internal.
using Handler = std::function<Response(const Request&)>;

// application/problem+json (RFC 9457) with the sentence and hint of `code` (base/codes.hpp);
// `detail` may be empty.
Response problem(int status, std::string_view code, std::string_view detail, std::string_view request_id);

}  // namespace headrace::net
