// The producer's and operator's side of a BullMQ queue: what Node's `Queue` does.
// Any thread; one call at a time (a mutex inside). Connects at the first call, and again at the next call after a loss.
//
// Errors: those of redis::Connection (transient: the call may or may not have happened; with a job_id, adding again is
// safe), queue.refused (permanent, the script's negative answer in words), config.invalid for bad options.
#pragma once

#include "base/stop.hpp"
#include "bullmq/job.hpp"
#include "bullmq/keys.hpp"
#include "redis/options.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::bullmq {

struct NewJob {
    std::string name;
    std::string data = "{}";  // JSON
    JobOptions options;
};

struct JobLogs {
    std::vector<std::string> rows;
    std::int64_t count = 0;  // in all
};

struct QueueMetrics {
    std::int64_t count = 0;
    std::int64_t previous_time = 0;
    std::int64_t previous_count = 0;
    std::vector<std::int64_t> points;  // per minute, newest first
};

class Queue {
public:
    // `stop` ends a call that waits for Redis (Error net.cancelled).
    Queue(redis::Options options, std::string_view name, std::string_view prefix = "bull", StopToken stop = {});
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    const Keys& keys() const;

    // Returns the job's id. An id that exists already, or a deduplicated add, returns the job that is there.
    std::string add(std::string_view name, std::string_view data_json, const JobOptions& options = {});
    // One pipeline, not atomic: a transient error may leave some added. Ids in order. add_stream.hpp is for jobs that
    // come one after the other, flow.hpp for trees of jobs.
    std::vector<std::string> add_bulk(std::span<const NewJob> jobs);

    // --- One job. bool results: false when there is no such job or it is not in the state that the call needs.
    std::optional<Job> job(std::string_view id);
    // completed failed delayed active waiting waiting-children prioritized unknown
    std::string state(std::string_view id);
    enum class Removed { removed, not_found, locked, owned_by_scheduler };
    Removed remove(std::string_view id, bool with_children = true);

    struct RetryOptions {
        bool reset_attempts_made = false;
        bool reset_attempts_started = false;
    };

    bool retry(std::string_view id, std::string_view from_state, RetryOptions options);  // "failed" or "completed"

    bool retry(std::string_view id, std::string_view from_state = "failed") {
        return retry(id, from_state, RetryOptions{});
    }

    bool promote(std::string_view id);
    bool change_delay(std::string_view id, Millis delay);
    bool change_priority(std::string_view id, std::int64_t priority, bool lifo = false);
    bool update_data(std::string_view id, std::string_view data_json);
    bool update_progress(std::string_view id, std::string_view json);
    std::int64_t
    add_log(std::string_view id, std::string_view row, std::int64_t keep = 0);  // rows now; -1: no such job
    JobLogs logs(std::string_view id, std::int64_t start = 0, std::int64_t end = -1, bool ascending = true);
    void clear_logs(std::string_view id, std::int64_t keep = 0);  // all but the newest `keep`
    // The deduplication key, if it still names this job; false when it does not.
    bool release_deduplication(std::string_view deduplication_id, std::string_view job_id);
    // The child no longer keeps its parent waiting; false when it was none of its unfinished children.
    bool remove_child_dependency(std::string_view child_id, std::string_view parent_key);
    void remove_unprocessed_children(std::string_view id);

    // --- The queue. States as in state(), plus "wait" and "paused"; counts() without names: all of them.
    std::map<std::string, std::int64_t> counts(std::span<const std::string_view> states = {});
    // Newest first unless `ascending`; `end` is inclusive, -1 = to the last.
    std::vector<Job>
    jobs(std::string_view state, std::int64_t start = 0, std::int64_t end = -1, bool ascending = false);
    QueueMetrics metrics(std::string_view type, std::int64_t start = 0, std::int64_t end = -1);  // completed, failed
    std::vector<std::string> workers();  // client names of the workers that wait at this queue

    void pause();
    void resume();
    bool is_paused();
    void drain(bool delayed_too = false);
    // Removes jobs older than `grace`; state: completed wait active paused prioritized delayed failed. limit 0: all.
    std::vector<std::string> clean(Millis grace, std::int64_t limit, std::string_view state = "completed");
    // Pauses, then removes everything. Throws queue.refused when jobs are active, unless `force`.
    void obliterate(bool force = false, std::int64_t batch = 1000);
    void retry_jobs(std::string_view from_state = "failed", std::int64_t batch = 1000);
    void promote_jobs(std::int64_t batch = 1000);
    std::int64_t trim_events(std::int64_t max_length);
    // An event of one's own in the queue's stream, which is then cut to about `max_length` entries; its stream id.
    std::string publish_event(
        std::string_view name,
        std::span<const std::pair<std::string, std::string>> fields,
        std::int64_t max_length = 1000
    );
    // Job hashes that are in no state (what evictions of old versions left): how many were removed. limit 0: all.
    std::int64_t remove_orphans(std::int64_t scan_count = 1000, std::int64_t limit = 0);

    void set_global_concurrency(std::int64_t count);
    void remove_global_concurrency();
    void set_global_rate_limit(std::int64_t max, Millis duration);
    void remove_global_rate_limit();
    void rate_limit(Millis duration);  // nobody fetches until then
    void remove_rate_limit();
    std::optional<std::string> deduplication_job(std::string_view deduplication_id);
    bool remove_deduplication(std::string_view deduplication_id);

private:
    friend class AddStream;
    friend class Getters;
    friend class JobSchedulers;
    struct State;
    std::unique_ptr<State> state_;
};

// Written to the queue's meta, as Node's Queue objects do. The scripts are those of this version.
inline constexpr std::string_view bullmq_version = "6.7.0";

}  // namespace headrace::bullmq
