#include "net/stream.hpp"

#include "base/error.hpp"
#include "certs.hpp"
#include "loopback.hpp"
#include "net/resolve.hpp"
#include "net/wait.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <future>
#include <numeric>

namespace headrace::net {
namespace {

using namespace std::chrono_literals;
using test::Listener;
using test::OneShotServer;

const StopToken never_stop;

Deadline soon() {
    return Deadline::in(10s);
}

template <class Work>
Error error_of(Work work) {
    try {
        work();
    } catch (const Error& e) {
        return e;
    }
    return {ErrorKind::bug, "internal.bug", "nothing was thrown"};
}

std::string read_exactly(Stream& stream, std::size_t size) {
    std::string out(size, '\0');
    std::size_t have = 0;
    while (have < size) {
        const auto got = stream.read_some(out.data() + have, size - have, soon(), never_stop);
        if (got == 0) {
            break;
        }
        have += got;
    }
    out.resize(have);
    return out;
}

// Seconds from the stop request to the return of `work`, which must throw net.cancelled.
template <class Work>
double seconds_to_stop(
    Work work,
    const std::function<void()>& when_to_stop = [] {}
) {
    StopSource source;
    std::promise<void> started;
    auto done = std::async(std::launch::async, [&] {
        started.set_value();
        const auto error = error_of([&] { work(source.token()); });
        EXPECT_EQ(error.code(), "net.cancelled") << error.what();
        EXPECT_EQ(error.kind(), ErrorKind::cancelled);
    });
    started.get_future().wait();
    when_to_stop();
    const auto from = std::chrono::steady_clock::now();
    source.request_stop("run cancelled");
    done.get();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

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
    auto stream =
        Stream::connect({"localhost", server.address().port, {}}, nullptr, soon(), never_stop);
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
        parts.push_back(
            std::to_string(i) + std::string(static_cast<std::size_t>(i % 7) * 1000, 'x')
        );
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
    EXPECT_EQ(
        error_of([&] { stream.write_all("x", soon(), never_stop); }).code(), "net.closed"
    );  // and no SIGPIPE
    stream.close();
    stream.close();
    EXPECT_EQ(stream.fd(), -1);
    EXPECT_EQ(
        error_of([&] { stream.read_some(space, 1, soon(), never_stop); }).code(), "net.closed"
    );
}

TEST(Stream, ReadDeadline) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    auto stream = Stream::adopt(pair[0], "cache:6379");
    const Fd peer(pair[1]);
    char byte = 0;
    const auto error =
        error_of([&] { stream.read_some(&byte, 1, Deadline::in(20ms), never_stop); });
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
    EXPECT_EQ(
        error_of([&] { stream.write_all(much, Deadline::in(20ms), never_stop); }).code(),
        "net.timeout"
    );
}

TEST(Stream, StopWhileReadingAndWritingIsImmediate) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    auto stream = Stream::adopt(pair[0], "pair");
    const Fd peer(pair[1]);
    char byte = 0;
    EXPECT_LT(
        seconds_to_stop([&](const StopToken& stop) {
            stream.read_some(&byte, 1, Deadline::never(), stop);
        }),
        1.0
    );
    const std::string much(8 * 1024 * 1024, 'a');
    EXPECT_LT(
        seconds_to_stop([&](const StopToken& stop) {
            stream.write_all(much, Deadline::never(), stop);
        }),
        1.0
    );
    // Data that never ends does not outrun a stop.
    StopSource stopped;
    stopped.request_stop("gone");
    test::send_text(peer.get(), "x");
    EXPECT_EQ(
        error_of([&] { stream.read_some(&byte, 1, soon(), stopped.token()); }).code(),
        "net.cancelled"
    );
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
    const auto error =
        error_of([&] { Stream::connect(address, nullptr, Deadline::in(30ms), never_stop); });
    EXPECT_EQ(error.code(), "net.timeout") << error.what();
    EXPECT_NE(error.message().find(address.text()), std::string::npos);
    EXPECT_LT(
        seconds_to_stop([&](const StopToken& stop) {
            Stream::connect(address, nullptr, Deadline::never(), stop);
        }),
        1.0
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
    EXPECT_EQ(
        error_of([&] { resolve(address, Deadline::in(20ms), never_stop, stuck); }).code(),
        "net.timeout"
    );
    EXPECT_LT(
        seconds_to_stop([&](const StopToken& stop) {
            resolve(address, Deadline::never(), stop, stuck);
        }),
        1.0
    );
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

// --- TLS
// -----------------------------------------------------------------------------------------------------------

class StreamTls : public ::testing::Test {
protected:
    StreamTls() : ca_(test::make_identity("test ca", "", nullptr)) {
        test::write_cert(ca_, dir_.file("ca.pem"));
    }

    TlsOptions options() const {
        return {
            .ca_file = dir_.file("ca.pem"),
            .verify = true,
            .server_name = {},
            .cert_file = {},
            .key_file = {}};
    }

    // What a client with `tls` meets at a server with `identity`.
    static Error refusal(const test::Identity& identity, const TlsOptions& tls) {
        const OneShotServer server(test::tls_script(identity, [](SSL*, int) {}));
        return error_of([&] { Stream::connect(server.address(), &tls, soon(), never_stop); });
    }

    test::TempDir dir_;
    test::Identity ca_;
};

TEST_F(StreamTls, MegabytesBothWaysAndAnOrderlyEnd) {
    const auto leaf = test::make_identity("leaf", "IP:127.0.0.1,DNS:localhost", &ca_);
    const std::size_t size = 3'000'000;
    const OneShotServer server(test::tls_script(leaf, [&](SSL* tls, int) {
        std::string all;
        char space[16 * 1024];
        while (all.size() < size) {
            const int got = SSL_read(tls, space, sizeof space);
            ASSERT_GT(got, 0);
            all.append(space, static_cast<std::size_t>(got));
        }
        ASSERT_EQ(
            SSL_write(tls, all.data(), static_cast<int>(all.size())), static_cast<int>(all.size())
        );
        SSL_shutdown(tls);
    }));
    const auto tls = options();
    auto stream = Stream::connect(server.address(), &tls, soon(), never_stop);
    std::string sent(size, '\0');
    std::iota(sent.begin(), sent.end(), '\0');
    const std::string_view all(sent);
    const std::string_view pieces[] = {
        all.substr(0, 5), all.substr(5, 2'000'000), {}, all.substr(2'000'005)};
    stream.write_all(pieces, soon(), never_stop);
    EXPECT_TRUE(read_exactly(stream, size) == sent);
    char byte = 0;
    EXPECT_EQ(stream.read_some(&byte, 1, soon(), never_stop), 0u);
}

TEST_F(StreamTls, ACutIsNotAnEnd) {
    const auto leaf = test::make_identity("leaf", "IP:127.0.0.1", &ca_);
    const OneShotServer server(test::tls_script(leaf, [](SSL* tls, int) {
        SSL_write(tls, "half", 4);
    }));
    const auto tls = options();
    auto stream = Stream::connect(server.address(), &tls, soon(), never_stop);
    EXPECT_EQ(read_exactly(stream, 4), "half");
    char byte = 0;
    EXPECT_EQ(
        error_of([&] { stream.read_some(&byte, 1, soon(), never_stop); }).code(), "net.closed"
    );
}

TEST_F(StreamTls, RefusedCertificatesArePermanent) {
    struct Case {
        const char* what;
        test::Identity identity;
    };

    const auto other_ca = test::make_identity("other ca", "", nullptr);
    Case cases[] = {
        {"expired", test::make_identity("leaf", "IP:127.0.0.1", &ca_, -7200, -3600)},
        {"not yet valid", test::make_identity("leaf", "IP:127.0.0.1", &ca_, 3600, 7200)},
        {"wrong host", test::make_identity("leaf", "IP:127.0.0.2,DNS:localhost", &ca_)},
        {"self-signed", test::make_identity("leaf", "IP:127.0.0.1", nullptr)},
        {"unknown authority", test::make_identity("leaf", "IP:127.0.0.1", &other_ca)},
    };
    for (const auto& item : cases) {
        const auto error = refusal(item.identity, options());
        EXPECT_EQ(error.code(), "net.tls") << item.what << ": " << error.what();
        EXPECT_EQ(error.kind(), ErrorKind::permanent) << item.what << ": " << error.what();
        EXPECT_NE(error.message().find("certificate refused"), std::string::npos) << error.what();
    }
    auto lax = options();
    lax.verify = false;
    EXPECT_EQ(refusal(cases[0].identity, lax).code(), "internal.bug");  // nothing was thrown
}

TEST_F(StreamTls, ServerNameReplacesTheHost) {
    const auto leaf = test::make_identity("leaf", "DNS:cache.example", &ca_);
    auto tls = options();
    tls.server_name = "cache.example";
    EXPECT_EQ(refusal(leaf, tls).code(), "internal.bug");
    tls.server_name = "other.example";
    EXPECT_EQ(refusal(leaf, tls).code(), "net.tls");
}

TEST_F(StreamTls, NotTlsAtAllAndMissingCaFile) {
    const auto tls = options();
    const OneShotServer server([](int fd) { test::send_text(fd, "-ERR this is not TLS\r\n"); });
    const auto error =
        error_of([&] { Stream::connect(server.address(), &tls, soon(), never_stop); });
    EXPECT_EQ(error.code(), "net.tls") << error.what();
    auto missing = tls;
    missing.ca_file = dir_.file("absent.pem");
    const OneShotServer unused([](int) {});
    EXPECT_EQ(
        error_of([&] { Stream::connect(unused.address(), &missing, soon(), never_stop); }).kind(),
        ErrorKind::permanent
    );
}

TEST_F(StreamTls, StopDuringTheHandshake) {
    const Listener silent;
    const auto tls = options();
    EXPECT_LT(
        seconds_to_stop([&](const StopToken& stop) {
            Stream::connect(silent.address(), &tls, Deadline::never(), stop);
        }),
        1.0
    );
    EXPECT_EQ(
        error_of([&] { Stream::connect(silent.address(), &tls, Deadline::in(20ms), never_stop); }
        ).code(),
        "net.timeout"
    );
}

}  // namespace
}  // namespace headrace::net
