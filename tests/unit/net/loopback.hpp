// Small servers on the loopback for the tests of net: raw sockets driven by a script, so that a
// test decides each byte.
#pragma once

#include "base/deadline.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/ids.hpp"
#include "net/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

namespace headrace::net::test {

// A folder that goes away with the test.
class TempDir {
public:
    TempDir() : path_(std::filesystem::temp_directory_path() / ("headrace-net-" + make_uuid_v4())) {
        std::filesystem::create_directory(path_);
    }

    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    std::string file(const std::string& name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

inline void send_text(int fd, std::string_view text) {
    while (!text.empty()) {
        const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
}

// Reads until `mark` was seen (returned with it) or the peer ended.
inline std::string read_until(int fd, std::string_view mark) {
    std::string got;
    char byte = 0;
    while (got.find(mark) == std::string::npos && ::recv(fd, &byte, 1, 0) == 1) {
        got.push_back(byte);
    }
    return got;
}

inline std::string read_to_end(int fd) {
    std::string got;
    char space[16 * 1024];
    for (ssize_t n = 0; (n = ::recv(fd, space, sizeof space, 0)) > 0;) {
        got.append(space, static_cast<std::size_t>(n));
    }
    return got;
}

// A listening socket, TCP on 127.0.0.1 or unix.
class Listener {
public:
    explicit Listener(int backlog = 64) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof name;
        if (::bind(fd_.get(), reinterpret_cast<sockaddr*>(&name), size) != 0 || ::listen(fd_.get(), backlog) != 0 ||
            ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) {
            throw std::runtime_error("cannot listen");
        }
        address_ = {"127.0.0.1", ntohs(name.sin_port), {}};
    }

    explicit Listener(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
        if (::bind(fd_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 || ::listen(fd_.get(), 8) != 0) {
            throw std::runtime_error("cannot listen");
        }
        address_ = {{}, 0, path};
    }

    Fd accept() const { return Fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

    const Address& address() const { return address_; }

    std::string url(const std::string& path = "/") const { return "http://" + address_.text() + path; }

    int fd() const { return fd_.get(); }

private:
    Fd fd_;
    Address address_;
};

inline Deadline soon() {
    return Deadline::in(std::chrono::seconds(20));
}

// What `work` throws; code internal.bug when it throws nothing.
template <class Work>
Error error_of(Work work) {
    try {
        work();
    } catch (const Error& e) {
        return e;
    }
    return {ErrorKind::bug, "internal.bug", "nothing was thrown"};
}

// Runs `script` with the first accepted connection on a thread of its own, joined at the end.
class OneShotServer {
public:
    explicit OneShotServer(std::function<void(int)> script)
        : thread_([this, script = std::move(script)] {
              const auto peer = listener_.accept();
              script(peer.get());
          }) {}

    OneShotServer(const OneShotServer&) = delete;
    OneShotServer& operator=(const OneShotServer&) = delete;

    ~OneShotServer() {
        ::shutdown(listener_.fd(), SHUT_RDWR);  // frees an accept that nobody answered
        thread_.join();
    }

    const Address& address() const { return listener_.address(); }

    std::string url(const std::string& path = "/") const { return listener_.url(path); }

private:
    Listener listener_;
    std::thread thread_;
};

}  // namespace headrace::net::test
