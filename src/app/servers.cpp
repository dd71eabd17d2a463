#include "app/servers.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <openssl/sha.h>

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "net/wait.hpp"

namespace headrace::app {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_again{20};      // between two looks at a starting server; its death ends the wait at once
constexpr milliseconds probe_limit{1000};   // for the answer of one probe
constexpr milliseconds stop_grace{15'000};
constexpr int start_tries = 5;

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

std::vector<pid_t> children_of(pid_t pid) {
    std::ifstream in(fmt::format("/proc/{}/task/{}/children", pid, pid));
    std::vector<pid_t> result;
    for (pid_t child = 0; in >> child;) {
        result.push_back(child);
    }
    return result;
}

std::string sha256_hex(const std::string& text) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    return hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace

PrivateServer::PrivateServer(const std::string& dir, std::string name, milliseconds start_limit)
    : home_(dir, std::move(name)), start_limit_(start_limit) {}

ProcessSpec PrivateServer::spec(std::vector<std::string> argv) const {
    ProcessSpec result;
    result.argv = std::move(argv);
    result.clean_env = true;  // PGOPTIONS and their like are not meant for us
    result.env = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"TZ", "UTC"}, {"HOME", home_.path()}};
    result.cwd = home_.data();
    result.log_file = home_.log_file();
    result.run_as = home_.account();
    return result;
}

void PrivateServer::fail(const std::string& what) const {
    throw Error(
        ErrorKind::permanent, "dev.server_failed",
        fmt::format("{} {}; end of {}:\n{}", home_.name(), what, log_file(), file_tail(log_file(), 12))
    );
}

bool PrivateServer::await(const StopToken& stop) {
    const auto deadline = Deadline::in(start_limit_);
    while (!ready()) {
        if (child_.wait(Deadline::in(look_again), stop)) {
            return false;
        }
        if (deadline.passed()) {
            fail(fmt::format("did not answer within {} s", start_limit_.count() / 1000));
        }
    }
    return child_.running();
}

void PrivateServer::start(const StopToken& stop) {
    if (child_.running()) {
        return;
    }
    home_.open();
    struct Undo {  // a start that fails or is stopped leaves nothing running and nothing locked
        PrivateServer* server;
        ~Undo() {
            if (server != nullptr) {
                server->stop(StopMode::immediate);
            }
        }
    } undo{this};
    prepare(stop);
    // A port can be taken between our look and the server's bind; a killed Postgres can need a moment to be gone.
    for (int attempt = 1; attempt <= start_tries; ++attempt) {
        child_ = ChildProcess::start(command(attempt > 1));
        home_.remember(child_.pid());
        if (await(stop)) {
            undo.server = nullptr;
            return;
        }
        const auto log = file_tail(log_file(), 12);
        if (log.find("in use") == std::string::npos) {
            break;
        }
    }
    const auto end = child_.wait(Deadline::in(stop_grace), {});
    fail("ended while it started with " + end.value_or(ExitStatus{}).text());
}

void PrivateServer::stop(StopMode mode) {
    if (child_.running()) {
        child_.terminate(stop_signal(mode), stop_grace);
    }
    child_ = {};
    home_.close();
}

void PrivateServer::crash() {
    if (!child_.running()) {
        return;
    }
    child_.signal(SIGSTOP);  // so that it makes no new children meanwhile
    std::vector<Fd> handles;
    for (const pid_t pid : children_of(child_.pid())) {
        handles.push_back(open_process(pid));
    }
    child_.terminate(SIGKILL, stop_grace);
    for (const auto& handle : handles) {
        if (handle) {
            signal_process(handle, SIGKILL);
            net::wait_readable(handle.get(), Deadline::in(stop_grace), {});
        }
    }
    child_ = {};
    home_.close();
}

// ---- Redis

PrivateRedis::PrivateRedis(RedisOptions options)
    : PrivateServer(options.dir, "redis", milliseconds(60'000)), options_(std::move(options)) {}

void PrivateRedis::prepare(const StopToken&) {
    home_.make_folder("data");
}

ProcessSpec PrivateRedis::command(bool new_port) {
    port_ = options_.tcp ? home_.choose_port(new_port) : 0;
    std::string text = fmt::format(
        "bind 127.0.0.1\nport {}\nprotected-mode yes\nunixsocket {}\nunixsocketperm 700\ndaemonize no\ndir {}\n"
        "maxmemory-policy noeviction\nappendonly {}\nappendfsync everysec\nsave \"\"\nlazyfree-lazy-server-del yes\n"
        "lazyfree-lazy-user-del yes\nlazyfree-lazy-user-flush yes\nenable-debug-command local\n",
        port_, socket(), home_.data(), options_.append_only ? "yes" : "no"
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
    : PrivateServer(options.dir, "clickhouse", milliseconds(60'000)), options_(std::move(options)) {}

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
            " <http_port>{1}</http_port><listen_host>127.0.0.1</listen_host><timezone>UTC</timezone>\n"
            " <path>{2}/store/</path><tmp_path>{2}/tmp/</tmp_path><user_files_path>{2}/files/</user_files_path>\n"
            " <format_schema_path>{2}/schemas/</format_schema_path>\n"
            " <mark_cache_size>67108864</mark_cache_size><uncompressed_cache_size>0</uncompressed_cache_size>\n"
            " <max_concurrent_queries>50</max_concurrent_queries><keep_alive_timeout>10</keep_alive_timeout>\n"
            " <umask>077</umask><users_config>users.xml</users_config><default_profile>default</default_profile>\n"
            " <default_database>default</default_database>\n</yandex>\n",
            home_.path(), port_, data
        )
    );
    const auto user = [](std::string_view name, const Secret& password, std::string_view profile) {
        return fmt::format(
            "  <{0}><password_sha256_hex>{1}</password_sha256_hex><networks><ip>127.0.0.1</ip></networks>"
            "<profile>{2}</profile><quota>default</quota></{0}>\n",
            name, sha256_hex(password.reveal()), profile
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
            "<readonly>2</readonly></reader>\n </profiles>\n <users>\n{1}{2} </users>\n <quotas><default><interval>"
            "<duration>3600</duration><queries>0</queries><errors>0</errors><result_rows>0</result_rows>"
            "<read_rows>0</read_rows><execution_time>0</execution_time></interval></default></quotas>\n</yandex>\n",
            options_.max_threads, user("headrace", password(), "default"), user("reader", reader_password(), "reader")
        )
    );
}

ProcessSpec PrivateClickHouse::command(bool new_port) {
    port_ = home_.choose_port(new_port);
    write_config();
    return spec({"clickhouse-server", "--config-file=" + home_.path() + "/config.xml"});
}

bool PrivateClickHouse::ready() {
    // With our password: another ClickHouse that took the port does not count.
    const auto question = fmt::format(
        "GET /?query=SELECT%201 HTTP/1.0\r\nHost: localhost\r\nX-ClickHouse-User: headrace\r\nX-ClickHouse-Key: {}\r\n\r\n",
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
