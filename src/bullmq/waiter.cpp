#include "bullmq/waiter.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

namespace headrace::bullmq {

Waiter::Waiter(
    redis::Options options,
    const Keys& keys,
    std::string_view worker_name,
    Millis block,
    Answer answer,
    EventSink events
)
    : options_(std::move(options)),
      marker_(keys.marker),
      block_(block),
      answer_(std::move(answer)),
      events_(std::move(events)) {
    options_.client_name = keys.client_name(worker_name);
}

void Waiter::start() {
    thread_ = std::thread([this] { run(); });
}

void Waiter::stop() {
    {
        std::lock_guard guard(mutex_);
        closing_ = true;
        cut_.request_stop("closing");
    }
    waker_.wake();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void Waiter::arm() {
    {
        std::lock_guard guard(mutex_);
        armed_ = true;
        if (cut_.stop_requested() && !closing_) {
            cut_ = StopSource();
        }
    }
    waker_.wake();
}

void Waiter::disarm() {
    std::lock_guard guard(mutex_);
    if (armed_) {
        cut_.request_stop("disarmed");
    }
}

void Waiter::run() {
    for (bool first = true;; first = false) {
        StopToken cut;
        bool armed = false;
        {
            std::lock_guard guard(mutex_);
            if (closing_) {
                return;
            }
            armed = armed_;
            cut = cut_.token();
        }
        if (!armed && !first) {
            net::wait_readable(waker_.fd(), Deadline::never(), {});
            waker_.drain();
            continue;
        }
        std::optional<std::int64_t> score;
        try {
            net::wait_readable(-1, Deadline::at(reconnect_.next()), cut);
            cut.throw_if_stopped();
            if (connection_ && (connection_->is_dead() || connection_cut_.stop_requested())) {
                connection_.reset();
            }
            if (!connection_) {
                connection_.emplace(redis::Connection::connect(options_, cut));
                connection_cut_ = cut;
            }
            if (armed) {
                score = wait_once();
            }
            reconnect_.succeeded();
        } catch (const Error& error) {
            connection_.reset();
            if (!cut.stop_requested()) {
                reconnect_.failed(Reconnect::Clock::now());
                events_(WorkerEvent::Kind::error, {}, std::string("waiting: ") + error.what());
            }
        }
        if (armed) {
            {
                std::lock_guard guard(mutex_);
                armed_ = false;
            }
            answer_(score);
        }
    }
}

std::optional<std::int64_t> Waiter::wait_once() {
    // Redis before 6 takes whole seconds only; whole seconds are therefore sent as such.
    const auto seconds = block_.count() % 1000 == 0
                             ? std::to_string(block_.count() / 1000)
                             : fmt::format("{:.3f}", static_cast<double>(block_.count()) / 1000.0);
    connection_->append({"BZPOPMIN", marker_, seconds});
    // The connection's ordinary reply time-out does not apply to a command that blocks; silence beyond this is a dead
    // peer.
    auto reply = redis::checked(connection_->read_reply(Deadline::in(block_ + Millis(2'000))));
    if (reply.is_nil()) {
        return std::nullopt;
    }
    return static_cast<std::int64_t>(std::stod(reply.at(2).text()));
}

}  // namespace headrace::bullmq
