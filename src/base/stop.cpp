#include "base/stop.hpp"

#include "base/error.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace headrace {

struct StopSource::State {
    int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    std::atomic<bool> requested{false};
    std::mutex mutex;
    std::string reason;

    State() {
        if (fd < 0) {
            throw Error(ErrorKind::transient, "internal.bug", "eventfd: no file descriptor left");
        }
    }

    State(const State&) = delete;
    State& operator=(const State&) = delete;

    ~State() { ::close(fd); }
};

StopSource::StopSource() : state_(std::make_shared<State>()) {}

StopToken StopSource::token() const {
    return StopToken(state_);
}

void StopSource::request_stop(std::string reason) {
    std::lock_guard lock(state_->mutex);
    if (state_->requested.load()) {
        return;
    }
    state_->reason = std::move(reason);
    state_->requested.store(true);
    const std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(state_->fd, &one, sizeof one);
}

bool StopSource::stop_requested() const {
    return state_->requested.load();
}

bool StopToken::stop_requested() const {
    return state_ && state_->requested.load();
}

std::string StopToken::reason() const {
    if (!state_) {
        return {};
    }
    std::lock_guard lock(state_->mutex);
    return state_->reason;
}

int StopToken::fd() const {
    return state_ ? state_->fd : -1;
}

void StopToken::throw_if_stopped() const {
    if (stop_requested()) {
        throw Error(ErrorKind::cancelled, "net.cancelled", reason());
    }
}

}  // namespace headrace
