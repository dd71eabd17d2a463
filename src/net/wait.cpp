#include "net/wait.hpp"

#include "base/error.hpp"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <system_error>

namespace headrace::net {

Ready wait_for(int fd, short poll_events, Deadline deadline, const StopToken& stop) {
    pollfd entries[2] = {{fd, poll_events, 0}, {stop.fd(), POLLIN, 0}};
    for (;;) {
        const int count = ::poll(entries, 2, deadline.poll_timeout());
        if (count < 0 && errno != EINTR) {
            throw Error(ErrorKind::bug, "internal.bug", "poll: " + std::generic_category().message(errno));
        }
        if (count > 0) {
            return entries[1].revents != 0 ? Ready::stopped : Ready::ready;
        }
        // poll_timeout() is capped, so that 0 may come before the deadline has.
        if (deadline.passed()) {
            return stop.stop_requested() ? Ready::stopped : Ready::timeout;
        }
    }
}

Ready wait_readable(int fd, Deadline deadline, const StopToken& stop) {
    return wait_for(fd, POLLIN, deadline, stop);
}

Ready wait_writable(int fd, Deadline deadline, const StopToken& stop) {
    return wait_for(fd, POLLOUT, deadline, stop);
}

Waker::Waker() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!fd_) {
        throw Error(ErrorKind::transient, "net.io", "eventfd: no file descriptor left");
    }
}

void Waker::wake() const noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(fd_.get(), &one, sizeof one);  // full counter: it is awake anyway
}

void Waker::drain() const noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] auto got = ::read(fd_.get(), &count, sizeof count);
}

}  // namespace headrace::net
