#include "net/http_server.hpp"

#include "base/error.hpp"
#include "loopback.hpp"
#include "raw_client.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <latch>
#include <thread>
#include <vector>

namespace headrace::net {
namespace {

using namespace std::chrono_literals;
using test::Answer;
using test::get;
using test::options;
using test::RawClient;
using test::text;

TEST(HttpServer, RequestAsTheHandlerSeesIt) {
    Request seen;
    HttpServer server(options(), [&](const Request& request) {
        seen = request;
        return text("done", 201);
    });
    RawClient client(server.port());
    const auto answer = client.ask(
        "POST /api/caf%C3%A9/a%20b/?x=1+2&y=%26&y=&z HTTP/1.1\r\nHost: h\r\nX-Key:  v "
        "\r\nContent-Length: 5\r\n\r\n12345"
    );
    EXPECT_EQ(answer.status, 201);
    EXPECT_EQ(answer.body, "done");
    EXPECT_TRUE(answer.has("Content-Type: text/plain\r\n"));
    EXPECT_TRUE(answer.has("\r\nDate: "));
    EXPECT_FALSE(answer.has("Connection:"));
    EXPECT_EQ(seen.method, "POST");
    EXPECT_EQ(seen.target, "/api/caf%C3%A9/a%20b/?x=1+2&y=%26&y=&z");
    EXPECT_EQ(seen.path, "/api/caf\xC3\xA9/a b/");
    const std::vector<std::pair<std::string, std::string>> query = {{"x", "1 2"}, {"y", "&"}, {"y", ""}, {"z", ""}};
    EXPECT_EQ(seen.query, query);
    EXPECT_EQ(*seen.parameter("y"), "&");
    EXPECT_EQ(seen.headers.get("x-key"), "v");
    EXPECT_EQ(seen.body, "12345");
    EXPECT_EQ(seen.remote, "127.0.0.1");
    EXPECT_FALSE(seen.id.empty());
}

TEST(HttpServer, ChunkedBodyAndBytesOneByOne) {
    HttpServer server(options(), [](const Request& request) { return text(request.body); });
    RawClient client(server.port());
    for (const char byte : std::string("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                                       "chunked\r\n\r\n3\r\nabc\r\n4;e=1\r\ndefg\r\n0\r\n\r\n")) {
        client.send({&byte, 1});
    }
    EXPECT_EQ(client.answer().body, "abcdefg");
    EXPECT_EQ(client.ask(get("/")).status, 200);
}

TEST(HttpServer, ContinueIsSaidBeforeTheBody) {
    HttpServer server(options(), [](const Request& request) { return text(request.body); });
    RawClient client(server.port());
    client.send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(client.ask("ok").body, "ok");
}

TEST(HttpServer, KeepAliveAndPipeliningInOrder) {
    HttpServer server(options(), [](const Request& request) { return text(request.path); });
    RawClient client(server.port());
    std::string all;
    for (int i = 0; i < 500; ++i) {
        all += get("/" + std::to_string(i));
    }
    client.send(all);
    for (int i = 0; i < 500; ++i) {
        ASSERT_EQ(client.answer().body, "/" + std::to_string(i));
    }
    EXPECT_EQ(server.connections(), 1u);
    const auto last = client.ask(get("/x", "Connection: close\r\n"));
    EXPECT_TRUE(last.has("Connection: close\r\n"));
    EXPECT_TRUE(client.ended());
    RawClient old(server.port());
    EXPECT_TRUE(old.ask("GET /y HTTP/1.0\r\n\r\n").has("Connection: close"));
    EXPECT_TRUE(old.ended());
}

TEST(HttpServer, AnswersWithoutBody) {
    HttpServer server(options(), [](const Request& request) {
        auto out = text("seven..", request.path == "/204" ? 204 : request.path == "/304" ? 304 : 200);
        return out;
    });
    RawClient client(server.port());
    client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_TRUE(client.answer(false).has("Content-Length: 7\r\n"));
    client.send(get("/204"));
    EXPECT_FALSE(client.answer(false).has("Content-Length"));
    client.send(get("/304"));
    EXPECT_EQ(client.answer(false).status, 304);
    EXPECT_EQ(client.ask(get("/")).body, "seven..");  // nothing was left in between
}

TEST(HttpServer, MalformedRequests) {
    std::atomic<int> handled{0};
    HttpServer server(options(), [&](const Request&) {
        handled.fetch_add(1);
        return text("x");
    });
    const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
    const std::string corpus[] = {
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",                        // no Host
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",  // two
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nNo colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",  // blank before the colon
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n",
        std::string("GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", 36),
        "G@T / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  // TLS on a plain port
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "Content-Length: -1\r\n\r\n",
        post + "Content-Length: +3\r\n\r\nabc",
        post + "Content-Length: 0x3\r\n\r\nabc",
        post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        post + "Content-Length: 99999999999999999999999\r\n\r\nabc",
        post + "Transfer-Encoding: chunked\r\n\r\nZ\r\nabc\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
        "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    };
    for (const auto& request : corpus) {
        RawClient client(server.port());
        const auto answer = client.ask(request);
        EXPECT_TRUE(answer.status == 400 || answer.status == 505) << answer.status << " for " << request;
        EXPECT_TRUE(answer.has("Content-Type: application/problem+json\r\n")) << request;
        EXPECT_TRUE(answer.has("Connection: close\r\n")) << request;
        EXPECT_NE(answer.body.find("\"code\":\"api.bad_request\""), std::string::npos) << answer.body;
        client.end();
        EXPECT_TRUE(client.ended()) << request;
    }
    EXPECT_EQ(handled.load(), 0);
}

TEST(HttpServer, PathsThatAreNotInNormalForm) {
    HttpServer server(options(), [](const Request& request) { return text(request.path); });
    for (const char* path :
         {"/a/../b", "/..",    "/.",    "/a/./b",  "/%2e%2e/etc", "/a/%2E",   "//a",      "/a//b",
          "/a%2Fb",  "/a%5Cb", "/a\\b", "/a%00b",  "/a%0Ab",      "/a%7F",    "/%",       "/%2",
          "/%zz",    "/%ff",   "/a#b",  "/%c0%af", "/x?a=%",      "/x?a=%ff", "/x?a=%00", "/caf\xC3\xA9"}) {
        RawClient client(server.port());
        const auto answer = client.ask(get(path));
        EXPECT_EQ(answer.status, 400) << path << " was read as " << answer.body;
    }
    RawClient client(server.port());
    for (const char* path : {"/", "/a/", "/...", "/.well-known/x", "/a..b", "/%252e%252e/"}) {
        EXPECT_EQ(client.ask(get(path)).status, 200) << path;
    }
}

TEST(HttpServer, Files) {
    const test::TempDir dir;
    const auto path = dir.file("page.html");
    std::string content(3'000'000, '\0');
    for (std::size_t i = 0; i < content.size(); ++i) {
        content[i] = static_cast<char>(i * 7 + i / 256);
    }
    std::ofstream(path, std::ios::binary) << content;
    std::ofstream(dir.file("empty.txt"), std::ios::binary);
    HttpServer server(options(), [&](const Request& request) {
        Response out;
        out.file = dir.file(request.path.substr(1));
        out.headers.add("ETag", "\"1\"");
        return out;
    });
    RawClient client(server.port());
    for (int i = 0; i < 3; ++i) {
        const auto answer = client.ask(get("/page.html"));
        EXPECT_TRUE(answer.body == content);
        EXPECT_TRUE(answer.has("Content-Type: text/html; charset=utf-8\r\n"));
        EXPECT_TRUE(answer.has("ETag: \"1\"\r\n"));
    }
    client.send("HEAD /page.html HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_TRUE(client.answer(false).has("Content-Length: 3000000\r\n"));
    EXPECT_TRUE(client.ask(get("/empty.txt")).has("Content-Length: 0\r\n"));
    EXPECT_EQ(client.ask(get("/absent")).status, 404);
    EXPECT_EQ(client.ask(get("/")).status, 404);  // a folder
    EXPECT_TRUE(client.ask(get("/page.html")).body == content);
}

TEST(HttpServer, BrokenHandlers) {
    HttpServer server(options(), [](const Request& request) -> Response {
        if (request.path == "/header") {
            auto out = text("x");
            out.headers.add("X-Evil", "a\r\nSet-Cookie: b");
            return out;
        }
        throw std::runtime_error("secret detail");
    });
    RawClient client(server.port());
    for (const char* path : {"/throw", "/header", "/throw"}) {
        const auto answer = client.ask(get(path));
        EXPECT_EQ(answer.status, 500);
        EXPECT_NE(answer.body.find("api.internal"), std::string::npos);
        EXPECT_NE(answer.body.find("requestId"), std::string::npos);
        EXPECT_EQ(answer.body.find("secret"), std::string::npos);
        EXPECT_FALSE(answer.has("Set-Cookie"));
    }
}

TEST(HttpServer, SixtyFourClientsAtOnce) {
    auto chosen = options();
    chosen.io_threads = 2;
    HttpServer server(chosen, [](const Request& request) { return text(request.path + request.body); });
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    std::latch all_connected(64);
    for (int t = 0; t < 64; ++t) {
        threads.emplace_back([&, t] {
            RawClient client(server.port());
            all_connected.arrive_and_wait();
            for (int i = 0; i < 50; ++i) {
                const auto path = "/" + std::to_string(t) + "-" + std::to_string(i);
                const auto answer = client.ask("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
                right.fetch_add(answer.status == 200 && answer.body == path + "abc" ? 1 : 0);
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(right.load(), 64 * 50);
}

TEST(HttpServer, PortTaken) {
    const HttpServer first(options(), [](const Request&) { return text("hello"); });
    auto chosen = options();
    chosen.port = first.port();
    for (unsigned threads : {1u, 2u}) {
        chosen.io_threads = threads;
        try {
            const HttpServer second(chosen, [](const Request&) { return text("x"); });
            FAIL() << "two servers on one port";
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), "net.address_in_use");
            EXPECT_EQ(e.kind(), ErrorKind::permanent);
            EXPECT_NE(e.message().find(std::to_string(first.port())), std::string::npos);
        }
    }
    chosen.host = "not an address";
    try {
        const HttpServer bad(chosen, [](const Request&) { return text("x"); });
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "net.io");
    }
}

}  // namespace
}  // namespace headrace::net
