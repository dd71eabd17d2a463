// From HttpRequest to a configured curl handle.
#include "base/error.hpp"
#include "net/address.hpp"
#include "net/http_transfer.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <new>
#include <string>

namespace headrace::net {
namespace {

constexpr long receive_buffer = 512 * 1024;  // curl's own; the most that one recv() takes

[[noreturn]] void refuse(const std::string& why) {
    throw Error(ErrorKind::invalid, "config.invalid", "the HTTP request cannot be sent: " + why);
}

// RFC 9110 §5.6.2
bool is_token(std::string_view text) {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               marks.find(c) != std::string_view::npos;
    });
}

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
    const auto code = curl_easy_setopt(easy, option, value);
    if (code == CURLE_OUT_OF_MEMORY) {
        throw std::bad_alloc();
    }
    if (code != CURLE_OK) {
        throw Error(
            ErrorKind::bug, "internal.bug", "curl option " + std::to_string(option) + ": " + curl_easy_strerror(code)
        );
    }
}

// The message part that may be shown: a query or a path may hold a key.
std::string checked_origin(const std::string& text) {
    const auto url = parse_url(text);
    if (url.scheme != "http" && url.scheme != "https") {
        refuse("the scheme must be http or https");
    }
    if (!url.user.empty() || !url.password.empty()) {
        refuse("a user or password in the URL is not allowed");
    }
    return url.scheme + "://" + url.address(url.scheme == "https" ? 443 : 80).text();
}

}  // namespace

HttpResponse::Transfer::Transfer(HttpClient::State& owner, const HttpRequest& wanted, StopToken stop_token)
    : client(owner),
      stop(std::move(stop_token)),
      deadline(wanted.deadline),
      idle_timeout(wanted.idle_timeout),
      max_header_bytes(wanted.max_header_bytes),
      origin(checked_origin(wanted.url)),
      request_body(wanted.body),
      head_only(wanted.method == "HEAD"),
      inflate(wanted.accept_compressed),
      capacity(std::max<std::size_t>(wanted.buffer_bytes, 64 * 1024)),
      buffer(std::make_unique_for_overwrite<char[]>(capacity)),
      last_activity(Deadline::Clock::now()),
      easy(curl_easy_init()) {
    if (!easy) {
        throw std::bad_alloc();
    }
    prepare(wanted);
    if (curl_multi_add_handle(client.multi.get(), easy.get()) != CURLM_OK) {
        throw Error(ErrorKind::bug, "internal.bug", "curl refused the handle");
    }
}

HttpResponse::Transfer::~Transfer() {
    // Before its end this closes the connection; after it the connection stays for the next
    // request.
    curl_multi_remove_handle(client.multi.get(), easy.get());
}

void HttpResponse::Transfer::prepare(const HttpRequest& request) {
    auto* handle = easy.get();
    set(handle, CURLOPT_URL, request.url.c_str());
    set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    set(handle, CURLOPT_PATH_AS_IS, 1L);
    set(handle, CURLOPT_FOLLOWLOCATION, 0L);
    set(handle, CURLOPT_PROXY, "");
    set(handle, CURLOPT_NOSIGNAL, 1L);
    // Else removing a handle joins its resolver thread, and a stop would wait for the resolver.
    set(handle, CURLOPT_QUICK_EXIT, 1L);
    // One exchange per connection: framing is what proves completeness, and one stream is fastest
    // without HTTP/2.
    set(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(handle, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    set(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(request.connect_timeout.count(), 1))
    );
    set(handle, CURLOPT_TCP_KEEPALIVE, 1L);
    set(handle, CURLOPT_TCP_KEEPIDLE, 30L);
    set(handle, CURLOPT_TCP_KEEPINTVL, 5L);
    set(handle, CURLOPT_BUFFERSIZE, receive_buffer);
    set(handle, CURLOPT_MAXAGE_CONN, static_cast<long>(client.options.max_idle_connection.count()));
    set(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(handle, CURLOPT_SSL_VERIFYPEER, request.verify ? 1L : 0L);
    set(handle, CURLOPT_SSL_VERIFYHOST, request.verify ? 2L : 0L);
    if (!request.ca_file.empty()) {
        set(handle, CURLOPT_CAINFO, request.ca_file.c_str());
        set(handle, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    }
    set(handle, CURLOPT_USERAGENT, "headrace");
    set(handle, CURLOPT_ERRORBUFFER, &sentence[0]);
    set(handle, CURLOPT_PRIVATE, static_cast<void*>(this));
    set(handle, CURLOPT_HEADERFUNCTION, &Transfer::header_callback);
    set(handle, CURLOPT_HEADERDATA, static_cast<void*>(this));
    set(handle, CURLOPT_WRITEFUNCTION, &Transfer::body_callback);
    set(handle, CURLOPT_WRITEDATA, static_cast<void*>(this));
    set(handle, CURLOPT_OPENSOCKETFUNCTION, &Transfer::socket_callback);
    set(handle, CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
    set_method(request);
    add_headers(request);
}

void HttpResponse::Transfer::set_method(const HttpRequest& request) {
    auto* handle = easy.get();
    if (!is_token(request.method)) {
        refuse("bad method");
    }
    if (head_only) {
        set(handle, CURLOPT_NOBODY, 1L);
        return;
    }
    if (request.method != "GET" || !request_body.empty()) {
        set(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_body.size()));
        set(handle, CURLOPT_POSTFIELDS, request_body.c_str());
    }
    set(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void HttpResponse::Transfer::add_headers(const HttpRequest& request) {
    const auto append = [this](const std::string& line) {
        auto* longer = curl_slist_append(header_list.get(), line.c_str());
        if (longer == nullptr) {
            throw std::bad_alloc();
        }
        static_cast<void>(header_list.release());
        header_list.reset(longer);
    };
    bool typed = false;
    for (const auto& [name, value] : request.headers) {
        if (!is_token(name) || value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
            refuse("bad header " + (is_token(name) ? name : std::string("name")));
        }
        typed = typed || equal_no_case(name, "content-type");
        append(value.empty() ? name + ";" : name + ": " + value);  // "Name;" is curl's way to send an empty value
    }
    append("Expect:");  // else curl waits up to a second for "100 Continue" before a large body
    if (!typed) {
        append("Content-Type:");  // curl would claim a form
    }
    if (inflate) {
        append("Accept-Encoding: gzip");
    }
    set(easy.get(), CURLOPT_HTTPHEADER, header_list.get());
}

}  // namespace headrace::net
