#include "bullmq/add_stream.hpp"

#include "base/error.hpp"
#include "bullmq/queue_state.hpp"

#include <algorithm>
#include <deque>

namespace headrace::bullmq {

struct AddStream::State {
    Queue::State* queue;
    std::size_t in_flight;
    Added added;
    Calls calls;
    redis::Connection connection;
    std::deque<Call> sent;
    std::uint64_t answered = 0;

    State(Queue::State& q, std::size_t window, Added on_added)
        : queue(&q),
          in_flight(std::max<std::size_t>(window, 1)),
          added(std::move(on_added)),
          calls(q.calls.keys()),
          connection(redis::Connection::connect(q.options, q.stop)) {}

    void take(redis::Reply reply) {
        const auto call = std::move(sent.front());
        sent.pop_front();
        if (redis::is_no_script(reply)) {
            // Its turn among the others is gone anyway; the connection of the queue tells Redis the script.
            std::lock_guard guard(queue->mutex);
            reply = queue->run(call);
        }
        reply = accepted(std::move(reply), "add");
        const auto index = answered++;
        if (added) {
            added(index, reply.is_integer() ? std::to_string(reply.integer()) : reply.text());
        }
    }
};

AddStream::AddStream(Queue& queue, std::size_t in_flight, Added added) {
    {
        std::lock_guard guard(queue.state_->mutex);
        queue.state_->connected();  // writes what a queue's meta must hold
    }
    state_ = std::make_unique<State>(*queue.state_, in_flight, std::move(added));
}

AddStream::~AddStream() = default;

void AddStream::add(std::string_view name, std::string_view data_json, const JobOptions& options) {
    check_options(options, data_json);
    auto& s = *state_;
    if (s.sent.size() >= s.in_flight) {
        // Answers come in lots: one call takes the place of each, and they leave together when no answer is left.
        auto reply = s.connection.try_read_reply();
        s.take(reply ? std::move(*reply) : s.connection.read_reply());
    }
    s.sent.push_back(s.calls.add_job(name, data_json, options, now_ms()));
    s.connection.append_encoded(s.sent.back().resp);
    if (s.sent.size() == s.in_flight / 2) {
        s.connection.flush();
    }
}

void AddStream::finish() {
    while (!state_->sent.empty()) {
        state_->take(state_->connection.read_reply());
    }
}

}  // namespace headrace::bullmq
