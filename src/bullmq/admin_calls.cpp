// The calls of Queue (other than add) and of job schedulers.
#include "bullmq/call_builder.hpp"

namespace headrace::bullmq {

Call Calls::plain(
    std::string_view name,
    std::initializer_list<std::string_view> keys,
    std::span<const std::string_view> args
) {
    Builder call(script(name, keys.size()), args.size());
    call.keys(keys);
    for (auto arg : args) {
        call.arg(arg);
    }
    return call.finish();
}

Call Calls::update_data(std::string_view id, std::string_view json) {
    return Builder(script("updateData", 1), 1).arg(keys_.job(id)).arg(json).finish();
}

Call Calls::promote(std::string_view id) {
    const auto& k = keys_;
    Builder call(script("promote", 9), 2);
    call.keys({k.delayed, k.wait, k.paused, k.meta, k.prioritized, k.active, k.pc, k.events, k.marker});
    return call.arg(k.base).arg(id).finish();
}

Call Calls::reprocess(std::string_view id, bool lifo, std::string_view state, bool reset_made, bool reset_started) {
    const auto& k = keys_;
    Builder call(script("reprocessJob", 9), 6);
    call.keys({k.job(id), k.events, k.key(state), k.wait, k.meta, k.active, k.marker, k.prioritized, k.pc});
    return call.arg(id)
        .arg(lifo ? "RPUSH" : "LPUSH")
        .arg(state == "failed" ? "failedReason" : "returnvalue")
        .arg(state)
        .flag(reset_made)
        .flag(reset_started)
        .finish();
}

Call Calls::remove(std::string_view id, bool with_children) {
    Builder call(script("removeJob", 2), 3);
    return call.arg(keys_.job(id)).arg(keys_.repeat).arg(id).flag(with_children).arg(keys_.base).finish();
}

Call Calls::change_delay(std::string_view id, Millis delay, std::int64_t now) {
    const auto& k = keys_;
    Builder call(script("changeDelay", 4), 4);
    return call.keys({k.delayed, k.meta, k.marker, k.events}).arg(delay).arg(now).arg(id).arg(k.job(id)).finish();
}

Call Calls::change_priority(std::string_view id, std::int64_t priority, bool lifo) {
    const auto& k = keys_;
    Builder call(script("changePriority", 7), 4);
    call.keys({k.wait, k.paused, k.meta, k.prioritized, k.active, k.pc, k.marker});
    return call.arg(priority).arg(k.base).arg(id).flag(lifo).finish();
}

Call Calls::pause(bool pause, bool emit_event) {
    const auto& k = keys_;
    Builder call(script("pause", 7), 2);
    call.keys(
        {pause ? k.wait : k.paused, pause ? k.paused : k.wait, k.meta, k.prioritized, k.events, k.delayed, k.marker}
    );
    return call.arg(pause ? "paused" : "resumed").flag(emit_event).finish();
}

Call Calls::drain(bool delayed_too) {
    const auto& k = keys_;
    Builder call(script("drain", 5), 2);
    return call.keys({k.wait, k.paused, k.delayed, k.prioritized, k.repeat}).arg(k.base).flag(delayed_too).finish();
}

Call Calls::clean(std::string_view state, std::int64_t before, std::int64_t limit) {
    const auto& k = keys_;
    Builder call(script("cleanJobsInSet", 3), 4);
    return call.keys({k.key(state), k.events, k.repeat}).arg(k.base).arg(before).arg(limit).arg(state).finish();
}

Call Calls::obliterate(std::int64_t count, bool force) {
    Builder call(script("obliterate", 2), 2);
    return call.arg(keys_.meta).arg(keys_.base).arg(count).arg(force ? "force" : "").finish();
}

Call Calls::move_jobs_to_wait(std::string_view state, std::int64_t count, std::string_view max_timestamp) {
    const auto& k = keys_;
    Builder call(script("moveJobsToWait", 8), 3);
    call.keys({k.base, k.events, k.key(state), k.wait, k.paused, k.meta, k.active, k.marker});
    return call.arg(count).arg(max_timestamp).arg(state).finish();
}

Call Calls::get_counts(std::span<const std::string_view> states) {
    Builder call(script("getCounts", 1), states.size());
    call.arg(keys_.base);
    for (auto state : states) {
        call.arg(state);
    }
    return call.finish();
}

Call Calls::get_jobs(std::string_view state, std::int64_t start, std::int64_t end, bool ascending) {
    constexpr std::int64_t backfill_rounds = 5;
    Builder call(script("getJobs", 1), 5);
    return call.arg(keys_.base).arg(start).arg(end).flag(ascending).arg(backfill_rounds).arg(state).finish();
}

Call Calls::get_metrics(std::string_view type, std::int64_t start, std::int64_t end) {
    const auto key = keys_.key("metrics:" + std::string(type));
    return Builder(script("getMetrics", 2), 2).arg(key).arg(key + ":data").arg(start).arg(end).finish();
}

Call Calls::add_scheduler(
    std::string_view id,
    std::optional<std::int64_t> next,
    std::string_view packed_scheduler,
    std::string_view data,
    std::string_view packed_template,
    std::string_view packed_run,
    std::int64_t now
) {
    const auto& k = keys_;
    Builder call(script("addJobScheduler", 11), 9);
    call.keys(
        {k.repeat, k.delayed, k.wait, k.paused, k.meta, k.prioritized, k.marker, k.id_counter, k.events, k.pc, k.active}
    );
    return call.arg(next ? std::to_string(*next) : std::string())
        .arg(packed_scheduler)
        .arg(id)
        .arg(data)
        .arg(packed_template)
        .arg(packed_run)
        .arg(now)
        .arg(k.base)
        .arg("")
        .finish();
}

Call Calls::update_scheduler(
    std::string_view id,
    std::optional<std::int64_t> next,
    std::string_view data,
    std::string_view packed_run,
    std::string_view producer_id,
    std::int64_t now
) {
    const auto& k = keys_;
    Builder call(script("updateJobScheduler", 12), 7);
    call.keys(
        {k.repeat,
         k.delayed,
         k.wait,
         k.paused,
         k.meta,
         k.prioritized,
         k.marker,
         k.id_counter,
         k.events,
         k.pc,
         k.job(producer_id),
         k.active}
    );
    return call.arg(next ? std::to_string(*next) : std::string())
        .arg(id)
        .arg(data)
        .arg(packed_run)
        .arg(now)
        .arg(k.base)
        .arg(producer_id)
        .finish();
}

Call Calls::remove_scheduler(std::string_view id) {
    const auto& k = keys_;
    return Builder(script("removeJobScheduler", 3), 2)
        .keys({k.repeat, k.delayed, k.events})
        .arg(id)
        .arg(k.base)
        .finish();
}

Call Calls::get_scheduler(std::string_view id) {
    return Builder(script("getJobScheduler", 1), 1).arg(keys_.repeat).arg(id).finish();
}

}  // namespace headrace::bullmq
