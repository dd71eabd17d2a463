// HttpClient: connections, back-pressure, stop, time-outs, TLS.
#include "certs.hpp"
#include "http_client_fixture.hpp"

#include <poll.h>

#include <atomic>
#include <future>
#include <vector>

namespace headrace::net {
namespace {

using namespace std::chrono_literals;
using test::error_of;
using test::never_stop;
using test::OneShotServer;

class HttpClientFlow : public test::HttpClientTest {};

TEST_F(HttpClientFlow, KeepAliveUsesOneConnection) {
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

TEST_F(HttpClientFlow, AbandonedResponseClosesItsConnection) {
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
        const auto n = ::send(fd, block.data(), std::min(block.size(), size - sent), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0) {
            break;
        }
        sent += static_cast<std::size_t>(n);
    }
    return sent;
}

TEST_F(HttpClientFlow, SlowReaderHoldsTheServerBack) {
    const std::size_t size = 200'000'000;
    std::promise<std::size_t> stuck_at;
    const OneShotServer server([&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n");
        const auto sent = flood(fd, size, 200);
        stuck_at.set_value(sent);
        flood(fd, size - sent, 10'000);
    });
    HttpClient client;
    auto response = client.start(get(server.url()), never_stop);
    std::size_t total = response.read_chunk().size();
    EXPECT_LT(stuck_at.get_future().get(), 40'000'000u);  // socket buffers of both ends and ours, not the body
    for (auto piece = response.read_chunk(); !piece.empty(); piece = response.read_chunk()) {
        EXPECT_LE(piece.size(), 1024u * 1024);
        total += piece.size();
    }
    EXPECT_EQ(total, size);
}

TEST_F(HttpClientFlow, TwoResponsesAtOnceStayBounded) {
    const std::size_t size = 50'000'000;
    const auto script = [&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n");
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

TEST_F(HttpClientFlow, SmallReadsSeeEveryByte) {
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

TEST_F(HttpClientFlow, StopIsImmediate) {
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
    EXPECT_EQ(error_of([&] { client.fetch(get("http://127.0.0.1:9/"), source.token()); }).code(), "net.cancelled");
}

TEST_F(HttpClientFlow, Timeouts) {
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

TEST_F(HttpClientFlow, ConnectErrorsAndRefusedInput) {
    std::string closed;
    { closed = test::Listener().url("/secret?key=hunter2"); }
    HttpClient client;
    const auto error = error_of([&] { client.fetch(get(closed), never_stop); });
    EXPECT_EQ(error.code(), "http.connect") << error.what();
    EXPECT_EQ(error.message().find("secret"), std::string::npos) << error.what();
    EXPECT_EQ(error.message().find("hunter2"), std::string::npos) << error.what();

    for (const char* url : {"ftp://h/", "file:///etc/passwd", "http://user:pw@h/", "h/", "http://h/a b"}) {
        EXPECT_EQ(error_of([&] { client.fetch(get(url), never_stop); }).code(), "config.invalid") << url;
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

TEST_F(HttpClientFlow, EgressCheck) {
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

TEST_F(HttpClientFlow, Tls) {
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
         {test::make_identity("leaf", "IP:127.0.0.2", &ca), test::make_identity("leaf", "IP:127.0.0.1", nullptr)}) {
        const auto error = error_of([&] { fetch_from(bad); });
        EXPECT_EQ(error.code(), "http.tls") << error.what();
        EXPECT_EQ(error.kind(), ErrorKind::permanent);
    }
}

}  // namespace
}  // namespace headrace::net
