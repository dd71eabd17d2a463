// The server's end of an EventStream. Private to net.
#pragma once

#include "net/event_stream.hpp"

#include <functional>
#include <memory>
#include <string>

namespace headrace::net {

class EventStreamReader {
public:
    explicit EventStreamReader(std::shared_ptr<EventStream> stream) : stream_(std::move(stream)) {}

    // `wake` is called under the stream's lock when an empty queue gets a message and when the
    // stream closes, until detach() returns: so it must only post, and may use what outlives the
    // attachment.
    void attach(std::function<void()> wake);
    // Appends everything queued to `out`; false when the stream is closed and nothing will follow.
    bool take(std::string& out);
    // The client is gone.
    void detach();

    void close() { stream_->close(); }

private:
    std::shared_ptr<EventStream> stream_;
};

}  // namespace headrace::net
