// A client for the HTTP server's tests that sends exactly what it is told, and small helpers around
// it.
#pragma once

#include "base/error.hpp"
#include "loopback.hpp"
#include "net/http_server.hpp"
#include "net/stream.hpp"
#include "net/wait.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <string>
#include <string_view>

namespace headrace::net::test {

inline Response text(std::string body, int status = 200) {
    Response out;
    out.status = status;
    out.headers = {{"Content-Type", "text/plain"}};
    out.body = std::move(body);
    return out;
}

struct Answer {
    int status = 0;
    std::string head;
    std::string body;

    bool has(const std::string& part) const { return head.find(part) != std::string::npos; }
};

// A client that sends exactly what it is told.
class RawClient {
public:
    explicit RawClient(std::uint16_t port)
        : stream_(Stream::connect({"127.0.0.1", port, {}}, nullptr, soon(), StopToken())) {}

    void send(std::string_view bytes) { stream_.write_all(bytes, soon(), StopToken()); }

    void end() { stream_.shutdown_write(); }

    void hang_up() { stream_.close(); }

    // Without reading anything: the server has reset the connection.
    bool was_reset() const { return wait_for(stream_.fd(), 0, soon(), StopToken()) == Ready::ready; }

    // Reads until `mark` was seen or the server ended; returns what came, with the mark.
    std::string read_until(const std::string& mark) {
        while (buffer_.find(mark) == std::string::npos && fill()) {
        }
        const auto at = buffer_.find(mark);
        return take(at == std::string::npos ? buffer_.size() : at + mark.size());
    }

    std::string read_to_end() {
        while (fill()) {
        }
        return take(buffer_.size());
    }

    Answer answer(bool body_follows = true) {
        Answer out;
        out.head = read_until("\r\n\r\n");
        out.status = out.head.size() > 12 ? std::stoi(out.head.substr(9, 3)) : 0;
        const auto at = out.head.find("Content-Length: ");
        const std::size_t size = at == std::string::npos || !body_follows ? 0 : std::stoul(out.head.substr(at + 16));
        while (buffer_.size() < size && fill()) {
        }
        out.body = take(std::min(size, buffer_.size()));
        return out;
    }

    Answer ask(std::string_view bytes) {
        send(bytes);
        return answer();
    }

    bool ended() { return buffer_.empty() && !fill(); }

private:
    std::string take(std::size_t count) {
        auto out = buffer_.substr(0, count);
        buffer_.erase(0, count);
        return out;
    }

    bool fill() {
        char space[64 * 1024];
        try {
            const auto got = stream_.read_some(space, sizeof space, soon(), StopToken());
            buffer_.append(space, got);
            return got > 0;
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), "net.closed") << e.what();
            return false;
        }
    }

    Stream stream_;
    std::string buffer_;
};

inline std::string get(const std::string& target, const std::string& more = {}) {
    return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + more + "\r\n";
}

inline HttpServerOptions options() {
    return {};
}

}  // namespace headrace::net::test
