// Names that do not resolve, or resolve to something else: the source is known by a name that the test's own server
// answers for.
#include "base/error.hpp"
#include "base/fd.hpp"
#include "net/http_client.hpp"
#include "net/wait.hpp"
#include "support/name_server.hpp"
#include "support/paths.hpp"
#include "support/scene.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>

namespace headrace {
namespace {

using std::chrono::seconds;
using support::log_of;
using support::NameServer;
using support::run_of;
using support::Scene;
using support::servers;

constexpr const char* here = "127.0.0.1";    // ClickHouse
constexpr const char* nobody = "127.0.0.3";  // refuses

std::uint16_t clickhouse_port() {
    const auto url = servers().clickhouse().url();
    return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

class Names : public testing::Test {
protected:
    void SetUp() override {
        if (!names.ready()) {
            GTEST_SKIP() << "port 53 of a loopback address cannot be had here";
        }
        scene.worker->terminate(seconds(10));
        const auto host = fmt::format("source.test:{}", clickhouse_port());
        scene.stack.set_credential(
            {.name = "clickhouse",
             .kind = "clickhouse",
             .settings =
                 {{"url", "http://" + host}, {"user", "reader"}, {"database", scene.stack.clickhouse_database()}},
             .allowed_hosts = {host}},
            servers().clickhouse().reader_password()
        );
        app::ProcessSpec spec;
        spec.argv = names.wrap({support::headrace_binary().string(), "worker", "--grace", "5"});
        spec.env = scene.stack.environment();
        spec.log_file = log;
        spec.death_signal = SIGKILL;
        worker = app::ChildProcess::start(spec);
        if (!scene.stack.await([&] {
                return !worker.running() || app::file_tail(log, 50).find("ready") != std::string::npos;
            }) ||
            !worker.running()) {
            GTEST_SKIP() << "a mount namespace cannot be had here: " << app::file_tail(log, 5);
        }
    }

    void TearDown() override {
        if (worker.pid() != 0 && worker.running()) {
            EXPECT_TRUE(worker.terminate(SIGTERM, seconds(10)).ok()) << app::file_tail(log, 20);
        }
    }

    int shown() { return support::look_at(scene.stack.get("cache:t"), Scene::rows).version; }

    void expect_next_run_good() {
        names.answer({here});
        const auto run_id = scene.stack.trigger("t");
        EXPECT_EQ(scene.stack.await_final(run_id), "succeeded") << app::file_tail(log, 20);
        support::expect_whole(scene.stack, run_id, 2, Scene::rows);
    }

    NameServer names;
    Scene scene;
    app::ChildProcess worker;
    std::string log = servers().fresh_folder() + "/worker.log";
};

class NamesThatFail : public Names, public testing::WithParamInterface<const char*> {};

TEST_P(NamesThatFail, F34_RunIsTriedAgainAndFailsWithItsCode) {
    names.answer({GetParam()});
    const auto run_id = scene.stack.trigger("t");
    EXPECT_EQ(scene.stack.await_final(run_id), "failed") << app::file_tail(log, 20);
    EXPECT_EQ(run_of(scene.stack, "error->>'code'", run_id), "source.unavailable");
    EXPECT_NE(run_of(scene.stack, "error->>'message'", run_id).find("source.test"), std::string::npos)
        << run_of(scene.stack, "error", run_id);
    EXPECT_EQ(run_of(scene.stack, "attempt || ' ' || crash_count", run_id), "3 0");
    EXPECT_GE(names.asked(), 3) << "each attempt asks anew";
    EXPECT_EQ(shown(), 1);
    expect_next_run_good();
}

INSTANTIATE_TEST_SUITE_P(
    Answers,
    NamesThatFail,
    testing::Values(NameServer::no_such_name, NameServer::broken, nobody),
    [](const auto& info) { return info.param == nobody ? std::string("refused") : std::string(info.param); }
);

TEST_F(Names, F34_TheAddressMayChangeBetweenAttempts) {
    names.answer({nobody, NameServer::broken, here});
    const auto run_id = scene.stack.trigger("t");
    EXPECT_EQ(scene.stack.await_final(run_id), "succeeded") << app::file_tail(log, 20);
    EXPECT_GT(run_of(scene.stack, "attempt", run_id), "1");
    support::expect_whole(scene.stack, run_id, 2, Scene::rows);
}

TEST_F(Names, F34_SilenceHoldsUpNeitherCancelNorShutdown) {
    names.answer({NameServer::silent});
    const auto run_id = scene.stack.trigger("t");
    ASSERT_TRUE(scene.stack.await([&] { return names.asked() > 0; }));
    scene.stack.sql(
        "update etl_runs set cancel_requested = true, cancelled_by = 'test' where run_id = $1 returning 1 as x",
        {run_id}
    );
    EXPECT_EQ(scene.stack.await_final(run_id, seconds(8)), "cancelled") << app::file_tail(log, 20);
    EXPECT_EQ(shown(), 1);
    expect_next_run_good();
}

TEST_F(Names, F34_SilenceIsAnErrorOfTheSource) {
    names.answer({NameServer::silent, NameServer::silent, here});
    const auto run_id = scene.stack.trigger("t");
    EXPECT_EQ(scene.stack.await_final(run_id), "succeeded") << app::file_tail(log, 20);
    EXPECT_GT(run_of(scene.stack, "attempt", run_id), "1");
    EXPECT_NE(log_of(scene.stack, run_id).find("source.unavailable"), std::string::npos) << log_of(scene.stack, run_id);
}

// A name that meant a good address when somebody looked means another one at the connect. What is asked of the check is
// the address that is called, and nothing is sent where it says no.
TEST(Rebinding, F34_TheAddressThatIsCalledIsChecked) {
    NameServer names;
    Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto port = clickhouse_port();
    sockaddr_in inside{};
    inside.sin_family = AF_INET;
    inside.sin_port = htons(port);
    ::inet_pton(AF_INET, "127.0.0.2", &inside.sin_addr);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&inside), sizeof inside), 0);
    ASSERT_EQ(::listen(listener.get(), 5), 0);
    names.answer({here, "127.0.0.2", here});
    std::vector<std::string> asked;
    const auto check = [&](const sockaddr* address) {
        std::array<char, INET_ADDRSTRLEN> text{};
        sockaddr_in four{};
        std::memcpy(&four, address, sizeof four);
        asked.emplace_back(::inet_ntop(AF_INET, &four.sin_addr, text.data(), text.size()));
        return asked.back() == here;
    };
    // "200", or the code of the error. Each has a client of its own, as each attempt has.
    const auto fetch = [&] {
        net::HttpClient client({.egress_check = check});
        net::HttpRequest request;
        request.url = fmt::format("http://source.test:{}/ping", port);
        request.deadline = Deadline::in(seconds(20));
        try {
            return std::to_string(client.fetch(request, {}).status);
        } catch (const Error& error) {
            return std::string(error.code());
        }
    };
    std::vector<std::string> got;
    if (!names.ready() || !names.run_here([&] { got = {fetch(), fetch(), fetch()}; })) {
        GTEST_SKIP() << "neither port 53 nor a mount namespace can be had here";
    }
    EXPECT_EQ(got, (std::vector<std::string>{"200", "http.egress", "200"}));
    EXPECT_EQ(asked, (std::vector<std::string>{here, "127.0.0.2", here}));
    EXPECT_EQ(net::wait_readable(listener.get(), Deadline::in(seconds(0)), {}), net::Ready::timeout)
        << "somebody has called";
}

}  // namespace
}  // namespace headrace
