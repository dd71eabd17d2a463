#include "support/servers.hpp"

#include "base/error.hpp"
#include "net/http_client.hpp"
#include "net/stream.hpp"
#include "postgres/connection.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace headrace::support {
namespace {

namespace fs = std::filesystem;

const auto answer_limit = std::chrono::seconds(30);

template <class Server, class Options>
Server& started(std::mutex& starting, std::unique_ptr<Server>& server, Options options) {
    const std::lock_guard guard(starting);
    if (!server) {
        server = std::make_unique<Server>(std::move(options));
    }
    server->start({});  // nothing when it runs; starts it again after a test crashed it
    return *server;
}

void flush(const app::PrivateRedis& server) {
    net::Address address;
    address.unix_path = server.socket();
    const auto deadline = Deadline::in(answer_limit);
    auto stream = net::Stream::connect(address, nullptr, deadline, {});
    stream.write_all("FLUSHALL SYNC\r\nSCRIPT FLUSH\r\n", deadline, {});
    std::string answer;
    std::array<char, 64> buffer{};
    while (answer.size() < 10) {
        const auto got = stream.read_some(buffer.data(), buffer.size(), deadline, {});
        answer.append(buffer.data(), got);
        if (got == 0) {
            break;
        }
    }
    if (answer != "+OK\r\n+OK\r\n") {
        throw std::runtime_error("Redis could not be emptied: " + answer);
    }
}

}  // namespace

Servers::Servers() {
    auto pattern = (fs::temp_directory_path() / "headrace-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error("cannot make " + pattern);
    }
    folder_ = pattern;
    ::chmod(folder_.c_str(), 0711);  // the servers' accounts pass through
}

Servers::~Servers() {
    postgres_.reset();
    redis_.reset();
    cache_redis_.reset();
    clickhouse_.reset();
    std::error_code error;
    if (!::testing::UnitTest::GetInstance()->Passed() || std::getenv("HEADRACE_KEEP_TEST_FOLDER") != nullptr) {
        fmt::print("server logs and data are kept in {}\n", folder_);
        return;
    }
    fs::remove_all(folder_, error);
}

app::PrivatePostgres& Servers::postgres() {
    app::PostgresOptions options;
    options.dir = folder_ + "/postgres";
    options.durable = false;
    options.settings = {{"max_connections", "100"}};
    return started(starting_, postgres_, std::move(options));
}

app::PrivateRedis& Servers::redis(std::unique_ptr<app::PrivateRedis>& server, const std::string& name) {
    app::RedisOptions options;
    options.dir = folder_ + "/" + name;
    options.append_only = false;
    return started(starting_, server, std::move(options));
}

app::PrivateRedis& Servers::redis() {
    return redis(redis_, "redis");
}

app::PrivateRedis& Servers::cache_redis() {
    return redis(cache_redis_, "cache-redis");
}

app::PrivateClickHouse& Servers::clickhouse() {
    app::ClickHouseOptions options;
    options.strict_user = true;
    options.dir = folder_ + "/clickhouse";
    return started(starting_, clickhouse_, std::move(options));
}

std::string Servers::fresh_database() {
    const auto name = fmt::format("test_{}", ++counter_);
    postgres::ConnectOptions options;
    options.url = postgres().url();
    postgres::Connection::connect(options).exec("CREATE DATABASE " + name);
    return postgres().url(name);
}

std::string Servers::fresh_redis() {
    flush(redis());
    return redis().url().reveal();
}

std::string Servers::fresh_cache_redis() {
    flush(cache_redis());
    return cache_redis().url().reveal();
}

std::string Servers::fresh_clickhouse_database() {
    const auto name = fmt::format("test_{}", ++counter_);
    net::HttpRequest request;
    request.method = "POST";
    request.url = clickhouse().url();
    request.headers = {{"X-ClickHouse-User", "headrace"}, {"X-ClickHouse-Key", clickhouse().password().reveal()}};
    request.body = "CREATE DATABASE " + name;
    request.deadline = Deadline::in(answer_limit);
    net::HttpClient client;
    const auto reply = client.fetch(request, {});
    if (reply.status != 200) {
        throw std::runtime_error("ClickHouse: " + reply.body);
    }
    return name;
}

std::string Servers::fresh_folder() {
    auto path = fmt::format("{}/files-{}", folder_, ++counter_);
    fs::create_directory(path);
    return path;
}

}  // namespace headrace::support
