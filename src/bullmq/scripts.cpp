#include "bullmq/scripts.hpp"

#include "base/embedded.hpp"
#include "base/error.hpp"

#include <algorithm>

namespace headrace::bullmq {

namespace scripts {
std::span<const EmbeddedFile> all();  // made by the build from npm bullmq
}

std::string_view sentence(Code code) {
    switch (code) {
        case Code::job_missing:
            return "the job does not exist";
        case Code::lock_missing:
            return "the job's lock is gone";
        case Code::not_in_state:
            return "the job is not in the state that this needs";
        case Code::pending_children:
            return "the job has unfinished children";
        case Code::parent_missing:
            return "the parent job does not exist";
        case Code::lock_of_another:
            return "the job is locked by another worker";
        case Code::parent_cannot_be_replaced:
            return "the job belongs to another parent that is alive";
        case Code::owned_by_scheduler:
            return "the job is the next run of a job scheduler; remove the scheduler instead";
        case Code::failed_children:
            return "the job has at least one failed child";
        case Code::scheduler_run_exists:
            return "the scheduler's next run exists already";
        case Code::scheduler_slots_busy:
            return "the scheduler's current and next slots have jobs already";
    }
    return "unknown answer of a queue script";
}

std::optional<Code> code_of(const redis::ReplyPart& reply) {
    if (!reply.is_integer() || reply.integer() >= 0) {
        return std::nullopt;
    }
    return static_cast<Code>(reply.integer());
}

void check_accepted(const redis::ReplyPart& reply, std::string_view what) {
    redis::check(reply);
    if (auto code = code_of(reply)) {
        throw Error(ErrorKind::permanent, "queue.refused", std::string(what) + ": " + std::string(sentence(*code)));
    }
}

redis::Reply accepted(redis::Reply reply, std::string_view what) {
    check_accepted(reply, what);
    return reply;
}

Fetched fetched(const redis::Reply& reply) {
    Fetched out;
    if (!reply.is_array()) {
        return out;
    }
    const auto parts = reply.elements();
    if (parts.size() < 4) {
        throw Error(
            ErrorKind::permanent, "queue.bad_reply", "a fetch answered " + std::to_string(parts.size()) + " parts"
        );
    }
    if (parts[0].is_array()) {
        out.id = parts[1].is_integer() ? std::to_string(parts[1].integer()) : parts[1].text();
        out.job = &parts[0];
    }
    out.rate_limited = Millis(std::max<std::int64_t>(0, parts[2].is_nil() ? 0 : parts[2].integer()));
    out.next_delayed = parts[3].is_nil() ? 0 : std::max<std::int64_t>(0, parts[3].integer());
    return out;
}

const redis::Script& Calls::script(std::string_view name, std::size_t keys) {
    if (auto it = scripts_.find(name); it != scripts_.end()) {
        return *it->second;
    }
    const auto file_name = std::string(name) + "-" + std::to_string(keys);
    for (const auto& file : scripts::all()) {
        if (file.name == file_name) {
            auto made = std::make_unique<redis::Script>(name, keys, file.content);
            return *scripts_.emplace(std::string(name), std::move(made)).first->second;
        }
    }
    throw Error(ErrorKind::bug, "internal.bug", "the embedded BullMQ package has no script " + file_name);
}

}  // namespace headrace::bullmq
