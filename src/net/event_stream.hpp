// The sending end of one Server-Sent-Events connection. Made by a handler, put into
// Response::stream, and fed by any thread for as long as the client stays. Thread-safe. Shared: the
// server holds it while the connection lives.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace headrace::net {

class EventStream {
public:
    struct Limits {
        std::size_t messages = 256;  // queued and not yet handed to the kernel
        std::size_t bytes = 1024 * 1024;
    };

    EventStream() : EventStream(Limits{}) {}

    explicit EventStream(Limits limits) : limits_(limits) {}

    EventStream(const EventStream&) = delete;
    EventStream& operator=(const EventStream&) = delete;

    // Queues whole, already formatted events ("id: …\nevent: …\ndata: …\n\n"). May be called before
    // the handler returns. False: the stream is closed, or just was: on overflow what is queued is
    // dropped, the client gets `event: reset` and the connection ends.
    bool send(std::string_view bytes);

    // Ends the stream after what is queued. Idempotent.
    void close();
    // True after close(), overflow, or when the client has gone. Nothing sent from here on arrives.
    bool closed() const;
    // Called once, on any thread, when the stream becomes closed; at once when it already is. Must
    // not block, and must not own this stream by shared_ptr (cycle).
    void on_closed(std::function<void()> callback);

private:
    friend class EventStreamReader;

    void finish(std::unique_lock<std::mutex>& lock);

    const Limits limits_;
    mutable std::mutex mutex_;
    std::deque<std::string> queue_;
    std::size_t queued_bytes_ = 0;
    bool closed_ = false;
    std::function<void()> wake_;  // set by the server while a connection reads from here
    std::function<void()> on_closed_;
};

}  // namespace headrace::net
