#include "net/stream.hpp"

#include "base/error.hpp"
#include "base/fd.hpp"
#include "net/resolve.hpp"
#include "net/tls.hpp"
#include "net/wait.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <vector>

namespace headrace::net {
namespace {

constexpr auto longest_attempt = std::chrono::seconds(5);  // per address, while others are left to try
constexpr std::size_t tls_record = 16 * 1024;

std::string reason_of(int error) {
    return std::generic_category().message(error);
}

void set_option(int fd, int level, int option, int value) {
    // A kernel without the option is no reason to fail: each of them only shortens waits.
    ::setsockopt(fd, level, option, &value, sizeof value);
}

void tune_tcp(int fd) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 20'000);  // milliseconds
}

// Throws unless `ready`.
void demand(Ready ready, const std::string& name, const char* doing, const StopToken& stop) {
    if (ready == Ready::stopped) {
        throw Error(ErrorKind::cancelled, "net.cancelled", stop.reason() + " (" + doing + " " + name + ")");
    }
    if (ready == Ready::timeout) {
        throw Error(ErrorKind::transient, "net.timeout", name + ": no answer in time while " + doing);
    }
}

void demand_running(const std::string& name, const char* doing, const StopToken& stop) {
    if (stop.stop_requested()) {
        demand(Ready::stopped, name, doing, stop);
    }
}

// 0 when connected, else errno. Throws on stop and when the whole deadline has passed.
int try_connect(
    int fd,
    const Endpoint& endpoint,
    Deadline attempt,
    Deadline whole,
    const std::string& name,
    const StopToken& stop
) {
    if (::connect(fd, endpoint.get(), endpoint.size) == 0) {
        return 0;
    }
    // EAGAIN: the backlog of a unix socket is full; there is nothing to poll for.
    if (errno != EINPROGRESS && errno != EINTR) {
        return errno;
    }
    const auto ready = wait_writable(fd, attempt.earlier(whole), stop);
    if (ready == Ready::timeout && !whole.passed()) {
        return ETIMEDOUT;
    }
    demand(ready, name, "connecting to", stop);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

Fd connect_any(const Address& address, const std::string& name, Deadline deadline, const StopToken& stop) {
    demand_running(name, "connecting to", stop);
    const auto endpoints = resolve(address, deadline, stop);
    int error = 0;
    for (const auto& endpoint : endpoints) {
        Fd fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (!fd) {
            error = errno;
            continue;
        }
        if (endpoint.family() != AF_UNIX) {
            tune_tcp(fd.get());
        }
        const bool last = &endpoint == &endpoints.back();
        error = try_connect(fd.get(), endpoint, last ? deadline : Deadline::in(longest_attempt), deadline, name, stop);
        if (error == 0) {
            return fd;
        }
    }
    throw Error(ErrorKind::transient, "net.connect", name + ": " + reason_of(error));
}

}  // namespace

struct Stream::State {
    Fd fd;
    std::string name;
    std::unique_ptr<Tls> tls;
    bool reader_wants_write = false;
    bool writer_wants_read = false;

    [[noreturn]] void fail(int error, const char* doing) const {
        const bool closed = error == EPIPE || error == ECONNRESET;
        throw Error(
            ErrorKind::transient, closed ? "net.closed" : "net.io", name + ": " + doing + ": " + reason_of(error)
        );
    }

    void demand_open() const {
        if (!fd) {
            throw Error(ErrorKind::transient, "net.closed", name + ": the connection is closed");
        }
    }

    // One try without waiting. nullopt: poll first.
    std::optional<std::size_t> read_once(char* to, std::size_t size) {
        demand_open();
        if (tls) {
            const auto progress = tls->read(to, size);
            reader_wants_write = progress.want == Tls::Want::write;
            return progress.want == Tls::Want::none ? std::optional(progress.bytes) : std::nullopt;
        }
        for (;;) {
            const auto got = ::recv(fd.get(), to, size, 0);
            if (got >= 0) {
                return static_cast<std::size_t>(got);
            }
            if (errno == EAGAIN) {
                return std::nullopt;
            }
            if (errno != EINTR) {
                fail(errno, "reading");
            }
        }
    }

    // One try without waiting; 0: poll first.
    std::size_t write_once(const iovec* pieces, std::size_t count) {
        demand_open();
        if (tls) {
            const auto progress = tls->write({static_cast<const char*>(pieces->iov_base), pieces->iov_len});
            writer_wants_read = progress.want == Tls::Want::read;
            return progress.bytes;
        }
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(pieces);
        message.msg_iovlen = count;
        for (;;) {
            const auto sent = ::sendmsg(fd.get(), &message, MSG_NOSIGNAL);
            if (sent >= 0) {
                return static_cast<std::size_t>(sent);
            }
            if (errno == EAGAIN) {
                return 0;
            }
            if (errno != EINTR) {
                fail(errno, "writing");
            }
        }
    }

    void write_gathered(iovec* pieces, std::size_t count, Deadline deadline, const StopToken& stop) {
        while (count > 0) {
            if (pieces->iov_len == 0) {
                ++pieces;
                --count;
                continue;
            }
            demand_running(name, "writing to", stop);
            auto sent = write_once(pieces, count);
            if (sent == 0) {
                const short events = writer_wants_read ? POLLIN : POLLOUT;
                demand(wait_for(fd.get(), events, deadline, stop), name, "writing to", stop);
            }
            while (sent > 0) {
                const auto part = std::min(sent, pieces->iov_len);
                pieces->iov_base = static_cast<char*>(pieces->iov_base) + part;
                pieces->iov_len -= part;
                sent -= part;
                if (pieces->iov_len == 0 && sent > 0) {
                    ++pieces;
                    --count;
                }
            }
        }
    }

    void handshake(Deadline deadline, const StopToken& stop) const {
        for (;;) {
            const auto want = tls->handshake();
            if (want == Tls::Want::none) {
                return;
            }
            const short events = want == Tls::Want::read ? POLLIN : POLLOUT;
            demand(wait_for(fd.get(), events, deadline, stop), name, "shaking hands with", stop);
        }
    }
};

Stream::Stream(std::unique_ptr<State> state) : state_(std::move(state)) {}

Stream::Stream(Stream&&) noexcept = default;

Stream& Stream::operator=(Stream&& other) noexcept {
    if (this != &other) {
        close();
        state_ = std::move(other.state_);
    }
    return *this;
}

Stream::~Stream() {
    close();
}

Stream Stream::connect(const Address& address, const TlsOptions* tls, Deadline deadline, const StopToken& stop) {
    auto state = std::make_unique<State>();
    state->name = address.text();
    state->fd = connect_any(address, state->name, deadline, stop);
    if (tls != nullptr) {
        state->tls = std::make_unique<Tls>(state->fd.get(), *tls, address.host, state->name);
        state->handshake(deadline, stop);
    }
    return Stream(std::move(state));
}

std::string Stream::security() const {
    return state_ && state_->tls ? state_->tls->describe() : std::string();
}

Stream Stream::adopt(int fd, std::string name) {
    auto state = std::make_unique<State>();
    state->fd = Fd(fd);
    state->name = std::move(name);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    return Stream(std::move(state));
}

std::size_t Stream::read_some(char* to, std::size_t size, Deadline deadline, const StopToken& stop) {
    auto& state = *state_;
    for (;;) {
        demand_running(state.name, "reading from", stop);
        if (const auto got = state.read_once(to, size)) {
            return *got;
        }
        const short events = state.reader_wants_write ? POLLOUT : POLLIN;
        demand(wait_for(state.fd.get(), events, deadline, stop), state.name, "reading from", stop);
    }
}

void Stream::write_all(std::string_view bytes, Deadline deadline, const StopToken& stop) {
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    state_->write_gathered(&piece, 1, deadline, stop);
}

void Stream::write_all(std::span<const std::string_view> pieces, Deadline deadline, const StopToken& stop) {
    if (state_->tls) {
        // One record per piece would be wasteful for the many tiny pieces of a protocol: fill
        // records.
        std::string record;
        for (const auto piece : pieces) {
            record += piece;
            if (record.size() >= tls_record) {
                write_all(record, deadline, stop);
                record.clear();
            }
        }
        write_all(record, deadline, stop);
        return;
    }
    std::array<iovec, 64> batch{};
    while (!pieces.empty()) {
        const auto count = std::min(pieces.size(), batch.size());
        for (std::size_t i = 0; i < count; ++i) {
            batch[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
        }
        state_->write_gathered(batch.data(), count, deadline, stop);
        pieces = pieces.subspan(count);
    }
}

std::size_t Stream::write_some(std::string_view bytes) {
    if (bytes.empty()) {
        return 0;
    }
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    return state_->write_once(&piece, 1);
}

std::optional<std::size_t> Stream::read_available(char* to, std::size_t size) {
    return state_->read_once(to, size);
}

bool Stream::wants_write() const {
    return state_->reader_wants_write;
}

bool Stream::wants_read() const {
    return state_->writer_wants_read;
}

int Stream::fd() const {
    return state_ ? state_->fd.get() : -1;
}

const std::string& Stream::name() const {
    return state_->name;
}

void Stream::shutdown_write() {
    if (!state_->fd) {
        return;
    }
    if (state_->tls) {
        state_->tls->say_goodbye();
    }
    ::shutdown(state_->fd.get(), SHUT_WR);
}

void Stream::close() noexcept {
    if (!state_ || !state_->fd) {
        return;
    }
    if (state_->tls) {
        state_->tls->say_goodbye();
        state_->tls.reset();
    }
    state_->fd.reset();
}

}  // namespace headrace::net
