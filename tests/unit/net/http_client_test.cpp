// HttpClient: what is sent, and which answers are whole.
#include "http_client_fixture.hpp"

#include <future>

namespace headrace::net {
namespace {

using namespace std::chrono_literals;
using test::error_of;
using test::never_stop;
using test::OneShotServer;

class HttpClientBody : public test::HttpClientTest {};

TEST_F(HttpClientBody, RequestAsSent) {
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

TEST_F(HttpClientBody, HeadComesBeforeTheBody) {
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

TEST_F(HttpClientBody, WhatIsBegunIsSentAtOnce) {
    std::promise<std::string> second;
    const OneShotServer server([&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
        second.set_value(test::read_until(fd, "\r\n\r\n"));
        test::send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext");
    });
    HttpClient client;
    auto first = client.start(get(server.url("/first")), never_stop);
    EXPECT_EQ(first.read_chunk(), "first");
    auto next = client.begin(get(server.url("/next")), never_stop);
    auto seen = second.get_future();
    ASSERT_EQ(seen.wait_for(10s), std::future_status::ready) << "it waits for somebody to read";
    EXPECT_TRUE(seen.get().starts_with("GET /next "));
    EXPECT_EQ(first.read_chunk(), "");
    next.await_head();
    EXPECT_EQ(next.read_all(100), "next");
}

TEST_F(HttpClientBody, APieceStaysWhileAnotherAnswerIsRead) {
    std::promise<void> first_read;
    std::promise<void> all_sent;
    const OneShotServer two_parts([&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst");
        first_read.get_future().wait();
        test::send_text(fd, "second");
        all_sent.set_value();
    });
    const OneShotServer other([](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
    });
    HttpClient client;
    auto response = client.start(get(two_parts.url()), never_stop);
    const auto piece = response.read_chunk();
    first_read.set_value();
    all_sent.get_future().wait();
    EXPECT_EQ(client.fetch(get(other.url()), never_stop).body, "other");
    EXPECT_EQ(piece, "first");
    EXPECT_EQ(response.read_all(100), "second");
}

TEST_F(HttpClientBody, WholeBodies) {
    EXPECT_EQ(reply_for(with_length("", "hello")).body, "hello");
    EXPECT_EQ(
        reply_for("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n4\r\nabcd\r\n2;x=y\r\nef\r\n0\r\nTrailer: t\r\n\r\n")
            .body,
        "abcdef"
    );
    EXPECT_EQ(reply_for("HTTP/1.1 204 No Content\r\n\r\n").status, 204);
    EXPECT_EQ(
        reply_for("HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n", [](HttpRequest& r) { r.method = "HEAD"; }).body, ""
    );
    EXPECT_EQ(
        reply_for("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n").status, 302
    );
    EXPECT_EQ(reply_for(with_length("Content-Encoding: gzip\r\n", "as it is")).body, "as it is");  // not asked for
}

TEST_F(HttpClientBody, EveryCutIsSeen) {
    const std::string whole =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
        "chunked\r\n\r\n4\r\nabcd\r\nA\r\n0123456789\r\n0\r\n\r\n";
    // Without its very last LF the answer is taken: the last chunk was seen by then.
    for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
        const auto error = error_for(whole.substr(0, size));
        EXPECT_EQ(error.code(), "http.protocol") << "cut after " << size << " bytes: " << error.what();
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

TEST_F(HttpClientBody, BrokenAnswers) {
    for (const char* answer : {
             "hello",
             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello__",
             "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n",
             "HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 0\r\n\r\n",
         }) {
        EXPECT_EQ(error_for(answer).code(), "http.protocol") << answer;
    }
    const auto large = error_for("HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') + "\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(large.code(), "http.protocol");
    EXPECT_NE(large.message().find("too large"), std::string::npos) << large.what();
}

TEST_F(HttpClientBody, MaxBody) {
    const OneShotServer server([&](int fd) {
        test::read_until(fd, "\r\n\r\n");
        test::send_text(fd, with_length("", std::string(1001, 'x')));
    });
    HttpClient client;
    EXPECT_EQ(error_of([&] { client.fetch(get(server.url()), never_stop, 1000); }).code(), "http.protocol");
}

TEST_F(HttpClientBody, Gzip) {
    std::string text;
    for (int i = 0; i < 200'000; ++i) {
        text += std::to_string(i) + ",";
    }
    const auto ask = [](HttpRequest& r) { r.accept_compressed = true; };
    const std::string head = "Content-Encoding: gzip\r\n";
    EXPECT_TRUE(gzip(text).size() > 400'000);
    const OneShotServer server([&](int fd) {
        EXPECT_NE(test::read_until(fd, "\r\n\r\n").find("Accept-Encoding: gzip"), std::string::npos);
        test::send_text(fd, with_length(head, gzip(text) + gzip("second member")));
    });
    auto request = get(server.url());
    ask(request);
    EXPECT_TRUE(HttpClient().fetch(request, never_stop, 10'000'000).body == text + "second member");

    const auto packed = gzip("some text");
    for (std::size_t size = 1; size < packed.size(); ++size) {  // framed well, compressed badly
        EXPECT_EQ(error_of([&] { reply_for(with_length(head, packed.substr(0, size)), ask); }).code(), "http.protocol")
            << size;
    }
    auto wrong = packed;
    wrong[wrong.size() - 6] ^= 1;  // the CRC
    EXPECT_EQ(error_of([&] { reply_for(with_length(head, wrong), ask); }).code(), "http.protocol");
    EXPECT_EQ(error_of([&] { reply_for(with_length("Content-Encoding: br\r\n", "x"), ask); }).code(), "http.protocol");
    EXPECT_EQ(reply_for(with_length("", "plain"), ask).body, "plain");
}

TEST_F(HttpClientBody, GzipBombIsReadInBoundedPieces) {
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
