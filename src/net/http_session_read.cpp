// The reading half of HttpSession: bytes → request → handler.
#include "base/error.hpp"
#include "base/log.hpp"
#include "net/http_session.hpp"
#include "net/http_wire.hpp"

#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>

namespace headrace::net {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t small_read = 4 * 1024;
constexpr std::size_t body_read = 64 * 1024;
constexpr std::string_view continue_line = "HTTP/1.1 100 Continue\r\n\r\n";

std::string_view view(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

}  // namespace

void HttpSession::next_request() {
    if (edge_.stopping) {
        linger();
        return;
    }
    state_ = State::reading;
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(edge_.core.options.header_limit));
    parser_->body_limit(edge_.core.options.body_limit);
    request_ = Request{};
    response_ = Response{};
    head_timer_set_ = false;
    head_accepted_ = false;
    keep_alive_ = true;
    parse();
}

void HttpSession::parse() {
    while (buffer_.size() > 0) {
        Code error;
        const auto used = parser_->put(buffer_.data(), error);
        buffer_.consume(used);
        if (error && error != http::error::need_more) {
            refuse_parse_error(error);
            return;
        }
        if (parser_->is_header_done() && !head_accepted_ && !accept_head()) {
            return;
        }
        if (parser_->is_done()) {
            dispatch();
            return;
        }
        if (used == 0 || error) {
            break;
        }
    }
    read_more();
}

// True once the head is fit to be served; the body, if any, follows.
bool HttpSession::accept_head() {
    head_accepted_ = true;
    parser_->eager(true);
    const auto& message = parser_->get();
    const auto encoding = view(message[http::field::transfer_encoding]);
    if (!encoding.empty() &&
        (message.count(http::field::content_length) != 0 || message.version() != 11 ||
         message.count(http::field::transfer_encoding) != 1 || !equal_no_case(encoding, "chunked"))) {
        refuse(400, "api.bad_request", "the framing of the request is ambiguous");
        return false;
    }
    if (message.count(http::field::host) > 1 || (message.version() == 11 && message.count(http::field::host) == 0)) {
        refuse(400, "api.bad_request", "the request needs one Host header");
        return false;
    }
    if (message.version() != 10 && message.version() != 11) {
        refuse(505, "api.bad_request", "this server speaks HTTP/1.1");
        return false;
    }
    if (!parser_->is_done()) {
        arm(edge_.core.options.body_timeout);
        if (buffer_.size() == 0 && equal_no_case(view(message[http::field::expect]), "100-continue")) {
            // Best effort: a client must not wait for this for ever (RFC 9110 §10.1.1).
            ::send(socket_.native_handle(), continue_line.data(), continue_line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    }
    return true;
}

void HttpSession::read_more() {
    const auto& options = edge_.core.options;
    if (!head_accepted_) {
        if (buffer_.size() == 0) {
            arm(served_before_ ? options.idle_timeout : options.header_timeout);
        } else if (!head_timer_set_) {
            head_timer_set_ = true;
            arm(options.header_timeout);
        }
    }
    // The parser takes a head only whole, and a chunk's size line too: past this it will never be
    // one.
    if (buffer_.size() > options.header_limit + body_read) {
        refuse(400, "api.bad_request", "a line of the request is too long");
        return;
    }
    reading_ = true;
    socket_.async_read_some(
        buffer_.prepare(head_accepted_ ? body_read : small_read),
        [self = shared_from_this()](Code error, std::size_t count) { self->on_read(error, count); }
    );
}

void HttpSession::on_read(Code error, std::size_t count) {
    reading_ = false;
    if (state_ != State::reading) {
        return;  // timed out meanwhile, and answered so
    }
    if (error) {
        close();
        return;
    }
    buffer_.commit(count);
    parse();
}

void HttpSession::refuse_parse_error(Code error) {
    if (error == http::error::header_limit) {
        refuse(431, "api.header_too_large", {});
    } else if (error == http::error::body_limit) {
        refuse(413, "api.payload_too_large", {});
    } else if (error == http::error::bad_version) {
        refuse(505, "api.bad_request", "this server speaks HTTP/1.1");
    } else {
        refuse(400, "api.bad_request", "the request is not valid HTTP/1.1");
    }
}

// An answer without a handler. The connection ends with it: what follows on it cannot be trusted to
// be a request.
void HttpSession::refuse(int status, std::string_view code, std::string_view detail) {
    keep_alive_ = false;
    if (request_.id.empty()) {
        request_.id = new_id();
    }
    response_ = problem(status, code, detail, request_.id);
    respond();
}

std::string HttpSession::new_id() {
    auto& core = edge_.core;
    return core.id_prefix + std::to_string(core.next_id.fetch_add(1, std::memory_order_relaxed));
}

void HttpSession::dispatch() {
    auto& core = edge_.core;
    auto& message = parser_->get();
    keep_alive_ = parser_->keep_alive();
    request_.id = new_id();
    if (const char* reason = read_target(view(message.target()), request_)) {
        refuse(400, "api.bad_request", reason);
        return;
    }
    request_.method = std::string(view(message.method_string()));
    request_.remote = remote_;
    for (const auto& field : message) {
        request_.headers.add(std::string(view(field.name_string())), std::string(view(field.value())));
    }
    request_.body = std::move(message.body());
    disarm();
    state_ = State::handling;
    if (!core.pool->submit([self = shared_from_this()] { self->handle(); })) {
        response_ = problem(503, "api.busy", {}, request_.id);
        response_.headers.add("Retry-After", "1");
        // Posted, not called: pipelined requests would answer each other deeper and deeper on one
        // stack.
        asio::post(socket_.get_executor(), [self = shared_from_this()] {
            if (self->state_ == State::handling) {
                self->respond();
            }
        });
    }
}

void HttpSession::handle() noexcept {
    try {
        response_ = edge_.core.handler(request_);
        open_file();
    } catch (...) {
        const auto error = as_error(std::current_exception());
        log::error("a request failed", {{"request", request_.id}, {"path", request_.path}, {"error", error.what()}});
        response_ = problem(500, "api.internal", {}, request_.id);
    }
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
        if (self->state_ == State::handling) {
            self->respond();
        } else if (self->response_.stream) {
            self->response_.stream->close();  // cut meanwhile: nobody will read it
        }
    });
}

}  // namespace headrace::net
