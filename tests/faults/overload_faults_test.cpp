// More than the api can serve: clients that send slowly, too much, or all at once. The worker beside it does not
// notice.
#include "api/api.hpp"
#include "base/error.hpp"
#include "net/http_server.hpp"
#include "net/stream.hpp"
#include "run/bullmq_queue.hpp"
#include "run/dispatcher.hpp"
#include "support/api_client.hpp"
#include "support/sanitized.hpp"
#include "support/scene.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

namespace headrace {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using support::ApiClient;
using support::run_of;
using support::Scene;

constexpr seconds api_patience{20};

// ---- F55

// An api with short api_patience in this process, and a worker beside it.
class Overloaded : public testing::Test {
protected:
    static constexpr std::size_t most_connections = 48;
    static constexpr milliseconds head_time{support::sanitized ? 3000 : 1000};

    Overloaded()
        : pool_(postgres::ConnectOptions{.url = scene.stack.database_url()}, 6),
          redis_(redis::parse_redis_url(scene.stack.redis_url())),
          queue_(redis_, "etl"),
          api_(
              {.db = pool_,
               .redis = redis_,
               .sessions = {.secrets = {Secret("0123456789abcdef0123456789abcdef")}},
               .send_jobs = [this](postgres::Connection& c) { run::dispatch(c, queue_); },
               .web_folder = {},
               .dev_login = true,
               .commit = {},
               .hosts = {}}
          ),
          server_(
              net::HttpServerOptions{
                  .pool_threads = 2,
                  .queue_limit = 8,
                  .max_connections = most_connections,
                  .header_timeout = head_time,
                  .body_timeout = head_time},
              [this](const net::Request& request) { return api_.handle(request); }
          ) {}

    ~Overloaded() override {
        api_.stop();
        server_.stop(Deadline::in(seconds(5)));
    }

    std::string address() const { return fmt::format("http://127.0.0.1:{}", server_.port()); }

    net::Stream connect() const {
        net::Address to;
        to.host = "127.0.0.1";
        to.port = server_.port();
        return net::Stream::connect(to, nullptr, Deadline::in(api_patience), {});
    }

    // Everything until the server closes.
    static std::string read_out(net::Stream& stream) {
        std::string all;
        std::array<char, 4096> buffer{};
        try {
            while (const auto got = stream.read_some(buffer.data(), buffer.size(), Deadline::in(api_patience), {})) {
                all.append(buffer.data(), got);
            }
        } catch (const Error&) {
            return all;  // reset: it read no further
        }
        return all;
    }

    static int status_of(const std::string& answer) {
        return answer.starts_with("HTTP/1.1 ") ? std::atoi(answer.c_str() + 9) : 0;
    }

    // The worker beside it does a run as if nothing were.
    void expect_worker_unaffected(int version) {
        auto& stack = scene.stack;
        stack.set_version(version);
        const auto run_id = stack.trigger("t");
        EXPECT_EQ(stack.await_final(run_id), "succeeded") << scene.worker->log();
        EXPECT_EQ(run_of(stack, "attempt || ' ' || crash_count", run_id), "1 0");
        support::expect_whole(stack, run_id, version, Scene::rows);
    }

    void expect_recovered() {
        EXPECT_TRUE(scene.stack.await([&] { return server_.connections() == 0; })) << server_.connections();
        ApiClient client(address());
        EXPECT_EQ(client.ask("GET", "/api/health/ready").status, 200);
    }

    Scene scene;

private:
    postgres::Pool pool_;
    redis::Options redis_;
    run::BullmqQueue queue_;
    api::Api api_;
    net::HttpServer server_;
};

TEST_F(Overloaded, F55_SlowClientsAreCutAndTheirPlacesGivenToOthers) {
    std::vector<net::Stream> slow;
    for (std::size_t i = 0; i < most_connections; ++i) {
        slow.push_back(connect());
        const bool body = i % 2 == 0;
        slow.back().write_all(
            body ? "POST /api/auth/dev-login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
                 : "GET / HTTP/1.1\r\nX",
            Deadline::in(api_patience),
            {}
        );
    }
    // The house is full: one more is told so at once.
    ASSERT_TRUE(scene.stack.await([&] {
        auto one = connect();
        return status_of(read_out(one)) == 503;
    }));
    // A byte now and then buys no time.
    scene.stack.await(
        [&] {
            for (auto& stream : slow) {
                stream.write_all("a", Deadline::in(api_patience), {});
            }
            return false;
        },
        head_time / 4
    );
    expect_worker_unaffected(2);
    int turned_away = 0;
    for (auto& stream : slow) {
        turned_away += status_of(read_out(stream)) == 408 ? 1 : 0;
    }
    EXPECT_EQ(turned_away, static_cast<int>(most_connections));
    slow.clear();
    expect_recovered();
}

TEST_F(Overloaded, F55_LargeBodiesAreRefusedBeforeTheyAreRead) {
    const std::string post = "POST /api/auth/dev-login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    const std::string megabyte(1u << 20, 'x');
    const auto piece = fmt::format("{:x}\r\n{}\r\n", megabyte.size(), megabyte);
    for (const auto& start :
         {post + "Content-Length: 1000000000\r\n\r\n",
          post + "Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n",
          post + "Transfer-Encoding: chunked\r\n\r\n" + piece + piece}) {
        auto stream = connect();
        stream.write_all(start, Deadline::in(api_patience), {});
        EXPECT_EQ(status_of(read_out(stream)), 413) << start.substr(0, 200);
    }
    // Whoever does not listen is cut.
    auto deaf = connect();
    const auto until = Deadline::in(api_patience);
    try {
        deaf.write_all(post + "Transfer-Encoding: chunked\r\n\r\n", until, {});
        while (!until.passed()) {
            deaf.write_all(piece, until, {});
        }
    } catch (const Error&) {
        EXPECT_FALSE(until.passed());
    }
    EXPECT_FALSE(until.passed()) << "it takes whatever comes";
    expect_worker_unaffected(2);
    expect_recovered();
}

// Many times what two threads can do: each is answered, with what it asked for or with "busy".
TEST_F(Overloaded, F55_AFloodIsServedOrToldToComeBack) {
    constexpr int clients = 40;
    constexpr int requests = support::sanitized ? 20 : 60;
    const auto cookie = [&] {
        ApiClient client(address());
        client.login(scene.stack);
        return client.cookie;
    }();
    std::atomic<int> good{0};
    std::atomic<int> busy{0};
    std::atomic<int> other{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < clients; ++i) {
        threads.emplace_back([&] {
            ApiClient client(address());
            client.cookie = cookie;
            for (int n = 0; n < requests; ++n) {
                try {
                    const auto reply = client.ask("GET", "/api/etl/runs?limit=100");
                    ++(reply.status == 200                                       ? good
                       : reply.status == 503 && reply.headers.has("Retry-After") ? busy
                                                                                 : other);
                } catch (const Error&) {
                    ++other;
                }
            }
        });
    }
    expect_worker_unaffected(2);
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(other, 0);
    EXPECT_EQ(good + busy, clients * requests);
    EXPECT_GT(good, requests);
    EXPECT_GT(busy, 0) << "this was no overload";
    expect_recovered();
}

}  // namespace
}  // namespace headrace
