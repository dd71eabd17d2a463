// Private PostgreSQL 15, Redis 7 and ClickHouse 18.16 for `headrace dev` and for the tests: real servers, in a folder
// of their own, reachable for nobody else, data kept between starts. One owner, one thread; start them from a thread
// that outlives them (see process.hpp): when it dies, so do they, in order.
//
// Errors: dev.server_missing (program not installed), dev.server_failed (message holds the last lines of its log),
// net.cancelled when `stop` was requested during start().
#pragma once

#include "app/private_server.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::app {

struct PostgresOptions {
    std::string dir;
    bool durable = true;  // false (tests): fsync off; a killed server still loses nothing, a power cut would
    bool tcp = false;     // also on a free loopback port, with a generated password
    std::vector<std::pair<std::string, std::string>> settings;  // e.g. {"max_connections", "20"}
};

// Database and role are both `headrace`; the role may create databases. The superuser is `postgres`.
class PrivatePostgres final : public PrivateServer {
public:
    explicit PrivatePostgres(PostgresOptions options);

    ~PrivatePostgres() override { stop(StopMode::fast); }

    std::string url(std::string_view database = "headrace") const;  // by the unix socket; holds no secret
    std::string admin_url(std::string_view database = "postgres") const;
    Secret tcp_url(std::string_view database = "headrace") const;  // only with `tcp`, after start()

    std::uint16_t port() const { return port_; }  // 0 without `tcp`

private:
    void prepare(const StopToken& stop) override;
    ProcessSpec command(bool new_port) override;
    bool ready() override;
    int stop_signal(StopMode mode) const override;
    void make_cluster(const StopToken& stop);
    std::string socket_url(std::string_view role, std::string_view database) const;
    std::string program(std::string_view name) const;

    PostgresOptions options_;
    std::uint16_t port_ = 0;
};

struct RedisOptions {
    std::string dir;
    bool append_only = true;  // false: memory only
    bool tcp = false;         // also on a free loopback port; then both ways ask for a generated password
    std::vector<std::pair<std::string, std::string>> settings;  // e.g. {"maxmemory", "64mb"}
};

// noeviction, AOF every second, no snapshots, lazy frees: what `headrace doctor` asks of a queue's Redis.
class PrivateRedis final : public PrivateServer {
public:
    explicit PrivateRedis(RedisOptions options);

    ~PrivateRedis() override { stop(StopMode::fast); }

    Secret url(int database = 0) const;  // redis://:…@127.0.0.1:port/n with `tcp`, else redis+unix:///path?db=n

    std::string socket() const { return home_.socket_dir() + "/redis.sock"; }

    std::uint16_t port() const { return port_; }

private:
    void prepare(const StopToken& stop) override;
    ProcessSpec command(bool new_port) override;
    bool ready() override;
    int stop_signal(StopMode mode) const override;

    RedisOptions options_;
    std::uint16_t port_ = 0;
};

struct ClickHouseOptions {
    std::string dir;
    int max_threads = 2;
    bool strict_user = false;  // also `strict`, with the password of `reader`: may not even set query settings
};

// HTTP and the native protocol on loopback ports. Users: `headrace` (all rights) and `reader` (no writes, may set query
// settings).
class PrivateClickHouse final : public PrivateServer {
public:
    explicit PrivateClickHouse(ClickHouseOptions options);

    ~PrivateClickHouse() override { stop(StopMode::fast); }

    std::string url() const;  // http://127.0.0.1:port

    std::uint16_t port() const { return port_; }

    std::string client_config() const {
        return home_.path() + "/client.xml";
    }  // for clickhouse-client, with the password

    Secret password() const { return home_.password("password"); }  // of user `headrace`

    Secret reader_password() const { return home_.password("reader-password"); }  // of user `reader`

private:
    void prepare(const StopToken& stop) override;
    ProcessSpec command(bool new_port) override;
    bool ready() override;
    int stop_signal(StopMode mode) const override;
    void write_config() const;

    ClickHouseOptions options_;
    std::uint16_t port_ = 0;
    std::uint16_t native_port_ = 0;
};

}  // namespace headrace::app
