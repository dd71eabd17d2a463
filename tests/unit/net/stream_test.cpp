#include "net/stream.hpp"

#include "base/error.hpp"
#include "loopback.hpp"
#include "net/resolve.hpp"
#include "net/wait.hpp"
#include "stream_support.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <future>

namespace headrace::net {
namespace {

using namespace std::chrono_literals;
using test::error_of;
using test::Listener;
using test::never_stop;
using test::OneShotServer;
using test::read_exactly;
using test::seconds_to_stop;
using test::soon;

TEST(Stream, EchoOverTcp) {
    OneShotServer server([](int fd) { test::send_text(fd, test::read_until(fd, "\n")); });
    auto stream = Stream::connect(server.address(), nullptr, soon(), never_stop);
    stream.write_all("hello\n", soon(), never_stop);
    EXPECT_EQ(read_exactly(stream, 6), "hello\n");
    char byte = 0;
    EXPECT_EQ(stream.read_some(&byte, 1, soon(), never_stop), 0u);  // end in order
    EXPECT_EQ(stream.name(), server.address().text());
}

TEST(Stream, LocalhostNeedsNoResolver) {
    OneShotServer server([](int fd) { test::send_text(fd, "x"); });
    auto stream = Stream::connect({"localhost", server.address().port, {}}, nullptr, soon(), never_stop);
    EXPECT_EQ(read_exactly(stream, 2), "x");
}

TEST(Stream, EchoOverUnixSocket) {
    const test::TempDir dir;
    const Listener listener(dir.file("s.sock"));
    auto server = std::async(std::launch::async, [&] {
        const auto peer = listener.accept();
        test::send_text(peer.get(), test::read_until(peer.get(), "\n"));
    });
    auto stream = Stream::connect(listener.address(), nullptr, soon(), never_stop);
    stream.write_all("over unix\n", soon(), never_stop);
    EXPECT_EQ(read_exactly(stream, 10), "over unix\n");
}

TEST(Stream, HalfCloseReachesThePeerAndAnswersStillArrive) {
    OneShotServer server([](int fd) {
        const auto all = test::read_to_end(fd);
        test::send_text(fd, std::to_string(all.size()));
    });
    auto stream = Stream::connect(server.address(), nullptr, soon(), never_stop);
    stream.write_all(std::string(100'000, 'a'), soon(), never_stop);
    stream.shutdown_write();
    EXPECT_EQ(read_exactly(stream, 100), "100000");
}

TEST(Stream, GatheredWritesArriveInOrderThroughAFullSocket) {
    std::promise<void> filled;
    std::promise<std::string> received;
    OneShotServer server([&](int fd) {
        filled.get_future().wait();  // nothing is read until the writer has seen a full socket
        received.set_value(test::read_to_end(fd));
    });
    auto stream = Stream::connect(server.address(), nullptr, soon(), never_stop);
    std::string expected;
    std::size_t sent = 0;
    const std::string block(64 * 1024, 'f');
    while ((sent = stream.write_some(block)) > 0) {
        expected.append(block, 0, sent);
    }
    std::vector<std::string> parts;
    for (int i = 0; i < 1000; ++i) {
        parts.push_back(std::to_string(i) + std::string(static_cast<std::size_t>(i % 7) * 1000, 'x'));
    }
    const std::vector<std::string_view> views(parts.begin(), parts.end());
    for (const auto& part : parts) {
        expected += part;
    }
    filled.set_value();
    stream.write_all(views, soon(), never_stop);
    stream.shutdown_write();
    EXPECT_TRUE(received.get_future().get() == expected);
}

TEST(Stream, NonBlockingFormsTellNothingFromEnd) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    auto stream = Stream::adopt(pair[0], "pair");
    Fd peer(pair[1]);
    char space[8];
    EXPECT_EQ(stream.read_available(space, sizeof space), std::nullopt);
    test::send_text(peer.get(), "abc");
    EXPECT_EQ(stream.read_available(space, sizeof space), 3u);
    EXPECT_EQ(stream.read_available(space, sizeof space), std::nullopt);
    peer.reset();
    EXPECT_EQ(stream.read_available(space, sizeof space), 0u);
    EXPECT_EQ(error_of([&] { stream.write_all("x", soon(), never_stop); }).code(), "net.closed");  // and no SIGPIPE
    stream.close();
    stream.close();
    EXPECT_EQ(stream.fd(), -1);
    EXPECT_EQ(error_of([&] { stream.read_some(space, 1, soon(), never_stop); }).code(), "net.closed");
}

TEST(Stream, ReadDeadline) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    auto stream = Stream::adopt(pair[0], "cache:6379");
    const Fd peer(pair[1]);
    char byte = 0;
    const auto error = error_of([&] { stream.read_some(&byte, 1, Deadline::in(20ms), never_stop); });
    EXPECT_EQ(error.code(), "net.timeout");
    EXPECT_EQ(error.kind(), ErrorKind::transient);
    EXPECT_NE(error.message().find("cache:6379"), std::string::npos);
}

TEST(Stream, WriteDeadline) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    auto stream = Stream::adopt(pair[0], "pair");
    const Fd peer(pair[1]);
    const std::string much(8 * 1024 * 1024, 'a');
    EXPECT_EQ(error_of([&] { stream.write_all(much, Deadline::in(20ms), never_stop); }).code(), "net.timeout");
}

TEST(Stream, StopWhileReadingAndWritingIsImmediate) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    auto stream = Stream::adopt(pair[0], "pair");
    const Fd peer(pair[1]);
    char byte = 0;
    EXPECT_LT(
        seconds_to_stop([&](const StopToken& stop) { stream.read_some(&byte, 1, Deadline::never(), stop); }), 1.0
    );
    const std::string much(8 * 1024 * 1024, 'a');
    EXPECT_LT(seconds_to_stop([&](const StopToken& stop) { stream.write_all(much, Deadline::never(), stop); }), 1.0);
    // Data that never ends does not outrun a stop.
    StopSource stopped;
    stopped.request_stop("gone");
    test::send_text(peer.get(), "x");
    EXPECT_EQ(error_of([&] { stream.read_some(&byte, 1, soon(), stopped.token()); }).code(), "net.cancelled");
}

// A listener whose backlog is full leaves further connects hanging, as an unreachable host does.
struct FullBacklog {
    Listener listener{0};
    std::vector<Fd> fillers;

    FullBacklog() {
        for (int i = 0; i < 8; ++i) {
            Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            sockaddr_in name{};
            name.sin_family = AF_INET;
            name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            name.sin_port = htons(listener.address().port);
            ::connect(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name);
            fillers.push_back(std::move(fd));
        }
    }
};

TEST(Stream, ConnectDeadlineAndStop) {
    const FullBacklog full;
    const auto& address = full.listener.address();
    const auto error = error_of([&] { Stream::connect(address, nullptr, Deadline::in(30ms), never_stop); });
    EXPECT_EQ(error.code(), "net.timeout") << error.what();
    EXPECT_NE(error.message().find(address.text()), std::string::npos);
    EXPECT_LT(
        seconds_to_stop([&](const StopToken& stop) { Stream::connect(address, nullptr, Deadline::never(), stop); }), 1.0
    );
}

TEST(Stream, RefusedConnections) {
    Address closed;
    {
        const Listener listener;
        closed = listener.address();
    }
    const auto error = error_of([&] { Stream::connect(closed, nullptr, soon(), never_stop); });
    EXPECT_EQ(error.code(), "net.connect");
    EXPECT_EQ(error.kind(), ErrorKind::transient);
    EXPECT_NE(error.message().find(closed.text()), std::string::npos);
    EXPECT_EQ(
        error_of([&] {
            Stream::connect({{}, 0, "/nonexistent/s"}, nullptr, soon(), never_stop);
        }).code(),
        "net.connect"
    );
    const std::string too_long(200, 'p');
    EXPECT_EQ(
        error_of([&] {
            Stream::connect({{}, 0, "/" + too_long}, nullptr, soon(), never_stop);
        }).code(),
        "config.invalid"
    );
}

TEST(Resolve, AbandonsAStuckResolver) {
    struct Gate {
        std::promise<void> open;
        std::shared_future<void> opened{open.get_future()};
        std::atomic<int> left{0};
    };

    auto gate = std::make_shared<Gate>();
    const LookupFunction stuck = [gate](const std::string&, std::uint16_t) {
        gate->opened.wait();
        gate->left.fetch_add(1);
        return Lookup{};
    };
    const Address address{"stuck.example", 1, {}};
    EXPECT_EQ(error_of([&] { resolve(address, Deadline::in(20ms), never_stop, stuck); }).code(), "net.timeout");
    EXPECT_LT(seconds_to_stop([&](const StopToken& stop) { resolve(address, Deadline::never(), stop, stuck); }), 1.0);
    EXPECT_EQ(gate->left.load(), 0);
    gate->open.set_value();  // the two threads end by themselves
}

TEST(Resolve, Failures) {
    const LookupFunction none = [](const std::string&, std::uint16_t) {
        return Lookup{{}, "Name or service not known"};
    };
    const auto error = error_of([&] { resolve({"no.example", 1, {}}, soon(), never_stop, none); });
    EXPECT_EQ(error.code(), "net.dns");
    EXPECT_EQ(error.message(), "no.example: Name or service not known");
    EXPECT_EQ(resolve({"::1", 9, {}}, soon(), never_stop, none).at(0).family(), AF_INET6);
    EXPECT_EQ(resolve({"localhost", 9, {}}, soon(), never_stop, none).size(), 2u);
}

TEST(Waker, WakesMeltAndDrain) {
    const Waker waker;
    EXPECT_EQ(wait_readable(waker.fd(), Deadline::in(0ms), never_stop), Ready::timeout);
    waker.wake();
    waker.wake();
    EXPECT_EQ(wait_readable(waker.fd(), soon(), never_stop), Ready::ready);
    waker.drain();
    EXPECT_EQ(wait_readable(waker.fd(), Deadline::in(0ms), never_stop), Ready::timeout);
    StopSource stop;
    waker.wake();
    stop.request_stop();
    EXPECT_EQ(wait_readable(waker.fd(), soon(), stop.token()), Ready::stopped);  // stop wins
}

}  // namespace
}  // namespace headrace::net
