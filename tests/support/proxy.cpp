#include "support/proxy.hpp"

#include "base/encoding.hpp"
#include "base/fd.hpp"
#include "net/wait.hpp"
#include "support/servers.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace headrace::support {
namespace {

constexpr std::size_t most_buffered = 256 * 1024;
constexpr std::size_t longest_text = 256;
constexpr auto tick = std::chrono::milliseconds(5);  // of a limited link

Fd checked(int fd, const char* what) {
    if (fd < 0) {
        throw std::runtime_error(std::string("proxy: ") + what + ": " + std::strerror(errno));
    }
    return Fd(fd);
}

sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        throw std::runtime_error("proxy: the path is too long: " + path);
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

// One direction of a connection: what was read and not yet written.
struct Flow {
    std::string waiting;
    bool ended = false;
};

struct Pair {
    Fd client;
    Fd server;
    Flow requests;
    Flow replies;
    std::size_t matched = 0;  // texts of the plan that were seen
    std::string tail;         // the last bytes of the client, for texts that are split
    bool deaf = false;        // its replies are lost
    bool over = false;
};

// False when the peer is gone.
bool write_some(const Fd& to, std::string& bytes, std::size_t most) {
    if (bytes.empty() || most == 0) {
        return true;
    }
    const auto sent = ::send(to.get(), bytes.data(), std::min(bytes.size(), most), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
        bytes.erase(0, static_cast<std::size_t>(sent));
    }
    return sent > 0 || errno == EAGAIN || errno == EINTR;
}

}  // namespace

struct Proxy::State {
    Proxy& owner;
    std::string upstream_path;
    std::uint16_t upstream_port = 0;
    Fd listener;
    net::Waker waker;
    std::mutex mutex;  // over all below
    bool stopping = false;
    bool refusing = false;
    bool holding_replies = false;
    bool holding_all = false;
    bool cutting = false;
    std::size_t rate = 0;
    double allowance = 0;
    std::chrono::steady_clock::time_point allowed_at = std::chrono::steady_clock::now();
    Loss loss = Loss::none;
    std::vector<std::string> texts;
    bool then_refuse = false;
    std::vector<std::unique_ptr<Pair>> pairs;
    std::thread thread;

    explicit State(Proxy& o) : owner(o) {}

    template <class Change>
    void change(Change&& body) {
        const std::lock_guard lock(mutex);
        body();
        waker.wake();
    }

    Fd connect_upstream() const {
        Fd fd;
        int failed = 0;
        if (upstream_port != 0) {
            fd = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
            const auto address = loopback(upstream_port);
            failed = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        } else {
            fd = checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
            const auto address = unix_address(upstream_path);
            failed = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        }
        return failed == 0 ? std::move(fd) : Fd();
    }

    void accept_one() {
        Fd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!client || refusing) {
            return;
        }
        auto server = connect_upstream();
        if (server) {
            auto pair = std::make_unique<Pair>();
            pair->client = std::move(client);
            pair->server = std::move(server);
            pairs.push_back(std::move(pair));
        }
    }

    // The plan of lose(): true when the piece at hand completes it.
    bool completes_plan(Pair& pair, std::string_view piece) {
        pair.tail += piece;
        std::size_t at = 0;
        while (pair.matched < texts.size()) {
            const auto found = pair.tail.find(texts[pair.matched], at);
            if (found == std::string::npos) {
                break;
            }
            at = found + texts[pair.matched].size();
            ++pair.matched;
        }
        pair.tail.erase(0, std::max(at, pair.tail.size() - std::min(pair.tail.size(), longest_text)));
        return !texts.empty() && pair.matched == texts.size();
    }

    void from_client(Pair& pair, std::string_view piece) {
        if (!completes_plan(pair, piece)) {
            pair.requests.waiting += piece;
            return;
        }
        texts.clear();
        ++owner.lost_;
        if (loss == Loss::request) {
            pair.over = true;
            refusing = refusing || then_refuse;
            cutting = cutting || then_refuse;
            return;
        }
        pair.requests.waiting += piece;
        pair.deaf = loss == Loss::reply;
    }

    void from_server(Pair& pair, std::string_view piece) {
        if (!pair.deaf) {
            pair.replies.waiting += piece;
            return;
        }
        pair.over = true;  // the server has answered, so it has done what it was asked
        refusing = refusing || then_refuse;
        cutting = cutting || then_refuse;
    }

    template <class Take>
    static void read_from(const Fd& from, Flow& flow, Take&& take) {
        std::array<char, 16 * 1024> buffer{};
        const auto got = ::recv(from.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got > 0) {
            take(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            flow.ended = true;
        }
    }

    std::size_t allowed() {
        if (rate == 0) {
            return most_buffered;
        }
        const auto now = std::chrono::steady_clock::now();
        allowance += std::chrono::duration<double>(now - allowed_at).count() * static_cast<double>(rate);
        allowed_at = now;
        allowance = std::min(allowance, static_cast<double>(rate) / 4 + 1);
        return static_cast<std::size_t>(std::max(allowance, 0.0));
    }

    void serve(Pair& pair, short client_events, short server_events) {
        if ((client_events & (POLLIN | POLLHUP | POLLERR)) != 0) {
            read_from(pair.client, pair.requests, [&](std::string_view piece) { from_client(pair, piece); });
        }
        if ((server_events & (POLLIN | POLLHUP | POLLERR)) != 0) {
            read_from(pair.server, pair.replies, [&](std::string_view piece) { from_server(pair, piece); });
        }
        const auto before = pair.replies.waiting.size();
        const auto asked = pair.requests.waiting.size();
        bool good = write_some(pair.server, pair.requests.waiting, allowed());
        allowance -= static_cast<double>(asked - pair.requests.waiting.size());
        good = write_some(pair.client, pair.replies.waiting, allowed()) && good;
        const auto passed = before - pair.replies.waiting.size();
        allowance -= static_cast<double>(passed);
        owner.to_client_ += passed;
        // Either end closing ends both, once what it said before has arrived.
        pair.over = pair.over || !good || (pair.requests.ended && pair.requests.waiting.empty()) ||
                    (pair.replies.ended && pair.replies.waiting.empty());
    }

    static short wanted(const Flow& reads, const Flow& writes, bool may_write) {
        short events = 0;
        if (!reads.ended && reads.waiting.size() < most_buffered) {
            events |= POLLIN;
        }
        if (!writes.waiting.empty() && may_write) {
            events |= POLLOUT;
        }
        return events;
    }

    std::vector<pollfd> poll_list() const {
        std::vector<pollfd> list{{waker.fd(), POLLIN, 0}, {listener.get(), POLLIN, 0}};
        for (const auto& pair : pairs) {
            const auto client = wanted(pair->requests, pair->replies, rate == 0);
            const auto server = wanted(pair->replies, pair->requests, rate == 0);
            // An entry of -1 is passed over: with no event asked for, poll would still tell of a hang-up.
            list.push_back({holding_all || client == 0 ? -1 : pair->client.get(), client, 0});
            list.push_back({holding_all || holding_replies || server == 0 ? -1 : pair->server.get(), server, 0});
        }
        return list;
    }

    void run() {
        std::unique_lock lock(mutex);
        while (!stopping) {
            auto list = poll_list();
            const auto served = pairs.size();
            const int wait_ms = rate == 0 ? -1 : static_cast<int>(tick.count());
            lock.unlock();
            ::poll(list.data(), list.size(), wait_ms);
            waker.drain();
            lock.lock();
            for (std::size_t i = 0; i < served && !holding_all; ++i) {
                const auto server_events = holding_replies ? short(0) : list[3 + 2 * i].revents;
                serve(*pairs[i], list[2 + 2 * i].revents, server_events);
            }
            std::erase_if(pairs, [&](const auto& pair) { return pair->over || cutting; });
            cutting = false;
            if (list[1].revents != 0) {
                accept_one();
            }
            owner.connections_ = static_cast<int>(pairs.size());
        }
    }

    void start() {
        if (::listen(listener.get(), 64) != 0) {
            throw std::runtime_error("proxy: listen failed");
        }
        thread = std::thread([this] { run(); });
    }
};

Proxy::Proxy(std::string upstream, std::string listen) : state_(std::make_unique<State>(*this)) {
    state_->upstream_path = std::move(upstream);
    state_->listener = checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    const auto address = unix_address(listen);
    if (::bind(state_->listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw std::runtime_error("proxy: cannot listen at " + listen);
    }
    state_->start();
}

Proxy::Proxy(std::uint16_t upstream) : state_(std::make_unique<State>(*this)) {
    state_->upstream_port = upstream;
    state_->listener = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    auto address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(state_->listener.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
        ::getsockname(state_->listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        throw std::runtime_error("proxy: no free port");
    }
    port_ = ntohs(address.sin_port);
    state_->start();
}

Proxy::~Proxy() {
    state_->change([&] { state_->stopping = true; });
    state_->thread.join();
}

void Proxy::lose(Loss loss, std::vector<std::string> texts, bool then_refuse) {
    state_->change([&] {
        state_->loss = loss;
        state_->texts = std::move(texts);
        state_->then_refuse = then_refuse;
        for (const auto& pair : state_->pairs) {
            pair->matched = 0;
            pair->tail.clear();
        }
    });
}

void Proxy::redirect(std::string upstream) {
    state_->change([&] {
        state_->upstream_path = std::move(upstream);
        state_->cutting = true;
    });
}

void Proxy::cut() {
    state_->change([&] { state_->cutting = true; });
}

void Proxy::refuse(bool on) {
    state_->change([&] {
        state_->cutting = state_->cutting || on;
        state_->refusing = on;
    });
}

void Proxy::hold_replies(bool on) {
    state_->change([&] { state_->holding_replies = on; });
}

void Proxy::hold_all(bool on) {
    state_->change([&] { state_->holding_all = on; });
}

void Proxy::limit(std::size_t bytes_per_second) {
    state_->change([&] {
        state_->rate = bytes_per_second;
        state_->allowance = 0;
    });
}

ProxiedUrl proxied_postgres(const std::string& database_url) {
    const std::string mark = "host=";
    const auto at = database_url.find(mark) + mark.size();
    const auto folder = servers().fresh_folder();
    const auto upstream = percent_decode(database_url.substr(at)).value() + "/.s.PGSQL.5432";
    return {
        .proxy = std::make_unique<Proxy>(upstream, folder + "/.s.PGSQL.5432"),
        .url = database_url.substr(0, at) + percent_encode(folder)};
}

ProxiedUrl proxied_redis(const std::string& redis_url) {
    const std::string scheme = "redis+unix://";
    const auto end = redis_url.find('?');
    const auto listen = servers().fresh_folder() + "/redis.sock";
    return {
        .proxy = std::make_unique<Proxy>(redis_url.substr(scheme.size(), end - scheme.size()), listen),
        .url = scheme + listen + redis_url.substr(end)};
}

}  // namespace headrace::support
