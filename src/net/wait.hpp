// Waiting for one descriptor. Every wait has a deadline and watches a stop token.
#pragma once

#include "base/deadline.hpp"
#include "base/fd.hpp"
#include "base/stop.hpp"

namespace headrace::net {

enum class Ready { ready, timeout, stopped };

// Stop wins over ready, ready wins over timeout. An error or hang-up on `fd` counts as ready: the
// next call reports it.
Ready wait_readable(int fd, Deadline deadline, const StopToken& stop);
Ready wait_writable(int fd, Deadline deadline, const StopToken& stop);
Ready wait_for(int fd, short poll_events, Deadline deadline, const StopToken& stop);

// An eventfd that one thread polls and any thread may wake. Wakes before a drain() melt into one.
class Waker {
public:
    Waker();
    void wake() const noexcept;
    void drain() const noexcept;

    int fd() const { return fd_.get(); }  // readable after wake(), until drain()

private:
    Fd fd_;
};

}  // namespace headrace::net
