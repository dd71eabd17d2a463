#include "base/stop.hpp"

#include "base/error.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace headrace {

// Many sources are made for work that never waits: the descriptor comes with the first who wants to poll it.
struct StopSource::State {
    std::atomic<int> fd{-1};
    std::atomic<bool> requested{false};
    std::mutex mutex;
    std::string reason;

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    ~State() {
        if (fd >= 0) {
            ::close(fd);
        }
    }

    int descriptor() {
        if (const int made = fd; made >= 0) {
            return made;
        }
        std::lock_guard lock(mutex);
        if (fd < 0) {
            const int made = ::eventfd(requested ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
            if (made < 0) {
                throw Error(ErrorKind::transient, "internal.bug", "eventfd: no file descriptor left");
            }
            fd = made;
        }
        return fd;
    }
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
    if (const int fd = state_->fd; fd >= 0) {
        const std::uint64_t one = 1;
        [[maybe_unused]] auto written = ::write(fd, &one, sizeof one);
    }
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
    return state_ ? state_->descriptor() : -1;
}

void StopToken::throw_if_stopped() const {
    if (stop_requested()) {
        throw Error(ErrorKind::cancelled, "net.cancelled", reason());
    }
}

}  // namespace headrace
