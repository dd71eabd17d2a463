// HttpClient against scripted servers: what the tests of the client share.
#pragma once

#include "base/error.hpp"
#include "loopback.hpp"
#include "net/http_client.hpp"
#include "stream_support.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <functional>
#include <string>

namespace headrace::net::test {

class HttpClientTest : public ::testing::Test {
protected:
    static HttpRequest get(const std::string& url) {
        HttpRequest request;
        request.url = url;
        request.deadline = Deadline::in(std::chrono::seconds(20));
        return request;
    }

    // What fetch() makes of this exact answer, after which the server closes.
    Error error_for(const std::string& answer) {
        const OneShotServer server([&](int fd) {
            read_until(fd, "\r\n\r\n");
            send_text(fd, answer);
        });
        return error_of([&] { HttpClient().fetch(get(server.url()), never_stop); });
    }

    HttpReply reply_for(
        const std::string& answer,
        const std::function<void(HttpRequest&)>& change = [](HttpRequest&) {}
    ) {
        const OneShotServer server([&](int fd) {
            read_until(fd, "\r\n\r\n");
            send_text(fd, answer);
        });
        auto request = get(server.url());
        change(request);
        return HttpClient().fetch(request, never_stop);
    }

    static std::string gzip(const std::string& text) {
        z_stream z{};
        deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
        std::string out(deflateBound(&z, text.size()), '\0');
        z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
        z.avail_in = static_cast<uInt>(text.size());
        z.next_out = reinterpret_cast<Bytef*>(out.data());
        z.avail_out = static_cast<uInt>(out.size());
        deflate(&z, Z_FINISH);
        out.resize(z.total_out);
        deflateEnd(&z);
        return out;
    }

    static std::string with_length(const std::string& head, const std::string& body) {
        return "HTTP/1.1 200 OK\r\n" + head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
};

}  // namespace headrace::net::test
