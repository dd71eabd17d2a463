// Inside of the library: the connection of a Queue and how a call travels over it.
#pragma once

#include "bullmq/queue.hpp"
#include "bullmq/scripts.hpp"
#include "redis/connection.hpp"

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::bullmq {

// All of it under `mutex`, taken by the public functions.
struct Queue::State {
    State(redis::Options o, std::string_view name, std::string_view prefix, StopToken token)
        : options(located(std::move(o), Keys(name, prefix))), calls(Keys(name, prefix)), stop(std::move(token)) {}

    redis::Connection& connected();
    redis::Reply run(const Call& call);  // loads the script when Redis does not know it; throws error replies

    redis::Reply command(redis::Connection::List args);
    // `reply`, unless it is an error, which is thrown. "Not now" ends the connection: the next call finds the server
    // anew.
    redis::Reply checked(redis::Reply reply);

    // True, or false for the codes that mean "no such job, or not in that state"; throws queue.refused for the others.
    bool did(const Call& call, std::string_view what);

    std::vector<std::string> client_names(const std::function<bool(std::string_view)>& wanted);

    std::mutex mutex;
    redis::Options options;
    Calls calls;
    StopToken stop;
    std::optional<redis::Connection> connection;
};

}  // namespace headrace::bullmq
