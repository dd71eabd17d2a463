// Adds jobs without waiting for each answer: at most `in_flight` are unanswered, and some of them may not have been
// sent before the next add() or finish(). One thread, one connection of its own; the Queue must outlive it. Errors as
// for Queue::add, out of add() or finish(); after one nothing more can be added, and what was unanswered may or may not
// be there (with a job_id, adding again is safe).
#pragma once

#include "bullmq/queue.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace headrace::bullmq {

class AddStream {
public:
    // Called from add() and finish(), in order: how many came before this one, and its id.
    using Added = std::function<void(std::uint64_t index, std::string id)>;

    explicit AddStream(Queue& queue, std::size_t in_flight = 100, Added added = {});
    ~AddStream();  // waits for nothing
    AddStream(const AddStream&) = delete;
    AddStream& operator=(const AddStream&) = delete;

    void add(std::string_view name, std::string_view data_json, const JobOptions& options = {});
    void finish();  // waits for all answers

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace headrace::bullmq
