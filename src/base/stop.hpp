// Cooperative stop that a poll() can watch. Source and tokens share an eventfd, made when it is first asked for. Every
// wait in the house polls `token.fd()` beside its own descriptor, so that cancel is immediate.
#pragma once

#include <memory>
#include <string>

namespace headrace {

class StopToken;

// Thread-safe. request_stop() may be called from any thread, any number of times; the first reason stays.
class StopSource {
public:
    StopSource();
    StopToken token() const;
    void request_stop(std::string reason = "stopped");
    bool stop_requested() const;

private:
    friend class StopToken;
    struct State;
    std::shared_ptr<State> state_;
};

// Cheap to copy. A default-made token never stops (fd() is -1, which poll() ignores).
class StopToken {
public:
    StopToken() = default;
    bool stop_requested() const;
    std::string reason() const;
    int fd() const;                 // readable for ever once stop was requested; throws when no descriptor is left
    void throw_if_stopped() const;  // Error{cancelled, "net.cancelled"}

private:
    friend class StopSource;

    explicit StopToken(std::shared_ptr<StopSource::State> state) : state_(std::move(state)) {}

    std::shared_ptr<StopSource::State> state_;
};

}  // namespace headrace
