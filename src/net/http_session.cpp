// The sending half of HttpSession, its timer and its end.
#include "net/http_session.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "net/http_names.hpp"
#include "net/http_wire.hpp"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

namespace headrace::net {
namespace {

constexpr auto linger_time = std::chrono::seconds(2);
constexpr std::size_t sendfile_step = 1024 * 1024;

}  // namespace

std::string_view HttpEdge::date() {
    const auto now = std::time(nullptr);
    if (now != date_of_) {
        date_of_ = now;
        date_ = http_date(now);
    }
    return date_;
}

HttpSession::HttpSession(HttpEdge& edge, TcpSocket socket)
    : edge_(edge), socket_(std::move(socket)), timer_(edge.context), place_(edge.sessions.end()) {}

HttpSession::~HttpSession() {
    edge_.core.connections.fetch_sub(1);
    edge_.core.on_session_end();
}

void HttpSession::start() {
    place_ = edge_.sessions.insert(edge_.sessions.end(), shared_from_this());
    Code ignored;
    const auto peer = socket_.remote_endpoint(ignored);
    remote_ = ignored ? std::string() : peer.address().to_string();
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.set_option(asio::socket_base::keep_alive(true), ignored);
    socket_.native_non_blocking(true, ignored);
    ::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);
    next_request();
}

void HttpSession::wind_down() {
    if (state_ == State::reading && buffer_.size() == 0 && !head_accepted_) {
        close();
    } else if (state_ == State::streaming) {
        stream_->close();
    }
    // Else: edge_.stopping ends the connection after the answer.
}

void HttpSession::close() {
    if (state_ == State::closed) {
        return;
    }
    state_ = State::closed;
    Code ignored;
    socket_.close(ignored);
    timer_.cancel();
    disarm();
    if (stream_) {
        stream_->detach();
        stream_.reset();
    }
    if (const auto place = std::exchange(place_, edge_.sessions.end()); place != edge_.sessions.end()) {
        edge_.sessions.erase(place);  // whoever called us still holds the session
    }
}

// --- answers ---

void HttpSession::open_file() {
    if (response_.file.empty() || response_.stream) {
        return;
    }
    Fd file(::open(response_.file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));

    struct stat about {};

    if (!file || ::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
        response_ = problem(404, "api.not_found", {}, request_.id);
        return;
    }
    if (!response_.headers.has("content-type")) {
        response_.headers.add("Content-Type", std::string(mime_type(response_.file)));
    }
    file_size_ = static_cast<std::uint64_t>(about.st_size);
    file_ = std::move(file);
}

void HttpSession::respond() {
    disarm();
    state_ = State::sending;
    keep_alive_ = keep_alive_ && !edge_.stopping;
    const bool old = parser_ && parser_->get().version() == 10;
    const bool no_body = request_.method == "HEAD" || response_.status == 204 || response_.status == 304;
    if (response_.stream && !no_body) {
        stream_.emplace(response_.stream);
        stream_open_ = true;
        keep_alive_ = false;
        send_head(std::nullopt, !old);
        return;
    }
    if (response_.stream) {
        response_.stream->close();
    }
    const auto length = file_ ? file_size_ : response_.body.size();
    body_ = no_body || file_ ? std::string() : std::move(response_.body);
    file_left_ = no_body ? 0 : (file_ ? file_size_ : 0);
    const bool says_length = response_.status != 204 && response_.status != 304 && !response_.stream;
    send_head(says_length ? std::optional<std::uint64_t>(length) : std::nullopt, false);
}

void HttpSession::send_head(std::optional<std::uint64_t> length, bool chunked) {
    HeadOptions options;
    options.http_1_0 = parser_ && parser_->get().version() == 10;
    options.keep_alive = keep_alive_;
    options.chunked = chunked;
    options.content_length = length;
    options.date = edge_.date();
    try {
        head_ = response_head(response_, options);
    } catch (const Error& error) {
        log::error("a response cannot be sent", {{"request", request_.id}, {"error", error.what()}});
        if (stream_) {
            stream_->detach();
            stream_.reset();
        }
        file_.reset();
        response_ = problem(500, "api.internal", {}, request_.id);
        respond();
        return;
    }
    sent_ = 0;
    send();
}

void HttpSession::send() {
    if (!send_text() || !send_file()) {
        return;  // waiting, or closed
    }
    sent();
}

// False: not done yet (a wait is under way) or the connection is lost.
bool HttpSession::send_text() {
    const auto total = head_.size() + body_.size();
    while (sent_ < total) {
        std::array<iovec, 2> pieces{};
        std::size_t count = 0;
        if (sent_ < head_.size()) {
            pieces[count++] = {head_.data() + sent_, head_.size() - sent_};
        }
        const auto body_from = sent_ > head_.size() ? sent_ - head_.size() : 0;
        if (body_from < body_.size()) {
            pieces[count++] = {body_.data() + body_from, body_.size() - body_from};
        }
        msghdr message{};
        message.msg_iov = pieces.data();
        message.msg_iovlen = count;
        const auto n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | (file_left_ > 0 ? MSG_MORE : 0));
        if (n >= 0) {
            sent_ += static_cast<std::size_t>(n);
        } else if (errno == EAGAIN) {
            wait_to_send();
            return false;
        } else if (errno != EINTR) {
            close();
            return false;
        }
    }
    return true;
}

bool HttpSession::send_file() {
    while (file_left_ > 0) {
        const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(file_left_, sendfile_step));
        const auto n = ::sendfile(socket_.native_handle(), file_.get(), nullptr, step);
        if (n > 0) {
            file_left_ -= static_cast<std::uint64_t>(n);
        } else if (n < 0 && errno == EAGAIN) {
            wait_to_send();
            return false;
        } else if (n == 0 || errno != EINTR) {
            close();  // 0: the file shrank; the promised length can only be broken visibly
            return false;
        }
    }
    return true;
}

void HttpSession::wait_to_send() {
    arm(edge_.core.options.write_timeout);
    socket_.async_wait(TcpSocket::wait_write, [self = shared_from_this()](Code error) {
        if (self->state_ != State::sending && self->state_ != State::streaming) {
            return;
        }
        if (error) {
            self->close();
            return;
        }
        self->send();
    });
}

void HttpSession::sent() {
    disarm();
    head_.clear();
    body_.clear();
    sent_ = 0;
    file_.reset();
    served_before_ = true;
    if (state_ == State::streaming) {
        stream_more();
    } else if (stream_) {
        begin_stream();
    } else if (keep_alive_ && !edge_.stopping) {
        next_request();
    } else {
        linger();
    }
}

// --- the end ---

// Closing a socket with unread input resets the connection, and the client may never see the
// answer: so say that we are done, and read away what still comes, for a short while.
void HttpSession::linger() {
    if (state_ == State::closed) {
        return;
    }
    state_ = State::lingering;
    Code ignored;
    socket_.shutdown(TcpSocket::shutdown_send, ignored);
    if (edge_.stopping) {
        close();
        return;
    }
    arm(linger_time);
    buffer_.clear();
    drop_input();
}

void HttpSession::drop_input() {
    socket_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](Code error, std::size_t) {
        if (self->state_ != State::lingering) {
            return;
        }
        if (error) {
            self->close();
        } else {
            self->drop_input();
        }
    });
}

// --- time ---

// One timer per connection, moved only when it would fire too late: a busy connection never touches
// it.
void HttpSession::arm(std::chrono::milliseconds span) {
    deadline_ = std::chrono::steady_clock::now() + span;
    if (!timer_running_ || deadline_ < timer_at_) {
        start_timer();
    }
}

void HttpSession::disarm() {
    deadline_ = std::chrono::steady_clock::time_point::max();
}

void HttpSession::start_timer() {
    timer_running_ = true;
    timer_at_ = deadline_;
    timer_.expires_at(deadline_);
    timer_.async_wait([self = shared_from_this(), generation = ++timer_generation_](Code) {
        self->on_timer(generation);
    });
}

void HttpSession::on_timer(std::uint64_t generation) {
    if (generation != timer_generation_ || state_ == State::closed) {
        return;
    }
    timer_running_ = false;
    if (deadline_ == std::chrono::steady_clock::time_point::max()) {
        return;
    }
    if (std::chrono::steady_clock::now() < deadline_) {
        start_timer();
        return;
    }
    disarm();
    on_time_out();
}

void HttpSession::on_time_out() {
    const bool begun = buffer_.size() > 0 || head_accepted_;
    if (state_ == State::reading && begun) {
        Code ignored;
        state_ = State::sending;  // so that the cancelled read finds itself out of date
        socket_.cancel(ignored);
        refuse(408, "api.request_timeout", {});
    } else {
        // A client that takes nothing: a reset frees the kernel's copy of what it did not take.
        Code ignored;
        if (state_ == State::sending || state_ == State::streaming) {
            socket_.set_option(asio::socket_base::linger(true, 0), ignored);
        }
        close();
    }
}

}  // namespace headrace::net
