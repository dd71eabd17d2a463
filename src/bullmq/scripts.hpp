// BullMQ's Lua scripts as typed calls: the only place that knows the order of their keys and arguments.
// A Call is finished RESP, so that it can be pipelined and, after a lost connection, sent again unchanged.
// A Calls object belongs to one thread. Building throws Error{bug} when a script of the embedded package has another
// number of keys than this encoder was written for.
#pragma once

#include "bullmq/job.hpp"
#include "bullmq/keys.hpp"
#include "redis/reply.hpp"
#include "redis/script.hpp"

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::bullmq {

struct FlowNode;

struct Call {
    const redis::Script* script = nullptr;
    std::string resp;
};

// The negative answers of the scripts.
enum class Code : int {
    job_missing = -1,
    lock_missing = -2,
    not_in_state = -3,
    pending_children = -4,
    parent_missing = -5,
    lock_of_another = -6,
    parent_cannot_be_replaced = -7,
    owned_by_scheduler = -8,
    failed_children = -9,
    scheduler_run_exists = -10,
    scheduler_slots_busy = -11,
};
std::string_view sentence(Code code);
std::optional<Code> code_of(const redis::ReplyPart& reply);  // set when the reply is a negative integer
// Throws Error{permanent, "queue.refused"} for a negative answer, and error replies as they are.
void check_accepted(const redis::ReplyPart& reply, std::string_view what);
redis::Reply accepted(redis::Reply reply, std::string_view what);  // `reply`, when it is

// What moveToActive, and a finish that fetches, answer. A view of the reply.
struct Fetched {
    const redis::ReplyPart* job = nullptr;  // its hash (read_job); none: nothing was fetched
    std::string id;
    Millis rate_limited{0};         // nobody may fetch for so long
    std::int64_t next_delayed = 0;  // ms of the next delayed job; 0: none
};

Fetched fetched(const redis::Reply& reply [[clang::lifetimebound]]);  // 0, or [hash|0, id|0, limit, next]

// What a fetch needs besides the job, the same for all jobs of a worker.
struct FetchSettings {
    Millis lock_duration{30'000};
    std::string worker_name;
    std::optional<std::pair<std::int64_t, Millis>> limiter;  // max, duration
    int metrics_points = 0;

    bool operator==(const FetchSettings&) const = default;
};

using Fields = std::vector<std::pair<std::string, std::string>>;

class Calls {
public:
    explicit Calls(Keys keys) : keys_(std::move(keys)) {}

    const Keys& keys() const { return keys_; }

    // --- adding
    Call add_job(std::string_view name, std::string_view data, const JobOptions& options, std::int64_t now);
    // A node of a flow; its parent is released by release_parent() at the end of the same transaction.
    Call add_node(const FlowNode& node, std::string_view id, const JobOptions& options, std::int64_t now);
    Call release_parent(const ParentRef& parent, std::int64_t now);

    // --- a worker's cycle
    Call move_to_active(const FetchSettings& settings, std::string_view token, std::int64_t now);

    struct Finish {
        bool failed = false;
        std::string_view value;  // JSON, or the reason as raw text
        KeepJobs keep;
        const Fields* fields = nullptr;  // stacktrace…
        bool fetch_next = true;
    };

    Call move_to_finished(
        const FetchSettings& settings,
        const Job& job,
        std::string_view token,
        const Finish& finish,
        std::int64_t now
    );
    Call move_to_delayed(
        const FetchSettings& settings,
        const Job& job,
        std::string_view token,
        Millis delay,
        bool skip_attempt,
        const Fields& fields,
        bool fetch_next,
        std::int64_t now
    );
    Call move_to_waiting_children(std::string_view id, std::string_view token, std::int64_t now);
    Call retry_job(const Job& job, std::string_view token, const Fields& fields, std::int64_t now);
    Call move_to_wait(std::string_view id, std::string_view token);
    Call limit(Millis duration);  // a SET: nobody fetches for so long
    Call extend_locks(std::span<const std::string> tokens, std::span<const std::string> ids, Millis duration);
    Call move_stalled(unsigned max_stalled, Millis interval, std::int64_t now);
    Call update_progress(std::string_view id, std::string_view json);
    Call add_log(std::string_view id, std::string_view row, std::int64_t keep);
    Call get_state(std::string_view id);
    void over(Call&& call);  // answered: its memory serves the next finish

    // --- administration
    // Any other script: keys, then arguments, as they are.
    Call
    plain(std::string_view name, std::initializer_list<std::string_view> keys, std::span<const std::string_view> args);
    Call update_data(std::string_view id, std::string_view json);
    Call promote(std::string_view id);
    Call reprocess(std::string_view id, bool lifo, std::string_view state, bool reset_made, bool reset_started);
    Call remove(std::string_view id, bool with_children);
    Call change_delay(std::string_view id, Millis delay, std::int64_t now);
    Call change_priority(std::string_view id, std::int64_t priority, bool lifo);
    Call pause(bool pause, bool emit_event);
    Call drain(bool delayed_too);
    Call clean(std::string_view state, std::int64_t before, std::int64_t limit);
    Call obliterate(std::int64_t count, bool force);
    Call move_jobs_to_wait(std::string_view state, std::int64_t count, std::string_view max_timestamp);
    Call get_counts(std::span<const std::string_view> states);
    Call get_jobs(std::string_view state, std::int64_t start, std::int64_t end, bool ascending);
    Call get_metrics(std::string_view type, std::int64_t start, std::int64_t end);

    // --- schedulers; packed arguments come from scheduler.cpp
    Call add_scheduler(
        std::string_view id,
        std::optional<std::int64_t> next,
        std::string_view packed_scheduler,
        std::string_view data,
        std::string_view packed_template,
        std::string_view packed_run,
        std::int64_t now
    );
    Call update_scheduler(
        std::string_view id,
        std::optional<std::int64_t> next,
        std::string_view data,
        std::string_view packed_run,
        std::string_view producer_id,
        std::int64_t now
    );
    Call remove_scheduler(std::string_view id);
    Call get_scheduler(std::string_view id);

private:
    class Builder;
    Call add(std::string_view packed, std::string_view data, const JobOptions& options, bool has_children);

    // The beginning of a call that is the same each time: script and first keys.
    struct Head {
        const redis::Script* script = nullptr;
        std::string resp;
        std::size_t left = 0;  // arguments that are missing
    };

    // What the options of a finish say behind its token: the same for most jobs of a queue.
    struct Ending {
        FetchSettings settings;
        KeepJobs keep;
        int attempts = 0;
        bool fail_parent = false;
        bool continue_parent = false;
        bool ignore_dependency = false;
        bool remove_dependency = false;

        bool operator==(const Ending&) const = default;
    };

    struct PackedEnding {
        Ending of;
        std::string members;  // of a MessagePack map; empty: none was packed yet
        std::size_t count = 0;
    };

    const PackedEnding& packed(Ending&& ending);

    // Arguments as bytes.
    struct Encoded {
        std::string resp;
        std::size_t count = 0;

        Encoded& arg(std::string_view value);
    };

    // What all finishes of one kind have in common.
    struct FinishForm {
        Head head;          // up to the job's key
        Encoded keys;       // behind it
        Encoded field;      // before the value
        Encoded behind[2];  // the value; [1]: fetches the next
    };

    const FinishForm& finish_form(bool failed);
    const redis::Script& script(std::string_view name, std::size_t keys);
    Keys keys_;
    FinishForm finish_forms_[2];
    PackedEnding last_ending_;
    std::vector<std::string> spare_;
    std::map<std::string, std::unique_ptr<redis::Script>, std::less<>> scripts_;
};

}  // namespace headrace::bullmq
