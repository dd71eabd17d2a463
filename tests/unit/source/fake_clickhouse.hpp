// A ClickHouse whose every byte a test decides: for answers that no server here gives (newer dialects, cuts, proxies).
#pragma once

#include "base/encoding.hpp"
#include "base/fd.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace headrace::test {

struct FakeRequest {
    std::string target;
    std::string headers;
    std::string sql;

    bool has(std::string_view parameter) const { return target.find(parameter) != std::string::npos; }
};

struct FakeAnswer {
    std::string bytes;   // head and body as they are sent
    bool close = false;  // the connection ends behind them
    bool hang = false;   // nothing more until the client goes
};

inline std::string chunked(std::string_view body, std::size_t piece = 1 << 20, bool end = true) {
    std::string out;
    for (; !body.empty(); body.remove_prefix(std::min(piece, body.size()))) {
        const auto part = body.substr(0, piece);
        char size[20];
        std::snprintf(size, sizeof size, "%zx\r\n", part.size());
        out += size + std::string(part) + "\r\n";
    }
    return end ? out + "0\r\n\r\n" : out;
}

inline std::string head(int status, const std::string& headers = "") {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\n" + headers + "Transfer-Encoding: chunked\r\n\r\n";
}

inline FakeAnswer text_answer(int status, std::string_view body, const std::string& headers = "") {
    return {head(status, headers) + chunked(body), false, false};
}

class FakeClickHouse {
public:
    using Handler = std::function<FakeAnswer(const FakeRequest&)>;

    // `handler` answers everything but the questions for the version. It runs on other threads.
    explicit FakeClickHouse(Handler handler, std::string version = "26.7.2.1\t0\n")
        : handler_(std::move(handler)),
          version_(std::move(version)),
          listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof name;
        auto* address = reinterpret_cast<sockaddr*>(&name);
        if (::bind(listener_.get(), address, size) != 0 || ::listen(listener_.get(), 16) != 0 ||
            ::getsockname(listener_.get(), address, &size) != 0) {
            throw std::runtime_error("cannot listen");
        }
        port_ = ntohs(name.sin_port);
        acceptor_ = std::thread([this] { accept_all(); });
    }

    ~FakeClickHouse() {
        ::shutdown(listener_.get(), SHUT_RDWR);
        acceptor_.join();
        {
            const std::lock_guard lock(mutex_);
            for (const auto& [fd, open] : open_) {
                if (open) {
                    ::shutdown(fd, SHUT_RDWR);
                }
            }
        }
        for (auto& thread : threads_) {
            thread.join();
        }
    }

    FakeClickHouse(const FakeClickHouse&) = delete;
    FakeClickHouse& operator=(const FakeClickHouse&) = delete;

    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

    std::vector<FakeRequest> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

    // How many requests hold this text in their SQL.
    std::size_t count(std::string_view sql) const {
        std::size_t found = 0;
        for (const auto& request : requests()) {
            found += request.sql.find(sql) != std::string::npos ? 1 : 0;
        }
        return found;
    }

private:
    void accept_all() {
        for (;;) {
            const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) {
                return;
            }
            const std::lock_guard lock(mutex_);
            open_[fd] = true;
            threads_.emplace_back([this, fd] {
                serve(fd);
                const std::lock_guard done(mutex_);
                open_[fd] = false;
                ::close(fd);
            });
        }
    }

    static bool receive(int fd, std::string& got) {
        char space[4096];
        const auto n = ::recv(fd, space, sizeof space, 0);
        got.append(space, n > 0 ? static_cast<std::size_t>(n) : 0);
        return n > 0;
    }

    void serve(int fd) {
        std::string got;
        for (;;) {
            std::size_t end = 0;
            while ((end = got.find("\r\n\r\n")) == std::string::npos) {
                if (!receive(fd, got)) {
                    return;
                }
            }
            FakeRequest request;
            request.headers = got.substr(0, end + 2);
            request.target = request.headers.substr(5, request.headers.find(" HTTP/") - 5);
            const auto length_at = request.headers.find("Content-Length: ");
            const auto length = length_at == std::string::npos ? 0 : std::stoul(request.headers.substr(length_at + 16));
            got.erase(0, end + 4);
            while (got.size() < length) {
                if (!receive(fd, got)) {
                    return;
                }
            }
            request.sql = got.substr(0, length);
            got.erase(0, length);
            {
                const std::lock_guard lock(mutex_);
                requests_.push_back(request);
            }
            const auto answer =
                request.sql.find("version()") != std::string::npos ? text_answer(200, version_) : handler_(request);
            for (std::size_t sent = 0; sent < answer.bytes.size();) {
                const auto n = ::send(fd, answer.bytes.data() + sent, answer.bytes.size() - sent, MSG_NOSIGNAL);
                if (n <= 0) {
                    return;
                }
                sent += static_cast<std::size_t>(n);
            }
            if (answer.hang) {
                while (receive(fd, got)) {
                }
                return;
            }
            if (answer.close) {
                return;
            }
        }
    }

    Handler handler_;
    std::string version_;
    Fd listener_;
    std::uint16_t port_ = 0;
    mutable std::mutex mutex_;
    std::map<int, bool> open_;
    std::vector<FakeRequest> requests_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

}  // namespace headrace::test
