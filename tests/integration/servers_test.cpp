#include "app/servers.hpp"

#include "base/error.hpp"
#include "net/http_client.hpp"
#include "net/stream.hpp"
#include "postgres/connection.hpp"
#include "support/servers.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace headrace::app {
namespace {

namespace fs = std::filesystem;

// A folder that the servers' accounts can reach.
std::string open_folder() {
    auto path = support::servers().fresh_folder();
    ::chmod(path.c_str(), 0711);
    return path;
}

PostgresOptions postgres_in(const std::string& dir) {
    PostgresOptions options;
    options.dir = dir + "/pg";
    options.durable = false;
    return options;
}

postgres::Connection connect(const std::string& url) {
    postgres::ConnectOptions options;
    options.url = url;
    return postgres::Connection::connect(options);
}

std::string redis_says(const PrivateRedis& server, const std::string& command) {
    net::Address address;
    address.unix_path = server.socket();
    const auto deadline = Deadline::in(std::chrono::seconds(10));
    auto stream = net::Stream::connect(address, nullptr, deadline, {});
    stream.write_all(command + "\r\n", deadline, {});
    std::string answer(4096, '\0');
    answer.resize(stream.read_some(answer.data(), answer.size(), deadline, {}));
    return answer;
}

net::HttpReply clickhouse_says(
    const PrivateClickHouse& server,
    const std::string& query,
    const std::string& user,
    const Secret& password
) {
    net::HttpRequest request;
    request.method = "POST";
    request.url = server.url();
    request.headers = {{"X-ClickHouse-User", user}, {"X-ClickHouse-Key", password.reveal()}};
    request.body = query;
    request.deadline = Deadline::in(std::chrono::seconds(30));
    net::HttpClient client;
    return client.fetch(request, {});
}

// Every file 0600, every folder 0700, below and with `root`.
void expect_private(const std::string& root) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        struct stat info {};

        ASSERT_EQ(::lstat(entry.path().c_str(), &info), 0);
        if (!S_ISSOCK(info.st_mode)) {
            EXPECT_EQ(info.st_mode & 077, 0U) << entry.path();
        }
    }

    struct stat info {};

    ASSERT_EQ(::stat(root.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700U);
}

TEST(PrivatePostgres, KeepsItsDataAndSurvivesStopAndCrash) {
    PrivatePostgres server(postgres_in(open_folder()));
    server.start({});
    EXPECT_TRUE(server.running());
    connect(server.url()).exec("CREATE TABLE kept (n int)");
    connect(server.url()).exec("INSERT INTO kept VALUES (1)");
    EXPECT_EQ(connect(server.url()).exec("SELECT current_user AS u").text(0, "u"), "headrace");
    EXPECT_EQ(connect(server.admin_url()).exec("SELECT current_user AS u").text(0, "u"), "postgres");
    EXPECT_EQ(connect(server.url()).exec("SHOW listen_addresses").text(0, "listen_addresses"), "");
    EXPECT_EQ(connect(server.url()).exec("SHOW fsync").text(0, "fsync"), "off");
    expect_private(server.dir());
    for (const auto how : {0, 1, 2}) {
        if (how == 2) {
            server.crash();
        } else {
            server.stop(how == 0 ? StopMode::fast : StopMode::immediate);
        }
        EXPECT_FALSE(server.running());
        server.start({});
        connect(server.url()).exec("INSERT INTO kept VALUES (1)");
    }
    EXPECT_EQ(connect(server.url()).exec("SELECT count(*) AS n FROM kept").integer(0, "n"), 4);
}

TEST(PrivatePostgres, RefusesASecondOwnerAndEndsAnOrphan) {
    const auto dir = open_folder();
    PrivatePostgres first(postgres_in(dir));
    first.start({});
    PrivatePostgres second(postgres_in(dir));
    try {
        second.start({});
        FAIL() << "two owners of one folder";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "dev.server_failed");
        EXPECT_NE(e.message().find("another process runs the postgres"), std::string::npos) << e.message();
    }
    // An owner that is killed leaves its server without a word: the child of the fork below is that owner.
    first.stop();
    const pid_t owner = ::fork();
    if (owner == 0) {
        auto options = postgres_in(dir);
        PrivatePostgres left(options);
        left.start({});
        ::kill(left.pid(), SIGSTOP);  // cannot hear that its parent dies
        ::raise(SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(owner, &status, 0), owner);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
    std::ifstream in(dir + "/pg/pid");
    pid_t orphan = 0;
    in >> orphan;

    struct Sweep {  // a stopped server must not outlive a failed test
        Fd process;

        ~Sweep() { signal_process(process, SIGKILL); }
    } sweep{open_process(orphan)};

    ASSERT_TRUE(sweep.process);
    second.start({});
    EXPECT_NE(second.pid(), orphan);
    EXPECT_EQ(connect(second.url()).exec("SELECT 1 AS n").integer(0, "n"), 1);
}

TEST(PrivatePostgres, TakesNoNoticeOfAForeignPidFile) {
    PrivatePostgres server(postgres_in(open_folder()));
    server.start({});
    server.crash();
    // As if the machine had been switched off and the number now belonged to another process of the same user.
    ProcessSpec spec;
    spec.argv = {"sleep", "60"};
    spec.run_as = Account::find("postgres");
    auto stranger = ChildProcess::start(spec);
    std::ofstream(server.dir() + "/data/postmaster.pid") << stranger.pid() << "\n" << server.dir() << "/data\n";
    std::ofstream(server.dir() + "/pid") << stranger.pid();
    server.start({});
    EXPECT_TRUE(stranger.running());
    EXPECT_EQ(connect(server.url()).exec("SELECT 1 AS n").integer(0, "n"), 1);
}

TEST(PrivatePostgres, MakesItsClusterWholeOrNotAtAll) {
    auto options = postgres_in(open_folder());
    StopSource source;
    source.request_stop();
    {
        PrivatePostgres server(options);
        EXPECT_THROW(server.start(source.token()), Error);
        EXPECT_FALSE(server.running());
        EXPECT_FALSE(fs::exists(server.dir() + "/data"));
        server.start({});
        EXPECT_EQ(connect(server.url()).exec("SELECT 1 AS n").integer(0, "n"), 1);
    }
}

TEST(PrivatePostgres, ShowsTheEndOfItsLogWhenItDoesNotStart) {
    const auto dir = open_folder();
    auto options = postgres_in(dir);
    options.settings = {{"max_connections", "many"}};
    PrivatePostgres server(options);
    try {
        server.start({});
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "dev.server_failed");
        EXPECT_NE(e.message().find("invalid value for parameter \"max_connections\""), std::string::npos)
            << e.message();
    }
    EXPECT_FALSE(server.running());
    PrivatePostgres other(postgres_in(dir));
    other.start({});  // the failed one keeps no lock
    EXPECT_EQ(connect(other.url()).exec("SELECT 1 AS n").integer(0, "n"), 1);
}

TEST(PrivatePostgres, ByTcpAsksForThePassword) {
    auto options = postgres_in(open_folder());
    options.tcp = true;
    PrivatePostgres server(options);
    server.start({});
    EXPECT_EQ(connect(server.tcp_url().reveal()).exec("SELECT 1 AS n").integer(0, "n"), 1);
    EXPECT_EQ(connect(server.url()).exec("SELECT 1 AS n").integer(0, "n"), 1);
    const auto port = std::to_string(server.port());
    EXPECT_THROW(connect("postgresql://headrace:wrong@127.0.0.1:" + port + "/headrace"), Error);
    EXPECT_THROW(connect("postgresql://postgres@127.0.0.1:" + port + "/postgres"), Error);
}

TEST(PrivateServer, MovesWhereItsAccountCanReach) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root runs servers as another account";
    }
    const auto closed = support::servers().fresh_folder();
    ::chmod(closed.c_str(), 0700);
    RedisOptions options;
    options.dir = closed + "/redis";
    std::string dir;
    {
        PrivateRedis server(options);
        EXPECT_TRUE(server.moved());
        dir = server.dir();
        EXPECT_TRUE(dir.starts_with("/var/lib/headrace-dev/")) << dir;
        server.start({});
        EXPECT_EQ(redis_says(server, "SET k v"), "+OK\r\n");
    }
    {
        PrivateRedis again(options);
        EXPECT_EQ(again.dir(), dir);
        again.start({});
        EXPECT_EQ(redis_says(again, "GET k"), "$1\r\nv\r\n");
    }
    fs::remove_all(dir);
}

TEST(PrivateServer, FindsASocketFolderForADeepPath) {
    auto deep = open_folder();
    for (int i = 0; i < 6; ++i) {
        deep += "/a-folder-with-a-long-name";
        fs::create_directory(deep);
    }
    RedisOptions options;
    options.dir = deep + "/redis";
    PrivateRedis server(options);
    server.start({});
    EXPECT_LT(server.socket().size(), 108U);
    EXPECT_EQ(redis_says(server, "PING"), "+PONG\r\n");
    server.stop();
    fs::remove_all(fs::path(server.socket()).parent_path());
}

TEST(PrivateRedis, HasTheSettingsOfAQueueAndKeepsItsData) {
    RedisOptions options;
    options.dir = open_folder() + "/redis";
    PrivateRedis server(options);
    server.start({});
    EXPECT_NE(redis_says(server, "CONFIG GET maxmemory-policy").find("noeviction"), std::string::npos);
    EXPECT_NE(redis_says(server, "CONFIG GET appendonly").find("yes"), std::string::npos);
    EXPECT_NE(redis_says(server, "CONFIG GET lazyfree-lazy-server-del").find("yes"), std::string::npos);
    EXPECT_NE(redis_says(server, "CONFIG GET port").find("\r\n0\r\n"), std::string::npos);
    EXPECT_EQ(redis_says(server, "SET kept 1"), "+OK\r\n");
    expect_private(server.dir());
    server.stop();
    server.start({});
    EXPECT_EQ(redis_says(server, "INCR kept"), ":2\r\n");
    server.crash();
    server.start({});
    EXPECT_EQ(redis_says(server, "PING"), "+PONG\r\n");
}

TEST(PrivateRedis, ByTcpAsksForThePasswordAndTakesAnotherPortWhenItsOwnIsTaken) {
    RedisOptions options;
    options.dir = open_folder() + "/redis";
    options.tcp = true;
    PrivateRedis server(options);
    server.start({});
    const auto port = server.port();
    EXPECT_TRUE(redis_says(server, "PING").starts_with("-NOAUTH"));
    EXPECT_TRUE(server.url(3).reveal().ends_with("@127.0.0.1:" + std::to_string(port) + "/3"));
    server.stop();
    server.start({});
    EXPECT_EQ(server.port(), port);
    server.stop();
    const int blocker = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const int on = 1;
    ::setsockopt(blocker, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ASSERT_EQ(::bind(blocker, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(blocker, 1), 0);
    server.start({});
    EXPECT_NE(server.port(), port);
    ::close(blocker);
}

TEST(PrivateClickHouse, HasTwoUsersAndKeepsItsData) {
    ClickHouseOptions options;
    options.dir = open_folder() + "/clickhouse";
    PrivateClickHouse server(options);
    server.start({});
    const auto port = server.port();
    const auto all = server.password();
    EXPECT_EQ(
        clickhouse_says(server, "CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n", "headrace", all).status, 200
    );
    EXPECT_EQ(clickhouse_says(server, "INSERT INTO t VALUES (7)", "headrace", all).status, 200);
    EXPECT_EQ(
        clickhouse_says(server, "SELECT n FROM t SETTINGS max_threads = 1", "reader", server.reader_password()).body,
        "7\n"
    );
    EXPECT_NE(clickhouse_says(server, "INSERT INTO t VALUES (8)", "reader", server.reader_password()).status, 200);
    EXPECT_NE(clickhouse_says(server, "SELECT 1", "headrace", Secret("wrong")).status, 200);
    EXPECT_NE(clickhouse_says(server, "SELECT 1", "default", Secret("")).status, 200);
    expect_private(server.dir());
    server.stop();
    server.start({});
    EXPECT_EQ(server.port(), port);
    EXPECT_EQ(clickhouse_says(server, "SELECT n FROM t", "headrace", all).body, "7\n");
    server.crash();
    server.start({});
    EXPECT_EQ(clickhouse_says(server, "SELECT n FROM t", "headrace", all).body, "7\n");
}

TEST(Servers, HandOutFreshPlaces) {
    auto& servers = support::servers();
    const auto one = servers.fresh_database();
    const auto two = servers.fresh_database();
    EXPECT_NE(one, two);
    connect(one).exec("CREATE TABLE t (n int)");
    connect(two).exec("CREATE TABLE t (n int)");
    servers.fresh_redis();
    EXPECT_EQ(redis_says(servers.redis(), "SET k v"), "+OK\r\n");
    servers.fresh_redis();
    EXPECT_EQ(redis_says(servers.redis(), "DBSIZE"), ":0\r\n");
    EXPECT_NE(servers.fresh_clickhouse_database(), servers.fresh_clickhouse_database());
}

}  // namespace
}  // namespace headrace::app
