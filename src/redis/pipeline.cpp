#include "redis/pipeline.hpp"

namespace headrace::redis {

void Pipeline::add(Connection::List args) {
    connection_.append(args);
    added(false);
}

void Pipeline::add(Connection::Args args) {
    connection_.append(args);
    added(false);
}

void Pipeline::add_large(Connection::Args args) {
    connection_.append_by_reference(args);
    added(true);
}

void Pipeline::add_parts(Connection::Args args, Connection::Args parts) {
    connection_.append_parts(args, parts);
    added(true);
}

void Pipeline::added(bool must_flush) {
    ++commands_;
    if (must_flush || connection_.unsent_bytes() >= window_.bytes) {
        connection_.flush();
        // Answers that are here already cost nothing to take, and keep the server's output buffer small.
        while (connection_.pending() > 0) {
            auto reply = connection_.try_read_reply();
            if (!reply) {
                break;
            }
            if (reply->is_error()) {
                ++errors_;
                if (!first_) {
                    first_ = error_of(*reply);
                }
            } else if (handler_) {
                handler_(std::move(*reply));
            }
        }
    }
    if (connection_.pending() >= window_.commands) {
        // Half of the window stays in flight, so that the server always has work.
        while (connection_.pending() > window_.commands / 2) {
            take_one();
        }
    }
}

void Pipeline::take_one() {
    auto reply = connection_.read_reply();
    if (reply.is_error()) {
        ++errors_;
        if (!first_) {
            first_ = error_of(reply);
        }
    } else if (handler_) {
        handler_(std::move(reply));
    }
}

void Pipeline::drain() {
    while (connection_.pending() > 0) {
        take_one();
    }
    if (first_) {
        auto error = *first_;
        first_.reset();
        throw error;
    }
}

}  // namespace headrace::redis
