// What happens in a queue, as Redis tells it: the stream that Node's QueueEvents reads.
#pragma once

#include "base/stop.hpp"
#include "bullmq/keys.hpp"
#include "redis/options.hpp"
#include "redis/reply.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::bullmq {

struct QueueEvent {
    std::string stream_id;                                    // "1732216800000-0"
    std::string name;                                         // added waiting active completed failed …
    std::vector<std::pair<std::string, std::string>> fields;  // without `event`

    std::string_view field(std::string_view key) const;  // "" when absent

    std::string_view job_id() const { return field("jobId"); }
};

QueueEvent read_event(const redis::ReplyPart& entry);  // one entry of XREAD or XRANGE

// Blocks in the calling thread on a connection of its own until `stop`; reconnects by itself (100 ms doubling to 5 s)
// and goes on after the last event it has seen. `from`: "$" = from now on, "0" = all that the stream still holds, or an
// id. An exception of `handler` ends the reading and passes through. `on_error` (may be empty) hears of connection
// losses.
void read_events(
    redis::Options options,
    const Keys& keys,
    std::string_view from,
    const StopToken& stop,
    const std::function<void(const QueueEvent&)>& handler,
    const std::function<void(const std::string&)>& on_error = {}
);

}  // namespace headrace::bullmq
