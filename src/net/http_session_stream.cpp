// The event-stream part of HttpSession: from the head of the answer to the end of the stream.
#include "net/http_session.hpp"

#include <array>
#include <charconv>

namespace headrace::net {
namespace {

constexpr std::string_view last_chunk = "0\r\n\r\n";

std::string hex(std::size_t value) {
    std::array<char, 16> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value, 16).ptr;
    return {text.data(), end};
}

}  // namespace

void HttpSession::begin_stream() {
    state_ = State::streaming;
    // The executor outlives the attachment: close() detaches before the I/O thread ends.
    stream_->attach([executor = socket_.get_executor(), weak = weak_from_this()] {
        asio::post(executor, [weak] {
            const auto self = weak.lock();
            // With text under way, sent() looks at the queue again by itself.
            if (self && self->state_ == State::streaming && self->head_.empty()) {
                self->stream_more();
            }
        });
    });
    watch_for_hangup();
    stream_more();
}

void HttpSession::stream_more() {
    if (state_ != State::streaming) {
        return;
    }
    if (!stream_open_) {
        stream_->detach();
        stream_.reset();
        linger();
        return;
    }
    const bool chunked = parser_->get().version() == 11;
    std::string events;
    stream_open_ = stream_->take(events);
    if (!events.empty()) {
        head_ = chunked ? hex(events.size()) + "\r\n" : std::string();
        head_ += events;
        head_ += chunked ? "\r\n" : "";
    }
    if (!stream_open_ && chunked) {
        head_ += last_chunk;
    }
    if (!head_.empty()) {
        send();
    } else if (!stream_open_) {
        stream_more();
    } else if (edge_.stopping) {
        stream_->close();
    }
}

// A client of an event stream has nothing more to say: bytes are dropped, an end is an end.
void HttpSession::watch_for_hangup() {
    buffer_.clear();
    socket_.async_read_some(buffer_.prepare(512), [self = shared_from_this()](Code error, std::size_t) {
        if (self->state_ != State::streaming) {
            return;
        }
        if (error) {
            self->close();
        } else {
            self->watch_for_hangup();
        }
    });
}

}  // namespace headrace::net
