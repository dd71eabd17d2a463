#include "app/servers.hpp"

#include "base/encoding.hpp"
#include "net/wait.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/sha.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace headrace::app {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds start_limit{60'000};
constexpr milliseconds probe_limit{1000};  // for the answer of one probe

// One question and the first bytes of the answer; "" when nobody answers. No exceptions: "not yet" is the usual case.
std::string ask(const sockaddr* address, socklen_t size, std::string_view question) {
    const Fd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket || ::connect(socket.get(), address, size) != 0 ||
        ::send(socket.get(), question.data(), question.size(), MSG_NOSIGNAL) < 0 ||
        net::wait_readable(socket.get(), Deadline::in(probe_limit), {}) != net::Ready::ready) {
        return "";
    }
    std::array<char, 512> answer{};
    const auto got = ::recv(socket.get(), answer.data(), answer.size(), 0);
    return got > 0 ? std::string(answer.data(), static_cast<std::size_t>(got)) : "";
}

std::string ask_port(std::uint16_t port, std::string_view question) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return ask(reinterpret_cast<const sockaddr*>(&address), sizeof address, question);
}

std::string ask_socket(const std::string& path, std::string_view question) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return "";
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return ask(reinterpret_cast<const sockaddr*>(&address), sizeof address, question);
}

std::string sha256_hex(const std::string& text) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    return hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace

// ---- Redis

PrivateRedis::PrivateRedis(RedisOptions options)
    : PrivateServer(options.dir, "redis", start_limit), options_(std::move(options)) {}

void PrivateRedis::prepare(const StopToken&) {
    home_.make_folder("data");
}

ProcessSpec PrivateRedis::command(bool new_port) {
    port_ = options_.tcp ? home_.choose_port(new_port) : 0;
    std::string text = fmt::format(
        "bind 127.0.0.1\nport {}\nprotected-mode yes\nunixsocket {}\nunixsocketperm 700\ndaemonize no\ndir {}\n"
        "maxmemory-policy noeviction\nappendonly {}\nappendfsync everysec\nsave \"\"\nlazyfree-lazy-server-del yes\n"
        "lazyfree-lazy-expire yes\n"
        "lazyfree-lazy-user-del yes\nlazyfree-lazy-user-flush yes\nenable-debug-command local\n",
        port_,
        socket(),
        home_.data(),
        options_.append_only ? "yes" : "no"
    );
    if (options_.tcp) {
        text += "requirepass " + home_.password("password").reveal() + "\n";
    }
    for (const auto& [key, value] : options_.settings) {
        text += fmt::format("{} {}\n", key, value);
    }
    home_.write("redis.conf", text);
    return spec({"redis-server", home_.path() + "/redis.conf"});
}

bool PrivateRedis::ready() {
    const auto login = options_.tcp ? "AUTH " + home_.password("password").reveal() + "\r\n" : "";
    return ask_socket(socket(), login + "PING\r\nPING\r\n").find("+PONG") != std::string::npos;
}

int PrivateRedis::stop_signal(StopMode mode) const {
    return mode == StopMode::fast ? SIGTERM : SIGKILL;
}

Secret PrivateRedis::url(int database) const {
    if (!options_.tcp) {
        return Secret(fmt::format("redis+unix://{}?db={}", socket(), database));
    }
    return Secret(fmt::format("redis://:{}@127.0.0.1:{}/{}", home_.password("password").reveal(), port_, database));
}

// ---- ClickHouse

PrivateClickHouse::PrivateClickHouse(ClickHouseOptions options)
    : PrivateServer(options.dir, "clickhouse", start_limit), options_(std::move(options)) {}

void PrivateClickHouse::prepare(const StopToken&) {
    for (const auto* folder : {"data", "data/store", "data/tmp", "data/files", "data/schemas"}) {
        home_.make_folder(folder);
    }
}

void PrivateClickHouse::write_config() const {
    const auto data = home_.data();
    home_.write(
        "config.xml",
        fmt::format(
            "<?xml version=\"1.0\"?>\n<yandex>\n"
            " <logger><level>information</level><log>{0}/log/clickhouse.log</log>"
            "<errorlog>{0}/log/clickhouse.err.log</errorlog><size>8M</size><count>2</count></logger>\n"
            " <http_port>{1}</http_port><tcp_port>{3}</tcp_port><listen_host>127.0.0.1</listen_host><timezone>UTC</"
            "timezone>\n"
            " <path>{2}/store/</path><tmp_path>{2}/tmp/</tmp_path><user_files_path>{2}/files/</user_files_path>\n"
            " <format_schema_path>{2}/schemas/</format_schema_path>\n"
            " <mark_cache_size>67108864</mark_cache_size><uncompressed_cache_size>0</uncompressed_cache_size>\n"
            " <max_concurrent_queries>50</max_concurrent_queries><keep_alive_timeout>10</keep_alive_timeout>\n"
            " <umask>077</umask><users_config>users.xml</users_config><default_profile>default</default_profile>\n"
            " <default_database>default</default_database>\n</yandex>\n",
            home_.path(),
            port_,
            data,
            native_port_
        )
    );
    home_.write(
        "client.xml",
        fmt::format(
            "<config><host>127.0.0.1</host><port>{}</port><user>headrace</user><password>{}</password></config>\n",
            native_port_,
            password().reveal()
        )
    );
    const auto user = [](std::string_view name, const Secret& password, std::string_view profile) {
        return fmt::format(
            "  <{0}><password_sha256_hex>{1}</password_sha256_hex><networks><ip>127.0.0.1</ip></networks>"
            "<profile>{2}</profile><quota>default</quota></{0}>\n",
            name,
            sha256_hex(password.reveal()),
            profile
        );
    };
    home_.write(
        "users.xml",
        fmt::format(
            "<?xml version=\"1.0\"?>\n<yandex>\n <profiles>\n"
            "  <default><max_threads>{0}</max_threads><max_memory_usage>2000000000</max_memory_usage>"
            "<background_pool_size>2</background_pool_size><background_schedule_pool_size>2"
            "</background_schedule_pool_size></default>\n"
            "  <reader><max_threads>{0}</max_threads><max_memory_usage>2000000000</max_memory_usage>"
            "<readonly>2</readonly></reader>\n  <strict><readonly>1</readonly></strict>\n </profiles>\n "
            "<users>\n{1}{2}{3} "
            "</users>\n <quotas><default><interval>"
            "<duration>3600</duration><queries>0</queries><errors>0</errors><result_rows>0</result_rows>"
            "<read_rows>0</read_rows><execution_time>0</execution_time></interval></default></quotas>\n</yandex>\n",
            options_.max_threads,
            user("headrace", password(), "default"),
            user("reader", reader_password(), "reader"),
            options_.strict_user ? user("strict", reader_password(), "strict") : ""
        )
    );
}

ProcessSpec PrivateClickHouse::command(bool new_port) {
    port_ = home_.choose_port(new_port);
    native_port_ = home_.choose_port(new_port, "native-port");
    write_config();
    return spec({"clickhouse-server", "--config-file=" + home_.path() + "/config.xml"});
}

bool PrivateClickHouse::ready() {
    // With our password: another ClickHouse that took the port does not count.
    const auto question = fmt::format(
        "GET /?query=SELECT%201 HTTP/1.0\r\nHost: localhost\r\nX-ClickHouse-User: headrace\r\nX-ClickHouse-Key: "
        "{}\r\n\r\n",
        password().reveal()
    );
    return ask_port(port_, question).find(" 200 OK") != std::string::npos;
}

int PrivateClickHouse::stop_signal(StopMode mode) const {
    return mode == StopMode::fast ? SIGTERM : SIGKILL;
}

std::string PrivateClickHouse::url() const {
    return fmt::format("http://127.0.0.1:{}", port_);
}

}  // namespace headrace::app
