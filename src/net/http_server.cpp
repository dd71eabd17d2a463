#include "net/http_server.hpp"

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/log.hpp"
#include "net/http_session.hpp"
#include "net/http_wire.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace headrace::net {
namespace {

constexpr auto accept_pause = std::chrono::milliseconds(100);
constexpr int backlog = 512;

}  // namespace

struct HttpServer::State {
    std::mutex mutex;  // outlives the sessions, which announce their end
    std::condition_variable ended;
    HttpCore core;
    std::vector<std::unique_ptr<HttpEdge>> edges;
    std::unique_ptr<TcpAcceptor> acceptor;  // on the first edge
    std::unique_ptr<IoTimer> accept_timer;
    std::size_t next_edge = 0;
    std::uint16_t port = 0;
    std::vector<pthread_t> threads;
    std::mutex stop_mutex;
    bool stopped = false;

    void listen();
    void accept();
    void take(HttpEdge& edge, TcpSocket socket);
    void turn_away(TcpSocket socket) const;
    void stop(Deadline grace);
    void wait_for_sessions(Deadline grace);
};

void HttpServer::State::listen() {
    using boost::asio::ip::tcp;
    const auto& options = core.options;
    boost::system::error_code error;
    const auto address = asio::ip::make_address(options.host, error);
    const auto fail = [&](const char* what) {
        const bool taken = error == asio::error::address_in_use;
        throw Error(
            ErrorKind::permanent,
            taken ? "net.address_in_use" : "net.io",
            std::string(what) + " " + options.host + ":" + std::to_string(options.port) + ": " + error.message()
        );
    };
    if (error) {
        fail("not a numeric address:");
    }
    acceptor = std::make_unique<TcpAcceptor>(edges.front()->context);
    const tcp::endpoint endpoint(address, options.port);
    acceptor->open(endpoint.protocol(), error);
    if (!error) {
        acceptor->set_option(asio::socket_base::reuse_address(true), error);
        acceptor->bind(endpoint, error);
    }
    if (!error) {
        acceptor->listen(backlog, error);
    }
    if (error) {
        fail("cannot listen on");
    }
    ::fcntl(acceptor->native_handle(), F_SETFD, FD_CLOEXEC);
    port = acceptor->local_endpoint().port();
    accept_timer = std::make_unique<IoTimer>(edges.front()->context);
}

void HttpServer::State::accept() {
    auto& edge = *edges[next_edge++ % edges.size()];
    acceptor->async_accept(edge.context, [this, &edge](boost::system::error_code error, TcpSocket socket) {
        if (error == asio::error::operation_aborted || !acceptor->is_open()) {
            return;
        }
        if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space ||
            error == asio::error::no_memory) {
            // The waiting connection would be reported again at once: leave the processor to
            // those who can free something.
            log::warn("cannot accept a connection", {{"error", error.message()}});
            accept_timer->expires_after(accept_pause);
            accept_timer->async_wait([this](boost::system::error_code cancelled) {
                if (!cancelled) {
                    accept();
                }
            });
            return;
        }
        if (!error) {
            take(edge, std::move(socket));
        }
        accept();
    });
}

void HttpServer::State::take(HttpEdge& edge, TcpSocket socket) {
    if (core.connections.fetch_add(1) >= core.options.max_connections) {
        core.connections.fetch_sub(1);
        turn_away(std::move(socket));
        return;
    }
    auto session = std::make_shared<HttpSession>(edge, std::move(socket));
    asio::dispatch(edge.context, [session = std::move(session)] { session->start(); });
}

// Best effort: no state is kept for a connection above the limit.
void HttpServer::State::turn_away(TcpSocket socket) const {
    auto response = problem(503, "api.busy", "too many connections", {});
    response.headers.add("Retry-After", "1");
    HeadOptions head;
    head.keep_alive = false;
    head.content_length = response.body.size();
    head.date = edges.front()->date();
    const auto answer = response_head(response, head) + response.body;
    ::send(socket.native_handle(), answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::shutdown(socket.native_handle(), SHUT_WR);
}

void HttpServer::State::wait_for_sessions(Deadline grace) {
    std::unique_lock lock(mutex);
    const auto none = [this] { return core.connections.load() == 0; };
    if (grace.when() == Deadline::Clock::time_point::max()) {
        ended.wait(lock, none);
    } else {
        ended.wait_until(lock, grace.when(), none);
    }
}

void HttpServer::State::stop(Deadline grace) {
    std::lock_guard only_once(stop_mutex);
    if (std::exchange(stopped, true)) {
        return;
    }
    const auto each_session = [this](void (HttpSession::*action)()) {
        for (auto& edge : edges) {
            asio::post(edge->context, [edge = edge.get(), action] {
                edge->stopping = true;
                for (auto it = edge->sessions.begin(); it != edge->sessions.end();) {
                    const auto session = *it++;  // the action may take the session out of the list
                    (session.get()->*action)();
                }
            });
        }
    };
    if (acceptor) {
        asio::post(edges.front()->context, [this] {
            boost::system::error_code ignored;
            acceptor->close(ignored);
            accept_timer->cancel();
        });
        each_session(&HttpSession::wind_down);
        wait_for_sessions(grace);
        each_session(&HttpSession::close);
    }
    if (core.pool) {
        core.pool->stop();
    }
    for (auto& edge : edges) {
        edge->work.reset();
    }
    for (const auto thread : std::exchange(threads, {})) {
        ::pthread_join(thread, nullptr);
    }
}

HttpServer::HttpServer(HttpServerOptions options, Handler handler) : state_(std::make_unique<State>()) {
    auto& state = *state_;
    options.io_threads = std::clamp(options.io_threads, 1u, 64u);
    options.pool_threads = std::clamp(options.pool_threads, 1u, 256u);
    state.core.options = std::move(options);
    state.core.handler = std::move(handler);
    state.core.id_prefix = random_token(6) + "-";
    state.core.on_session_end = [&state] {
        std::lock_guard lock(state.mutex);
        state.ended.notify_all();
    };
    const auto& chosen = state.core.options;
    for (unsigned i = 0; i < chosen.io_threads; ++i) {
        state.edges.push_back(std::make_unique<HttpEdge>(state.core));
    }
    state.listen();
    try {
        state.core.pool = std::make_unique<WorkerPool>(chosen.pool_threads, chosen.thread_stack, chosen.queue_limit);
        state.accept();
        for (auto& edge : state.edges) {
            state.threads.push_back(start_thread(chosen.thread_stack, [edge = edge.get()] { edge->context.run(); }));
        }
    } catch (...) {
        state.stop(Deadline::in(std::chrono::nanoseconds(0)));
        throw;
    }
}

HttpServer::~HttpServer() {
    stop(Deadline::in(std::chrono::nanoseconds(0)));
}

std::uint16_t HttpServer::port() const {
    return state_->port;
}

std::size_t HttpServer::connections() const {
    return state_->core.connections.load();
}

void HttpServer::stop(Deadline grace) {
    state_->stop(grace);
}

}  // namespace headrace::net
