// Against a scripted peer on a unix socket: what a real server does rarely or never.
#include "redis/connection.hpp"

#include "base/fd.hpp"
#include "redis/pipeline.hpp"
#include "redis/resp.hpp"
#include "redis/script.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <thread>

using namespace headrace;
using namespace headrace::redis;

namespace {

// Accepts one client and lets `answer` say what each command (as its arguments) gets; "" = no answer at all.
class Peer {
public:
    using Answer = std::function<std::string(const std::vector<std::string>&)>;

    explicit Peer(Answer answer) : answer_(std::move(answer)) {
        directory_ = std::filesystem::temp_directory_path() / ("headrace-peer-" + std::to_string(::getpid()));
        std::filesystem::create_directories(directory_);
        path = directory_ / "s";
        std::filesystem::remove(path);
        listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listener_.get(), 1) != 0) {
            throw std::runtime_error("cannot listen");
        }
        thread_ = std::thread([this] { serve(); });
    }

    // After the client is gone.
    void join() { thread_.join(); }

    ~Peer() {
        ::shutdown(listener_.get(), SHUT_RDWR);
        if (thread_.joinable()) {
            thread_.join();
        }
        std::filesystem::remove_all(directory_);
    }

    Options options() const {
        Options out;
        out.address.unix_path = path;
        return out;
    }

    std::string path;
    std::vector<std::vector<std::string>> commands;  // read after join()

private:
    void serve() {
        Fd client(::accept(listener_.get(), nullptr, nullptr));
        if (!client) {
            return;
        }
        RespReader reader;
        char buffer[65536];
        for (;;) {
            auto count = ::read(client.get(), buffer, sizeof buffer);
            if (count <= 0) {
                return;
            }
            reader.feed({buffer, static_cast<std::size_t>(count)});
            while (auto command = reader.next()) {
                std::vector<std::string> args;
                for (const auto& arg : command->elements()) {
                    args.emplace_back(arg.str());
                }
                commands.push_back(args);
                auto text = answer_(args);
                if (text == "close") {
                    return;
                }
                [[maybe_unused]] auto written = ::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL);
            }
        }
    }

    Answer answer_;
    std::filesystem::path directory_;
    Fd listener_;
    std::thread thread_;
};

std::string code_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.code();
    }
    return "none";
}

TEST(Connection, LogsInBeforeAnythingElse) {
    Peer peer([](const auto&) { return "+OK\r\n"; });
    auto options = peer.options();
    options.user = "etl";
    options.password = Secret("s3cret");
    options.db = 3;
    options.client_name = "bull:ZXRs";
    Connection::connect(options, {}).close();
    peer.join();
    EXPECT_EQ(peer.commands[0], (std::vector<std::string>{"AUTH", "etl", "s3cret"}));
    EXPECT_EQ(peer.commands[1], (std::vector<std::string>{"SELECT", "3"}));
    EXPECT_EQ(peer.commands[2], (std::vector<std::string>{"CLIENT", "SETNAME", "bull:ZXRs"}));
    EXPECT_EQ(peer.commands[3], (std::vector<std::string>{"PING"}));
}

TEST(Connection, RefusedLoginAndLoadingAreErrorsOfConnect) {
    Peer wrong([](const auto& args) { return args[0] == "AUTH" ? "-WRONGPASS invalid\r\n" : "+OK\r\n"; });
    auto options = wrong.options();
    options.password = Secret("x");
    EXPECT_EQ(code_of([&] { Connection::connect(options, {}); }), "redis.auth");
}

TEST(Connection, SilenceIsATimeoutAndTheConnectionIsDeadAfterwards) {
    Peer peer([](const auto& args) { return args[0] == "PING" ? "+PONG\r\n" : ""; });
    auto options = peer.options();
    options.reply_timeout = std::chrono::milliseconds(20);
    auto connection = Connection::connect(options, {});
    EXPECT_EQ(code_of([&] { connection.command({"GET", "k"}); }), "redis.timeout");
    EXPECT_TRUE(connection.is_dead());
    EXPECT_EQ(code_of([&] { connection.command({"GET", "k"}); }), "redis.connect");
}

TEST(Connection, AClosedPeerIsNoticed) {
    Peer peer([](const auto& args) { return args[0] == "PING" ? "+PONG\r\n" : "close"; });
    auto connection = Connection::connect(peer.options(), {});
    EXPECT_EQ(code_of([&] { connection.command({"GET", "k"}); }), "redis.connect");
}

TEST(Connection, AStopEndsAWait) {
    Peer peer([](const auto& args) { return args[0] == "PING" ? "+PONG\r\n" : ""; });
    StopSource stop;
    auto connection = Connection::connect(peer.options(), stop.token());
    std::thread stopper([&] { stop.request_stop("enough"); });
    EXPECT_EQ(code_of([&] { connection.command({"BLPOP", "k", "0"}); }), "net.cancelled");
    stopper.join();
}

TEST(Connection, LargeValuesInPartsArriveWhole) {
    Peer peer([](const auto& args) { return ":" + std::to_string(args.back().size()) + "\r\n"; });
    auto connection = Connection::connect(peer.options(), {});
    const std::string large(3'000'000, 'x');
    const std::string small = "abc";
    const std::string_view head[] = {"APPEND", "k"};
    const std::string_view parts[] = {small, large, small, large, ""};
    connection.append({"SET", "before", "1"});
    connection.append_parts(head, parts);
    connection.append({"SET", "after", "22"});
    EXPECT_EQ(connection.read_reply().integer(), 1);
    EXPECT_EQ(connection.read_reply().integer(), 6'000'006);
    EXPECT_EQ(connection.read_reply().integer(), 2);
    EXPECT_EQ(connection.command({"SET", "k", large}).integer(), 3'000'000);
    EXPECT_EQ(connection.pending(), 0U);
}

TEST(Pipeline, KeepsItsWindowAndThrowsTheFirstError) {
    std::size_t count = 0;
    Peer peer([&](const auto& args) {
        if (args[0] == "PING") {
            return std::string("+PONG\r\n");
        }
        ++count;
        return count == 7 || count == 9 ? "-ERR number " + std::to_string(count) + "\r\n" : std::string("+OK\r\n");
    });
    auto connection = Connection::connect(peer.options(), {});
    Pipeline pipeline(connection, {.bytes = 1 << 20, .commands = 4});
    std::size_t good = 0;
    pipeline.on_reply([&](Reply&&) { ++good; });
    for (int i = 0; i < 25; ++i) {
        pipeline.add({"SET", "k", "v"});
        EXPECT_LE(connection.pending(), 4U);
    }
    try {
        pipeline.drain();
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.message(), "ERR number 7");
    }
    EXPECT_EQ(pipeline.errors(), 2U);
    EXPECT_EQ(pipeline.commands(), 25U);
    EXPECT_EQ(good, 23U);
}

TEST(Script, IsToldAgainToAServerThatForgotIt) {
    Peer peer([](const auto& args) -> std::string {
        if (args[0] == "EVALSHA") {
            return "-NOSCRIPT No matching script. Please use EVAL.\r\n";
        }
        return args[0] == "EVAL" ? "$4\r\ndone\r\n" : "+PONG\r\n";
    });
    auto connection = Connection::connect(peer.options(), {});
    const Script script("one", 1, "return 1");
    EXPECT_EQ(script.sha1, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");  // what SCRIPT LOAD says
    const std::string_view args[] = {"key", "arg"};
    EXPECT_EQ(eval(connection, script, args).str(), "done");
    connection.close();
}

TEST(Script, AForgottenCallBecomesAnEval) {
    const Script script("one", 1, "return 1");
    std::string call;
    append_evalsha_head(call, script, 2);
    append_argument(call, "key");
    append_argument(call, "*1\r\n$7\r\nEVALSHA");
    EXPECT_EQ(
        as_eval(call, script),
        "*5\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$3\r\nkey\r\n$15\r\n*1\r\n$7\r\nEVALSHA\r\n"
    );
    EXPECT_EQ(code_of([&] { as_eval(call, Script("other", 1, "return 2")); }), "internal.bug");
}

TEST(Options, ReadUrls) {
    auto plain = parse_redis_url("redis://:p%40ss@cache:6380/4");
    EXPECT_EQ(plain.address.host, "cache");
    EXPECT_EQ(plain.address.port, 6380);
    EXPECT_EQ(plain.db, 4);
    EXPECT_EQ(plain.password.reveal(), "p@ss");
    EXPECT_FALSE(plain.tls);
    EXPECT_TRUE(parse_redis_url("rediss://h").tls);
    EXPECT_EQ(parse_redis_url("redis://h").address.port, 6379);
    EXPECT_EQ(parse_redis_url("redis+unix:///run/r.sock?db=2").db, 2);
    EXPECT_EQ(code_of([] { parse_redis_url("http://h"); }), "config.invalid");
    EXPECT_EQ(code_of([] { parse_redis_url("redis://h/x"); }), "config.invalid");
}

TEST(Info, FindsFields) {
    EXPECT_EQ(info_field("# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n", "run_id"), "abc");
    EXPECT_EQ(info_field("a:1\n", "b"), "");
}

}  // namespace
