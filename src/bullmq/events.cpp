#include "bullmq/events.hpp"

#include "base/error.hpp"
#include "bullmq/backoff.hpp"
#include "net/wait.hpp"
#include "redis/connection.hpp"

namespace headrace::bullmq {
namespace {

constexpr auto block_time = std::chrono::milliseconds(10'000);
constexpr auto block_grace = std::chrono::milliseconds(2'000);

// "$" names a place that moves with every reconnect: pin it to the newest id there is now.
std::string pinned(redis::Connection& connection, const Keys& keys, std::string from) {
    if (from != "$") {
        return from;
    }
    auto last = connection.command({"XREVRANGE", keys.events, "+", "-", "COUNT", "1"});
    return last.elements().empty() ? "0-0" : last.at(0).at(0).text();
}

}  // namespace

QueueEvent read_event(const redis::ReplyPart& entry) {
    QueueEvent out;
    out.stream_id = entry.at(0).str();
    const auto fields = entry.at(1).elements();
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        if (fields[i].str() == "event") {
            out.name = fields[i + 1].str();
        } else {
            out.fields.emplace_back(fields[i].str(), fields[i + 1].str());
        }
    }
    return out;
}

std::string_view QueueEvent::field(std::string_view key) const {
    for (const auto& [name_of_field, value] : fields) {
        if (name_of_field == key) {
            return value;
        }
    }
    return {};
}

void read_events(
    redis::Options options,
    const Keys& keys,
    std::string_view from,
    const StopToken& stop,
    const std::function<void(const QueueEvent&)>& handler,
    const std::function<void(const std::string&)>& on_error
) {
    options = located(std::move(options), keys);
    options.client_name = keys.client_name() + ":qe";
    std::string last(from);
    Reconnect reconnect;
    while (!stop.stop_requested()) {
        if (net::wait_readable(-1, Deadline::at(reconnect.next()), stop) == net::Ready::stopped) {
            return;
        }
        std::vector<QueueEvent> batch;
        try {
            auto connection = redis::Connection::connect(options, stop);
            last = pinned(connection, keys, std::move(last));
            for (;;) {
                connection.append({"XREAD", "BLOCK", std::to_string(block_time.count()), "STREAMS", keys.events, last});
                auto reply = redis::checked(connection.read_reply(Deadline::in(block_time + block_grace)));
                reconnect.succeeded();
                if (reply.is_nil()) {
                    continue;
                }
                for (const auto& entry : reply.at(0).at(1).elements()) {
                    batch.push_back(read_event(entry));
                }
                last = batch.back().stream_id;
                for (const auto& event : batch) {
                    handler(event);
                }
                batch.clear();
            }
        } catch (const Error& error) {
            if (!batch.empty()) {
                throw;  // the handler's own
            }
            if (on_error && !stop.stop_requested()) {
                on_error(error.what());
            }
            reconnect.failed(Reconnect::Clock::now());
        }
    }
}

}  // namespace headrace::bullmq
