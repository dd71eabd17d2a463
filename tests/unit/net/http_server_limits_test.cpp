#include "base/error.hpp"
#include "net/http_server.hpp"
#include "raw_client.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <memory>
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

TEST(HttpServer, Limits) {
    auto chosen = options();
    chosen.body_limit = 1000;
    HttpServer server(chosen, [](const Request& request) { return text(std::to_string(request.body.size())); });
    const auto status_of = [&](const std::string& request) {
        RawClient client(server.port());
        const auto answer = client.ask(request);
        EXPECT_TRUE(answer.status < 400 || answer.body.find("\"hint\":") != std::string::npos) << answer.body;
        return answer.status;
    };
    const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
    EXPECT_EQ(status_of(get("/", "X: " + std::string(15'000, 'x') + "\r\n")), 200);
    EXPECT_EQ(status_of(get("/", "X: " + std::string(17'000, 'x') + "\r\n")), 431);
    EXPECT_EQ(status_of(get("/" + std::string(200'000, 'x'))), 431);
    EXPECT_EQ(status_of(post + "Content-Length: 1000\r\n\r\n" + std::string(1000, 'b')), 200);
    EXPECT_EQ(status_of(post + "Content-Length: 1001\r\n\r\n" + std::string(1001, 'b')), 413);
    EXPECT_EQ(
        status_of(post + "Transfer-Encoding: chunked\r\n\r\n3E8\r\n" + std::string(1000, 'b') + "\r\n0\r\n\r\n"), 200
    );
    EXPECT_EQ(
        status_of(
            post + "Transfer-Encoding: chunked\r\n\r\n3E8\r\n" + std::string(1000, 'b') + "\r\n1\r\nx\r\n0\r\n\r\n"
        ),
        413
    );
    EXPECT_EQ(
        status_of(post + "Transfer-Encoding: chunked\r\n\r\n3;" + std::string(300'000, 'e') + "\r\nabc\r\n0\r\n\r\n"),
        400
    );
}

TEST(HttpServer, TheAnswerToALargeRefusedBodyArrives) {
    HttpServer server(options(), [](const Request&) { return text("x"); });
    RawClient client(server.port());
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n");
    for (int i = 0; i < 100; ++i) {
        client.send(std::string(64 * 1024, 'b'));  // a client that does not listen before it has sent
    }
    EXPECT_EQ(client.answer().status, 413);
}

TEST(HttpServer, SlowClientsAreAnswered408) {
    auto chosen = options();
    chosen.header_timeout = 40ms;
    chosen.body_timeout = 40ms;
    const auto server = std::make_unique<HttpServer>(chosen, [](const Request&) { return text("x"); });
    RawClient head(server->port());
    head.send("GET / HTTP/1.1\r\nHo");
    EXPECT_EQ(head.answer().status, 408);
    EXPECT_TRUE(head.ended());
    RawClient body(server->port());
    body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    EXPECT_EQ(body.answer().status, 408);
    RawClient silent(server->port());
    EXPECT_TRUE(silent.ended());  // nothing was asked, nothing is said
}

TEST(HttpServer, IdleConnectionsAreClosed) {
    auto chosen = options();
    chosen.idle_timeout = 40ms;
    HttpServer server(chosen, [](const Request&) { return text("x"); });
    RawClient client(server.port());
    EXPECT_EQ(client.ask(get("/")).status, 200);
    EXPECT_TRUE(client.ended());
}

TEST(HttpServer, LargeAnswersAndClientsThatDoNotRead) {
    auto chosen = options();
    const std::string large(30'000'000, 'L');
    const Handler handler = [&](const Request&) { return text(large); };
    HttpServer patient(chosen, handler);
    RawClient reader(patient.port());
    EXPECT_TRUE(reader.ask(get("/")).body == large);
    chosen.write_timeout = 60ms;
    HttpServer server(chosen, handler);
    RawClient sleeper(server.port());
    sleeper.send(get("/"));
    EXPECT_EQ(sleeper.read_until("\r\n\r\n").substr(0, 15), "HTTP/1.1 200 OK");
    EXPECT_TRUE(sleeper.was_reset());
    EXPECT_LT(sleeper.read_to_end().size(), large.size());
}

TEST(HttpServer, FullQueueAnswers503AndKeepsTheConnection) {
    auto chosen = options();
    chosen.pool_threads = 1;
    chosen.queue_limit = 1;
    std::promise<void> entered;
    std::promise<void> go;
    auto gate = go.get_future().share();
    std::atomic<int> calls{0};
    HttpServer server(chosen, [&, gate](const Request&) {
        if (calls.fetch_add(1) == 0) {
            entered.set_value();
        }
        gate.wait();
        return text("late");
    });
    RawClient running(server.port());
    running.send(get("/"));
    entered.get_future().wait();
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(std::make_unique<RawClient>(server.port()));
        clients.back()->send(get("/"));
    }
    // One of the three waits in the queue; the two others are turned away, one of them with 3000
    // pipelined requests.
    std::string many;
    for (int i = 0; i < 3000; ++i) {
        many += get("/");
    }
    RawClient flooder(server.port());
    flooder.send(many);
    const auto busy = flooder.answer();
    EXPECT_EQ(busy.status, 503);
    EXPECT_TRUE(busy.has("Retry-After: 1\r\n"));
    EXPECT_NE(busy.body.find("api.busy"), std::string::npos);
    for (int i = 1; i < 3000; ++i) {
        ASSERT_EQ(flooder.answer().status, 503) << i;
    }
    go.set_value();
    int good = running.answer().status == 200 ? 1 : 0;
    for (auto& client : clients) {
        const auto status = client->answer().status;
        EXPECT_TRUE(status == 200 || status == 503);
        good += status == 200 ? 1 : 0;
    }
    EXPECT_EQ(good, 2);
    EXPECT_EQ(flooder.ask(get("/")).status, 200);
}

TEST(HttpServer, ConnectionsAboveTheLimit) {
    auto chosen = options();
    chosen.max_connections = 2;
    auto server = std::make_unique<HttpServer>(chosen, [](const Request&) { return text("x"); });
    RawClient one(server->port());
    RawClient two(server->port());
    EXPECT_EQ(one.ask(get("/")).status, 200);
    EXPECT_EQ(two.ask(get("/")).status, 200);
    RawClient three(server->port());
    EXPECT_EQ(three.answer().status, 503);
    EXPECT_TRUE(three.ended());
    one.hang_up();
    int status = 503;
    for (int i = 0; i < 10'000 && status == 503; ++i) {  // until the server has seen the end of the first
        RawClient four(server->port());
        four.send(get("/"));
        status = four.answer().status;
    }
    EXPECT_EQ(status, 200);
}

// --- stop ---

TEST(HttpServerStop, FinishesWhatRunsAndClosesTheRest) {
    std::promise<void> entered;
    std::promise<void> go;
    HttpServer server(options(), [&](const Request& request) {
        if (request.path == "/slow") {
            entered.set_value();
            go.get_future().wait();
        }
        return text("done");
    });
    RawClient idle(server.port());
    EXPECT_EQ(idle.ask(get("/")).status, 200);
    RawClient busy(server.port());
    busy.send(get("/slow"));
    entered.get_future().wait();
    auto stopping = std::async(std::launch::async, [&] { server.stop(Deadline::never()); });
    EXPECT_TRUE(idle.ended());
    go.set_value();
    const auto answer = busy.answer();
    EXPECT_EQ(answer.body, "done");
    EXPECT_TRUE(answer.has("Connection: close\r\n"));
    stopping.get();
    EXPECT_EQ(server.connections(), 0u);
    EXPECT_THROW(RawClient late(server.port()), Error);
    server.stop(Deadline::never());
}

TEST(HttpServerStop, CutsAtTheEndOfTheGrace) {
    const std::string large(30'000'000, 'L');
    HttpServer server(options(), [&](const Request&) { return text(large); });
    RawClient sleeper(server.port());
    sleeper.send(get("/"));
    sleeper.read_until("\r\n\r\n");
    RawClient half(server.port());
    half.send("GET / HT");
    const auto from = std::chrono::steady_clock::now();
    server.stop(Deadline::in(50ms));
    EXPECT_LT(std::chrono::steady_clock::now() - from, 5s);
    EXPECT_LT(sleeper.read_to_end().size(), large.size());
    EXPECT_TRUE(half.ended());
}

TEST(HttpServerStop, UnderLoad) {
    for (int round = 0; round < 10; ++round) {
        auto server = std::make_unique<HttpServer>(options(), [](const Request&) { return text("x"); });
        std::vector<std::thread> threads;
        std::latch going(8);
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&] {
                RawClient client(server->port());
                client.send(get("/"));
                client.answer();
                going.count_down();
                for (;;) {
                    try {
                        client.send(get("/") + get("/"));
                    } catch (const Error&) {
                        return;
                    }
                    if (client.answer().status == 0 || client.answer().status == 0) {
                        return;
                    }
                }
            });
        }
        going.wait();
        server->stop(round % 2 == 0 ? Deadline::in(0ms) : Deadline::in(5s));
        EXPECT_EQ(server->connections(), 0u);
        for (auto& thread : threads) {
            thread.join();
        }
    }
}

}  // namespace
}  // namespace headrace::net
