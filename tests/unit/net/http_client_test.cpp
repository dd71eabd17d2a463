#include "net/http_client.hpp"

#include "base/error.hpp"
#include "certs.hpp"
#include "loopback.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <zlib.h>

#include <atomic>
#include <future>
#include <vector>

namespace headrace::net {
namespace {

using namespace std::chrono_literals;
using test::OneShotServer;

const StopToken never_stop;

class HttpClientTest : public ::testing::Test {
protected:
    static HttpRequest get(const std::string& url) {
        HttpRequest request;
        request.url = url;
        request.deadline = Deadline::in(20s);
        return request;
    }

    Error error_of(const std::function<void()>& work) {
        try {
            work();
        } catch (const Error& e) {
            return e;
        }
        return {ErrorKind::bug, "internal.bug", "nothing was thrown"};
    }

    // What fetch() makes of this exact answer, after which the server closes.
    Error error_for(const std::string& answer) {
        const OneShotServer server([&](int fd) {
            test::read_until(fd, "\r\n\r\n");
            test::send_text(fd, answer);
        });
        return error_of([&] { HttpClient().fetch(get(server.url()), never_stop); });
    }

    HttpReply reply_for(
        const std::string& answer,
        const std::function<void(HttpRequest&)>& change = [](HttpRequest&) {}
    ) {
        const OneShotServer server([&](int fd) {
            test::read_until(fd, "\r\n\r\n");
            test::send_text(fd, answer);
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
        return "HTTP/1.1 200 OK\r\n" + head + "Content-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body;
    }

    CurlGlobal curl_;
};

TEST_F(HttpClientTest, RequestAsSent) {
    std::promise<std::string> seen;
    const OneShotServer server([&](int fd) {
        auto head = test::read_until(fd, "\r\n\r\n");
        seen.set_value(head + test::read_until(fd, "SELECT 1"));
        test::send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    auto request = get(server.url("/a/../b?x=%20y"));
    request.method = "POST";
    request.body = "SELECT 1";
    request.headers = {{"X-Key", "k"}, {"X-Empty", ""}};
    EXPECT_EQ(HttpClient().fetch(request, never_stop).body, "ok");
    const auto text = seen.get_future().get();
    EXPECT_TRUE(text.starts_with("POST /a/../b?x=%20y HTTP/1.1\r\n")) << text;
    EXPECT_NE(text.find("X-Key: k\r\n"), std::string::npos) << text;
    EXPECT_NE(text.find("X-Empty:\r\n"), std::string::npos) << text;
    EXPECT_NE(text.find("Content-Length: 8\r\n"), std::string::npos) << text;
    EXPECT_EQ(text.find("Expect"), std::string::npos) << text;
    EXPECT_EQ(text.find("Content-Type"), std::string::npos) << text;
    EXPECT_EQ(text.find("Accept-Encoding"), std::string::npos) << text;
}

TEST_F(HttpClientTest, HeadComesBeforeTheBody) {
    std::promise<void> head_seen;
    const OneShotServer server([&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(
            fd,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nX-A: 1\r\nx-a:  2 "
            "\r\nContent-Length: 5\r\n\r\n"
        );
        head_seen.get_future().wait();
        test::send_text(fd, "later");
    });
    HttpClient client;
    auto response = client.start(get(server.url()), never_stop);
    EXPECT_EQ(response.status(), 202);
    EXPECT_EQ(response.headers().joined("X-A"), "1, 2");
    head_seen.set_value();
    EXPECT_EQ(response.read_all(100), "later");
    EXPECT_EQ(response.read_chunk(), "");
    EXPECT_EQ(response.wire_bytes(), 5u);
}

TEST_F(HttpClientTest, WholeBodies) {
    EXPECT_EQ(reply_for(with_length("", "hello")).body, "hello");
    EXPECT_EQ(
        reply_for("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n4\r\nabcd\r\n2;x=y\r\nef\r\n0\r\nTrailer: t\r\n\r\n")
            .body,
        "abcdef"
    );
    EXPECT_EQ(reply_for("HTTP/1.1 204 No Content\r\n\r\n").status, 204);
    EXPECT_EQ(
        reply_for(
            "HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n",
            [](HttpRequest& r) { r.method = "HEAD"; }
        ).body,
        ""
    );
    EXPECT_EQ(
        reply_for("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        )
            .status,
        302
    );
    EXPECT_EQ(
        reply_for(with_length("Content-Encoding: gzip\r\n", "as it is")).body, "as it is"
    );  // not asked for
}

TEST_F(HttpClientTest, EveryCutIsSeen) {
    const std::string whole =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
        "chunked\r\n\r\n4\r\nabcd\r\nA\r\n0123456789\r\n0\r\n\r\n";
    // Without its very last LF the answer is taken: the last chunk was seen by then.
    for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
        const auto error = error_for(whole.substr(0, size));
        EXPECT_EQ(error.code(), "http.protocol")
            << "cut after " << size << " bytes: " << error.what();
        EXPECT_EQ(error.kind(), ErrorKind::transient);
    }
    const auto sized = with_length("", "0123456789");
    for (std::size_t size = 0; size < sized.size(); ++size) {
        EXPECT_EQ(error_for(sized.substr(0, size)).code(), "http.protocol") << "cut after " << size;
    }
    const auto unframed = error_for("HTTP/1.1 200 OK\r\n\r\nwho knows whether this is all");
    EXPECT_EQ(unframed.code(), "http.protocol");
    EXPECT_NE(unframed.message().find("nothing proves"), std::string::npos) << unframed.what();
}

TEST_F(HttpClientTest, BrokenAnswers) {
    for (const char* answer : {
             "hello",
             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello__",
             "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n",
             "HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 0\r\n\r\n",
         }) {
        EXPECT_EQ(error_for(answer).code(), "http.protocol") << answer;
    }
    const auto large = error_for(
        "HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') + "\r\nContent-Length: 0\r\n\r\n"
    );
    EXPECT_EQ(large.code(), "http.protocol");
    EXPECT_NE(large.message().find("too large"), std::string::npos) << large.what();
}

TEST_F(HttpClientTest, MaxBody) {
    const OneShotServer server([&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, with_length("", std::string(1001, 'x')));
    });
    HttpClient client;
    EXPECT_EQ(
        error_of([&] { client.fetch(get(server.url()), never_stop, 1000); }).code(), "http.protocol"
    );
}

TEST_F(HttpClientTest, Gzip) {
    std::string text;
    for (int i = 0; i < 200'000; ++i) {
        text += std::to_string(i) + ",";
    }
    const auto ask = [](HttpRequest& r) { r.accept_compressed = true; };
    const std::string head = "Content-Encoding: gzip\r\n";
    EXPECT_TRUE(HttpClientTest::gzip(text).size() > 400'000);
    const OneShotServer server([&](int fd) {
        EXPECT_NE(
            test::read_until(fd, "\r\n\r\n").find("Accept-Encoding: gzip"), std::string::npos
        );
        test::send_text(fd, with_length(head, gzip(text) + gzip("second member")));
    });
    auto request = get(server.url());
    ask(request);
    EXPECT_TRUE(HttpClient().fetch(request, never_stop, 10'000'000).body == text + "second member");

    const auto packed = gzip("some text");
    for (std::size_t size = 1; size < packed.size(); ++size) {  // framed well, compressed badly
        EXPECT_EQ(
            error_of([&] { reply_for(with_length(head, packed.substr(0, size)), ask); }).code(),
            "http.protocol"
        ) << size;
    }
    auto wrong = packed;
    wrong[wrong.size() - 6] ^= 1;  // the CRC
    EXPECT_EQ(error_of([&] { reply_for(with_length(head, wrong), ask); }).code(), "http.protocol");
    EXPECT_EQ(
        error_of([&] { reply_for(with_length("Content-Encoding: br\r\n", "x"), ask); }).code(),
        "http.protocol"
    );
    EXPECT_EQ(reply_for(with_length("", "plain"), ask).body, "plain");
}

TEST_F(HttpClientTest, GzipBombIsReadInBoundedPieces) {
    const std::size_t size = 50'000'000;
    const auto packed = gzip(std::string(size, '\0'));
    const OneShotServer server([&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, with_length("Content-Encoding: gzip\r\n", packed));
    });
    auto request = get(server.url());
    request.accept_compressed = true;
    HttpClient client;
    auto response = client.start(request, never_stop);
    std::size_t total = 0;
    for (auto piece = response.read_chunk(); !piece.empty(); piece = response.read_chunk()) {
        EXPECT_LE(piece.size(), 256u * 1024);
        total += piece.size();
    }
    EXPECT_EQ(total, size);
}

TEST_F(HttpClientTest, KeepAliveUsesOneConnection) {
    std::atomic<int> served{0};
    const OneShotServer server([&](int fd) {
        while (!test::read_until(fd, "\r\n\r\n").empty()) {
            test::send_text(fd, with_length("", std::to_string(served.fetch_add(1))));
        }
    });
    HttpClient client;
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(client.fetch(get(server.url()), never_stop).body, std::to_string(i));
    }
    EXPECT_EQ(served.load(), 5);  // a second connection would never have been accepted
}

TEST_F(HttpClientTest, AbandonedResponseClosesItsConnection) {
    std::promise<bool> closed;
    const OneShotServer server([&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        char byte = 0;
        closed.set_value(::recv(fd, &byte, 1, 0) <= 0);
    });
    HttpClient client;
    {
        auto response = client.start(get(server.url()), never_stop);
        EXPECT_EQ(response.read_chunk(), "half");
    }
    EXPECT_TRUE(closed.get_future().get());
}

// The server writes until the socket takes no more for `patience`, and says how far it came.
std::size_t flood(int fd, std::size_t size, int patience_ms) {
    const std::string block(64 * 1024, 'x');
    std::size_t sent = 0;
    while (sent < size) {
        pollfd entry{fd, POLLOUT, 0};
        if (::poll(&entry, 1, patience_ms) != 1) {
            break;
        }
        const auto n = ::send(
            fd, block.data(), std::min(block.size(), size - sent), MSG_NOSIGNAL | MSG_DONTWAIT
        );
        if (n <= 0) {
            break;
        }
        sent += static_cast<std::size_t>(n);
    }
    return sent;
}

TEST_F(HttpClientTest, SlowReaderHoldsTheServerBack) {
    const std::size_t size = 200'000'000;
    std::promise<std::size_t> stuck_at;
    const OneShotServer server([&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(
            fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n"
        );
        const auto sent = flood(fd, size, 200);
        stuck_at.set_value(sent);
        flood(fd, size - sent, 10'000);
    });
    HttpClient client;
    auto response = client.start(get(server.url()), never_stop);
    std::size_t total = response.read_chunk().size();
    EXPECT_LT(
        stuck_at.get_future().get(), 40'000'000u
    );  // socket buffers of both ends and ours, not the body
    for (auto piece = response.read_chunk(); !piece.empty(); piece = response.read_chunk()) {
        EXPECT_LE(piece.size(), 1024u * 1024);
        total += piece.size();
    }
    EXPECT_EQ(total, size);
}

TEST_F(HttpClientTest, TwoResponsesAtOnceStayBounded) {
    const std::size_t size = 50'000'000;
    const auto script = [&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(
            fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n"
        );
        flood(fd, size, 10'000);
    };
    const OneShotServer one(script);
    const OneShotServer two(script);
    HttpClient client;
    auto first = client.start(get(one.url()), never_stop);
    auto second = client.start(get(two.url()), never_stop);
    std::size_t total = 0;
    for (auto* response : {&first, &second}) {  // the second waits, paused, while the first is read
        for (auto piece = response->read_chunk(); !piece.empty(); piece = response->read_chunk()) {
            EXPECT_LE(piece.size(), 1024u * 1024);
            total += piece.size();
        }
    }
    EXPECT_EQ(total, 2 * size);
}

TEST_F(HttpClientTest, SmallReadsSeeEveryByte) {
    const OneShotServer server([&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, with_length("", "0123456789"));
    });
    HttpClient client;
    auto response = client.start(get(server.url()), never_stop);
    std::string all;
    char space[3];
    for (std::size_t n = 0; (n = response.read(space, sizeof space)) > 0;) {
        all.append(space, n);
    }
    EXPECT_EQ(all, "0123456789");
}

TEST_F(HttpClientTest, StopIsImmediate) {
    StopSource source;
    std::promise<void> gone;
    const OneShotServer server([&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        gone.get_future().wait();
    });
    HttpClient client;
    auto response = client.start(get(server.url()), source.token());
    EXPECT_EQ(response.read_chunk(), "half");
    std::promise<void> reading;
    auto reader = std::async(std::launch::async, [&] {
        reading.set_value();
        return error_of([&] { response.read_chunk(); });
    });
    reading.get_future().wait();
    const auto from = std::chrono::steady_clock::now();
    source.request_stop("run cancelled");
    const auto error = reader.get();
    EXPECT_LT(std::chrono::steady_clock::now() - from, 1s);
    EXPECT_EQ(error.code(), "net.cancelled") << error.what();
    gone.set_value();
    // Before the head, and before anything at all.
    EXPECT_EQ(
        error_of([&] { client.fetch(get("http://127.0.0.1:9/"), source.token()); }).code(),
        "net.cancelled"
    );
}

TEST_F(HttpClientTest, Timeouts) {
    std::promise<void> gone;
    auto until = gone.get_future().share();
    const auto silent = [until](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        until.wait();
    };
    const OneShotServer first(silent);
    const OneShotServer second(silent);
    HttpClient client;
    auto request = get(first.url());
    request.idle_timeout = 30ms;
    const auto idle = error_of([&] { client.fetch(request, never_stop); });
    EXPECT_EQ(idle.code(), "http.timeout") << idle.what();
    request = get(second.url());
    request.deadline = Deadline::in(30ms);
    const auto whole = error_of([&] { client.fetch(request, never_stop); });
    EXPECT_EQ(whole.code(), "http.timeout") << whole.what();
    EXPECT_EQ(whole.kind(), ErrorKind::transient);
    gone.set_value();
}

TEST_F(HttpClientTest, ConnectErrorsAndRefusedInput) {
    std::string closed;
    { closed = test::Listener().url("/secret?key=hunter2"); }
    HttpClient client;
    const auto error = error_of([&] { client.fetch(get(closed), never_stop); });
    EXPECT_EQ(error.code(), "http.connect") << error.what();
    EXPECT_EQ(error.message().find("secret"), std::string::npos) << error.what();
    EXPECT_EQ(error.message().find("hunter2"), std::string::npos) << error.what();

    for (const char* url :
         {"ftp://h/", "file:///etc/passwd", "http://user:pw@h/", "h/", "http://h/a b"}) {
        EXPECT_EQ(error_of([&] { client.fetch(get(url), never_stop); }).code(), "config.invalid")
            << url;
    }
    auto request = get(closed);
    request.headers = {{"X-A", "1\r\nX-B: 2"}};
    EXPECT_EQ(error_of([&] { client.fetch(request, never_stop); }).code(), "config.invalid");
    request.headers = {{"X A", "1"}};
    EXPECT_EQ(error_of([&] { client.fetch(request, never_stop); }).code(), "config.invalid");
    request.headers = {};
    request.method = "GET /x HTTP/1.1\r\nA:";
    EXPECT_EQ(error_of([&] { client.fetch(request, never_stop); }).code(), "config.invalid");
}

TEST_F(HttpClientTest, EgressCheck) {
    const OneShotServer server([](int fd) { test::read_until(fd, "\r\n\r\n"); });
    int asked = 0;
    HttpClientOptions options;
    options.egress_check = [&](const sockaddr* address) {
        ++asked;
        return address->sa_family != AF_INET;
    };
    HttpClient client(options);
    const auto error = error_of([&] { client.fetch(get(server.url()), never_stop); });
    EXPECT_EQ(error.code(), "http.egress") << error.what();
    EXPECT_EQ(error.kind(), ErrorKind::permanent);
    EXPECT_EQ(asked, 1);
}

TEST_F(HttpClientTest, Tls) {
    const test::TempDir dir;
    const auto ca = test::make_identity("test ca", "", nullptr);
    test::write_cert(ca, dir.file("ca.pem"));
    const auto talk = [](SSL* tls, int) {
        char space[4096];
        SSL_read(tls, space, sizeof space);
        const auto answer = with_length("", "over tls");
        SSL_write(tls, answer.data(), static_cast<int>(answer.size()));
    };
    const auto fetch_from = [&](const test::Identity& identity) {
        const OneShotServer server(test::tls_script(identity, talk));
        auto request = get("https://" + server.address().text() + "/");
        request.ca_file = dir.file("ca.pem");
        return HttpClient().fetch(request, never_stop).body;
    };
    EXPECT_EQ(fetch_from(test::make_identity("leaf", "IP:127.0.0.1", &ca)), "over tls");
    for (const auto& bad :
         {test::make_identity("leaf", "IP:127.0.0.2", &ca),
          test::make_identity("leaf", "IP:127.0.0.1", nullptr)}) {
        const auto error = error_of([&] { fetch_from(bad); });
        EXPECT_EQ(error.code(), "http.tls") << error.what();
        EXPECT_EQ(error.kind(), ErrorKind::permanent);
    }
}

TEST(HttpHeaders, NamesHaveNoCase) {
    HttpHeaders headers{{"Accept", "a"}, {"accept", "b"}};
    EXPECT_EQ(headers.get("ACCEPT"), "a");
    EXPECT_EQ(headers.joined("aCCept"), "a, b");
    EXPECT_EQ(headers.count("accept"), 2u);
    headers.set("Accept", "c");
    EXPECT_EQ(headers.joined("accept"), "c");
    EXPECT_TRUE(list_has("keep-alive, Upgrade ,x", "upgrade"));
    EXPECT_FALSE(list_has("keep-alive, Upgraded", "upgrade"));
    EXPECT_FALSE(list_has("", "x"));
}

}  // namespace
}  // namespace headrace::net
