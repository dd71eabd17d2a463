#include "net/event_stream.hpp"

#include "net/http_server.hpp"
#include "raw_client.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
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

// --- event streams ---

class SseTest : public ::testing::Test {
protected:
    // Every request gets an event stream, which the test takes from here.
    std::shared_ptr<EventStream> next_stream() {
        std::unique_lock lock(mutex_);
        arrived_.wait(lock, [this] { return !streams_.empty(); });
        auto out = streams_.back();
        streams_.pop_back();
        return out;
    }

    Response open_stream(const Request&) {
        Response out;
        out.headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}};
        out.stream = std::make_shared<EventStream>(limits_);
        out.stream->send("retry: 2000\n\n");
        std::lock_guard lock(mutex_);
        streams_.push_back(out.stream);
        arrived_.notify_all();
        return out;
    }

    static HttpServerOptions one_pool_thread() {
        auto out = options();
        out.pool_threads = 1;
        return out;
    }

    // The stream's text without its chunk framing, up to and including `mark`.
    static std::string events(RawClient& client, const std::string& mark) {
        std::string out;
        while (out.find(mark) == std::string::npos) {
            const auto size_line = client.read_until("\r\n");
            const auto size = size_line.empty() ? 0 : std::stoul(size_line, nullptr, 16);
            if (size == 0) {
                out += client.read_until("\r\n") == "\r\n" ? "<end>" : "<cut>";
                break;
            }
            std::string chunk;
            while (chunk.size() < size + 2) {
                const auto more = client.read_until("\n");
                if (more.empty()) {
                    return out + "<cut>";
                }
                chunk += more;
            }
            out += chunk.substr(0, size);
        }
        return out;
    }

    std::mutex mutex_;
    std::condition_variable arrived_;
    std::vector<std::shared_ptr<EventStream>> streams_;
    EventStream::Limits limits_;
    HttpServer server_{one_pool_thread(), [this](const Request& request) { return open_stream(request); }};
};

TEST_F(SseTest, EventsFromAnyThreadAndAnOrderlyEnd) {
    RawClient client(server_.port());
    client.send(get("/events"));
    const auto head = client.answer();
    EXPECT_EQ(head.status, 200);
    EXPECT_TRUE(head.has("Transfer-Encoding: chunked\r\n")) << head.head;
    EXPECT_TRUE(head.has("Content-Type: text/event-stream\r\n"));
    EXPECT_EQ(events(client, "\n\n"), "retry: 2000\n\n");  // at once, before anybody sends more
    const auto stream = next_stream();
    std::thread sender([&] {
        for (int i = 0; i < 100; ++i) {
            EXPECT_TRUE(stream->send("id: " + std::to_string(i) + "\ndata: x\n\n"));
        }
    });
    const auto text = events(client, "id: 99\ndata: x\n\n");
    sender.join();
    EXPECT_TRUE(text.starts_with("id: 0\ndata: x\n\nid: 1\n")) << text;
    EXPECT_TRUE(stream->send("event: bye\ndata: {}\n\n"));
    stream->close();
    EXPECT_TRUE(stream->closed());
    EXPECT_FALSE(stream->send("data: late\n\n"));
    EXPECT_EQ(events(client, "<end>"), "event: bye\ndata: {}\n\n<end>");
    EXPECT_TRUE(client.ended());
}

TEST_F(SseTest, StreamsHoldNoPoolThread) {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 20; ++i) {  // with one pool thread
        clients.push_back(std::make_unique<RawClient>(server_.port()));
        clients.back()->send(get("/events"));
        EXPECT_EQ(clients.back()->answer().status, 200);
        EXPECT_EQ(events(*clients.back(), "\n\n"), "retry: 2000\n\n");
    }
}

TEST_F(SseTest, AClientThatLeavesClosesTheStream) {
    RawClient client(server_.port());
    client.send(get("/events"));
    client.answer();
    const auto stream = next_stream();
    std::promise<void> closed;
    stream->on_closed([&] { closed.set_value(); });
    EXPECT_FALSE(stream->closed());
    client.hang_up();
    closed.get_future().wait();
    EXPECT_TRUE(stream->closed());
    EXPECT_FALSE(stream->send("data: x\n\n"));
    bool called = false;
    stream->on_closed([&] { called = true; });
    EXPECT_TRUE(called);
}

TEST_F(SseTest, OverflowResetsAndEnds) {
    RawClient client(server_.port());
    client.send(get("/events"));
    client.answer();
    const auto stream = next_stream();
    // The client does not read: messages pile up in the sockets, then in the queue, then it is
    // over.
    const std::string message = "data: " + std::string(20'000, 'x') + "\n\n";
    std::size_t sent = 0;
    while (stream->send(message)) {
        ++sent;
        ASSERT_LT(sent, 100'000u);
    }
    EXPECT_TRUE(stream->closed());
    const auto text = events(client, "event: reset\ndata: {}\n\n");
    EXPECT_TRUE(text.ends_with("event: reset\ndata: {}\n\n"));
    EXPECT_EQ(client.read_to_end(), "0\r\n\r\n");
}

TEST(EventStreamLimits, MessagesAndBytes) {
    EventStream by_count(EventStream::Limits{.messages = 3, .bytes = 1000});
    EXPECT_TRUE(by_count.send("1") && by_count.send("2") && by_count.send("3"));
    EXPECT_FALSE(by_count.send("4"));
    EXPECT_TRUE(by_count.closed());
    EventStream by_size(EventStream::Limits{.messages = 100, .bytes = 10});
    EXPECT_TRUE(by_size.send("12345"));
    EXPECT_FALSE(by_size.send("123456"));
    EXPECT_FALSE(by_size.send("1"));
}

TEST_F(SseTest, OldClientsAndHead) {
    RawClient old(server_.port());
    old.send("GET /events HTTP/1.0\r\n\r\n");
    const auto head = old.answer();
    EXPECT_TRUE(head.has("Connection: close\r\n"));
    EXPECT_FALSE(head.has("chunked"));
    next_stream()->close();
    EXPECT_EQ(old.read_to_end(), "retry: 2000\n\n");
    RawClient head_only(server_.port());
    head_only.send("HEAD /events HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(head_only.answer().status, 200);
    EXPECT_TRUE(next_stream()->closed());
}

TEST_F(SseTest, StopEndsStreamsInOrder) {
    RawClient client(server_.port());
    client.send(get("/events"));
    client.answer();
    const auto stream = next_stream();
    std::promise<void> closed;
    stream->on_closed([&] { closed.set_value(); });
    server_.stop(Deadline::in(10s));
    closed.get_future().wait();
    EXPECT_EQ(events(client, "<end>"), "retry: 2000\n\n<end>");
    EXPECT_FALSE(stream->send("data: x\n\n"));  // safe after the server has gone
}

}  // namespace
}  // namespace headrace::net
