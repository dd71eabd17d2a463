#include "support/bigquery/wire.hpp"

#include "base/encoding.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace headrace::support::bigquery {
namespace {

// What a connection has received and not yet used.
class Inbox {
public:
    explicit Inbox(int fd) : fd_(fd) {}

    bool receive() {
        char space[16 * 1024];
        const auto n = ::recv(fd_, space, sizeof space, 0);
        got_.append(space, n > 0 ? static_cast<std::size_t>(n) : 0);
        return n > 0;
    }

    bool take_request(Request& out) {
        std::size_t end = 0;
        while ((end = got_.find("\r\n\r\n")) == std::string::npos) {
            if (!receive()) {
                return false;
            }
        }
        out = parse_head(std::string_view(got_).substr(0, end + 2));
        got_.erase(0, end + 4);
        const auto length = out.headers.find("content-length");
        const auto size = length == out.headers.end() ? 0 : std::stoul(length->second);
        while (got_.size() < size) {
            if (!receive()) {
                return false;
            }
        }
        out.body = got_.substr(0, size);
        got_.erase(0, size);
        return true;
    }

private:
    static Request parse_head(std::string_view head) {
        Request out;
        const auto line = head.substr(0, head.find("\r\n"));
        out.method = line.substr(0, line.find(' '));
        auto target = line.substr(std::min(out.method.size() + 1, line.size()));
        target = target.substr(0, target.find(' '));
        const auto question = target.find('?');
        out.path = percent_decode(target.substr(0, question)).value_or("");
        if (question != std::string_view::npos) {
            read_query(target.substr(question + 1), out);
        }
        for (auto rest = head.substr(line.size() + 2); !rest.empty();) {
            const auto one = rest.substr(0, rest.find("\r\n"));
            rest.remove_prefix(one.size() + 2);
            const auto colon = one.find(':');
            std::string name(one.substr(0, colon));
            std::transform(name.begin(), name.end(), name.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
            });
            const auto value = one.substr(std::min(one.find_first_not_of(' ', colon + 1), one.size()));
            out.headers[name] = value;
        }
        return out;
    }

    static void read_query(std::string_view text, Request& out) {
        while (!text.empty()) {
            const auto one = text.substr(0, text.find('&'));
            text.remove_prefix(std::min(one.size() + 1, text.size()));
            const auto equals = std::min(one.find('='), one.size());
            out.query[percent_decode(one.substr(0, equals), true).value_or("")] =
                percent_decode(one.substr(std::min(equals + 1, one.size())), true).value_or("");
        }
    }

    int fd_;
    std::string got_;
};

bool send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

// True while the peer is there.
bool wait_for_peer(int fd, int milliseconds) {
    pollfd watched{fd, POLLIN | POLLRDHUP, 0};
    return ::poll(&watched, 1, milliseconds) == 0;
}

bool send_body(int fd, const Reply& reply) {
    const bool limited = reply.damage == Damage::cut || reply.damage == Damage::reset_within ||
                         reply.damage == Damage::hang || reply.damage == Damage::drip;
    auto left = limited ? static_cast<std::size_t>(std::max(reply.at, 0L)) : reply.size();
    for (const auto& piece : reply.body) {
        auto text = std::string_view(*piece);
        const auto now = text.substr(0, left);
        if (!send_all(fd, now)) {
            return false;
        }
        left -= now.size();
        text.remove_prefix(now.size());
        for (; reply.damage == Damage::drip && !text.empty(); text.remove_prefix(1)) {
            if (!wait_for_peer(fd, 20) || !send_all(fd, text.substr(0, 1))) {
                return false;
            }
        }
    }
    return true;
}

bool send_chunks(int fd, const Reply& reply) {
    bool first = true;
    for (const auto& piece : reply.body) {
        char size[24];
        const int length = std::snprintf(size, sizeof size, "%zx\r\n", piece->size());
        const bool bad = reply.damage == Damage::bad_chunk && !std::exchange(first, false);
        const auto header =
            bad ? std::string_view("xyz\r\n") : std::string_view(size, static_cast<std::size_t>(length));
        if (!send_all(fd, header) || !send_all(fd, *piece) || !send_all(fd, "\r\n")) {
            return false;
        }
    }
    return false;  // the last chunk never comes
}

void reset(int fd) {
    const linger at_once{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

// True when the connection may go on.
bool send_reply(int fd, const Reply& reply) {
    if (reply.damage == Damage::reset) {
        reset(fd);
        return false;
    }
    if (reply.damage == Damage::hang && reply.at < 0) {
        wait_for_peer(fd, 600'000);
        return false;
    }
    const bool chunked = reply.damage == Damage::no_last_chunk || reply.damage == Damage::bad_chunk;
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " Simulated\r\n";
    for (const auto& [name, value] : reply.headers) {
        head += name + ": " + value + "\r\n";
    }
    if (chunked) {
        head += "Transfer-Encoding: chunked\r\n";
    } else if (reply.damage != Damage::unframed) {
        const auto less = reply.damage == Damage::short_length ? static_cast<std::size_t>(reply.at) : 0;
        head += "Content-Length: " + std::to_string(reply.size() - less) + "\r\n";
    }
    if (!send_all(fd, head + "\r\n")) {
        return false;
    }
    if (chunked) {
        return send_chunks(fd, reply);
    }
    const bool sent = send_body(fd, reply);
    if (reply.damage == Damage::hang) {
        wait_for_peer(fd, 600'000);
    } else if (reply.damage == Damage::reset_within) {
        reset(fd);
    }
    return sent && reply.damage == Damage::none;
}

}  // namespace

std::size_t Reply::size() const {
    std::size_t sum = 0;
    for (const auto& piece : body) {
        sum += piece->size();
    }
    return sum;
}

Listener::Listener(Handler handler, std::uint16_t port)
    : handler_(std::move(handler)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int yes = 1;
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    socklen_t size = sizeof name;
    auto* address = reinterpret_cast<sockaddr*>(&name);
    if (::bind(listener_.get(), address, size) != 0 || ::listen(listener_.get(), 64) != 0 ||
        ::getsockname(listener_.get(), address, &size) != 0) {
        throw std::runtime_error("the simulator cannot listen on port " + std::to_string(port));
    }
    port_ = ntohs(name.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
}

Listener::~Listener() {
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

void Listener::accept_all() {
    for (;;) {
        const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        const int yes = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
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

void Listener::serve(int fd) {
    Inbox inbox(fd);
    Request request;
    try {
        while (inbox.take_request(request) && send_reply(fd, handler_(request))) {
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "simulator: %s\n", error.what());
    }
}

}  // namespace headrace::support::bigquery
