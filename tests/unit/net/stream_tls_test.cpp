// Stream over TLS, against certificates made here.
#include "base/error.hpp"
#include "certs.hpp"
#include "loopback.hpp"
#include "net/reach.hpp"
#include "net/stream.hpp"
#include "stream_support.hpp"

#include <gtest/gtest.h>

#include <numeric>

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

class StreamTls : public ::testing::Test {
protected:
    StreamTls() : ca_(test::make_identity("test ca", "", nullptr)) { test::write_cert(ca_, dir_.file("ca.pem")); }

    TlsOptions options() const {
        return {.ca_file = dir_.file("ca.pem"), .verify = true, .server_name = {}, .cert_file = {}, .key_file = {}};
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
        ASSERT_EQ(SSL_write(tls, all.data(), static_cast<int>(all.size())), static_cast<int>(all.size()));
        SSL_shutdown(tls);
    }));
    const auto tls = options();
    auto stream = Stream::connect(server.address(), &tls, soon(), never_stop);
    std::string sent(size, '\0');
    std::iota(sent.begin(), sent.end(), '\0');
    const std::string_view all(sent);
    const std::string_view pieces[] = {all.substr(0, 5), all.substr(5, 2'000'000), {}, all.substr(2'000'005)};
    stream.write_all(pieces, soon(), never_stop);
    EXPECT_TRUE(read_exactly(stream, size) == sent);
    char byte = 0;
    EXPECT_EQ(stream.read_some(&byte, 1, soon(), never_stop), 0u);
}

TEST_F(StreamTls, SaysWhoseCertificateItIsAndHowLong) {
    const auto leaf = test::make_identity("db.example", "IP:127.0.0.1", &ca_, -60, 86'400 * 9 + 3600);
    const OneShotServer server(test::tls_script(leaf, [](SSL* tls, int) { SSL_shutdown(tls); }));
    const auto tls = options();
    const auto text = Stream::connect(server.address(), &tls, soon(), never_stop).security();
    EXPECT_TRUE(text.starts_with("TLSv1.3, certificate of db.example until 20")) << text;
    EXPECT_TRUE(text.ends_with("(9 days)")) << text;
}

TEST_F(StreamTls, ReachNamesTheStepThatFails) {
    const Listener listener;
    std::string done;
    const auto steps = [&](const Destination& to) {
        done.clear();
        return error_of([&] {
            reach(to, soon(), never_stop, [&](std::string_view name, const std::function<std::string()>& work) {
                done += std::string(name) + " ";
                EXPECT_NE(work(), "");
            });
        });
    };
    Destination to{listener.address(), std::nullopt, {}};
    reach(to, soon(), never_stop, [&](std::string_view name, const auto& work) {
        done += std::string(name) + " " + work();
    });
    EXPECT_NE(done.find("connect 127.0.0.1:"), std::string::npos) << done;
    to.egress_check = [](const sockaddr*) { return false; };
    EXPECT_EQ(steps(to).code(), "http.egress");
    EXPECT_EQ(done, "dns ");
}

TEST_F(StreamTls, ACutIsNotAnEnd) {
    const auto leaf = test::make_identity("leaf", "IP:127.0.0.1", &ca_);
    const OneShotServer server(test::tls_script(leaf, [](SSL* tls, int) { SSL_write(tls, "half", 4); }));
    const auto tls = options();
    auto stream = Stream::connect(server.address(), &tls, soon(), never_stop);
    EXPECT_EQ(read_exactly(stream, 4), "half");
    char byte = 0;
    EXPECT_EQ(error_of([&] { stream.read_some(&byte, 1, soon(), never_stop); }).code(), "net.closed");
}

TEST_F(StreamTls, F35_RefusedCertificatesArePermanent) {
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
    const auto error = error_of([&] { Stream::connect(server.address(), &tls, soon(), never_stop); });
    EXPECT_EQ(error.code(), "net.tls") << error.what();
    auto missing = tls;
    missing.ca_file = dir_.file("absent.pem");
    const OneShotServer unused([](int) {});
    EXPECT_EQ(
        error_of([&] { Stream::connect(unused.address(), &missing, soon(), never_stop); }).kind(), ErrorKind::permanent
    );
}

TEST_F(StreamTls, StopDuringTheHandshake) {
    const Listener silent;
    const auto tls = options();
    EXPECT_LT(
        seconds_to_stop([&](const StopToken& stop) { Stream::connect(silent.address(), &tls, Deadline::never(), stop); }
        ),
        1.0
    );
    EXPECT_EQ(
        error_of([&] { Stream::connect(silent.address(), &tls, Deadline::in(20ms), never_stop); }).code(), "net.timeout"
    );
}

}  // namespace
}  // namespace headrace::net
