// The calls of a worker's cycle, and add.
#include "bullmq/call_builder.hpp"
#include "bullmq/flow.hpp"
#include "bullmq/msgpack.hpp"

#include <algorithm>

namespace headrace::bullmq {
namespace {

std::string pack_fields(const Fields& fields) {
    if (fields.empty()) {
        return {};
    }
    Packer out;
    out.array(fields.size() * 2);
    for (const auto& [key, value] : fields) {
        out.string(key);
        out.string(value);
    }
    return out.take();
}

void add_settings(MapPacker& out, const FetchSettings& settings) {
    out.add("lockDuration", settings.lock_duration.count());
    if (settings.limiter) {
        MapPacker limiter;
        limiter.add("max", settings.limiter->first);
        limiter.add("duration", settings.limiter->second.count());
        out.add_packed("limiter", limiter.take());
    }
    if (!settings.worker_name.empty()) {
        out.add("name", settings.worker_name);
    }
}

std::string pack_fetch(const FetchSettings& settings, std::string_view token) {
    MapPacker out;
    out.add("token", token);
    add_settings(out, settings);
    return out.take();
}

std::string pack_keep(const KeepJobs& keep) {
    MapPacker out;
    if (keep.count) {
        out.add("count", *keep.count);
    }
    if (keep.age) {
        out.add("age", *keep.age);
    }
    if (keep.limit) {
        out.add("limit", *keep.limit);
    }
    return out.take();
}

// The arguments array of the add scripts: absent ones are nil.
std::string pack_add(
    const Keys& keys,
    std::string_view name,
    std::string_view id,
    const JobOptions& options,
    bool in_flow,
    std::int64_t now
) {
    Packer out;
    auto text_or_nil = [&](const std::string& text) { text.empty() ? out.nil() : out.string(text); };
    const std::string parent_key = options.parent ? options.parent->queue + ":" + options.parent->id : std::string();
    out.array(10);
    out.string(keys.base);
    out.string(id);
    out.string(name);
    out.integer(options.timestamp != 0 ? options.timestamp : now);
    text_or_nil(parent_key);
    text_or_nil(parent_key.empty() ? std::string() : parent_key + ":dependencies");
    if (options.parent) {
        MapPacker parent;
        parent.add("id", options.parent->id);
        parent.add("queueKey", options.parent->queue);
        // A finishing child reads these from its parent field, not from its options.
        auto flag = [&](std::string_view key, bool value) {
            if (value) {
                parent.add(key, true);
            }
        };
        flag("fpof", options.fail_parent_on_failure);
        flag("rdof", options.remove_dependency_on_failure);
        flag("idof", options.ignore_dependency_on_failure);
        flag("cpof", options.continue_parent_on_failure);
        out.raw(parent.take());
    } else {
        out.nil();
    }
    out.nil();  // repeat job key: only the scheduler scripts make such jobs
    text_or_nil(options.deduplication ? keys.deduplication(options.deduplication->id) : std::string());
    in_flow ? out.integer(1) : out.nil();  // the parent is released later
    return out.take();
}

}  // namespace

Call Calls::add_job(std::string_view name, std::string_view data, const JobOptions& options, std::int64_t now) {
    return add(pack_add(keys_, name, options.job_id, options, false, now), data, options, false);
}

Call Calls::add_node(const FlowNode& node, std::string_view id, const JobOptions& options, std::int64_t now) {
    return add(pack_add(keys_, node.name, id, options, true, now), node.data, options, !node.children.empty());
}

Call Calls::release_parent(const ParentRef& parent, std::int64_t now) {
    const auto key = parent.queue + ":" + parent.id;
    Builder call(script("releaseParentIfNoPendingDependencies", 2), 3);
    return call.arg(key).arg(key + ":dependencies").arg(parent.queue).arg(parent.id).arg(now).finish();
}

Call Calls::add(std::string_view packed, std::string_view data, const JobOptions& options, bool has_children) {
    const auto& k = keys_;
    const auto packed_options = pack_options(options);
    auto finish = [&](Builder&& builder) { return builder.arg(packed).arg(data).arg(packed_options).finish(); };
    if (has_children) {
        Builder call(script("addParentJob", 6), 3);
        call.keys({k.meta, k.id_counter, k.delayed, k.waiting_children, k.completed, k.events});
        return finish(std::move(call));
    }
    if (options.delay.count() > 0) {
        Builder call(script("addDelayedJob", 6), 3);
        call.keys({k.marker, k.meta, k.id_counter, k.delayed, k.completed, k.events});
        return finish(std::move(call));
    }
    if (options.priority > 0) {
        Builder call(script("addPrioritizedJob", 9), 3);
        call.keys({k.marker, k.meta, k.id_counter, k.prioritized, k.delayed, k.completed, k.active, k.events, k.pc});
        return finish(std::move(call));
    }
    Builder call(script("addStandardJob", 9), 3);
    call.keys({k.wait, k.paused, k.meta, k.id_counter, k.completed, k.delayed, k.active, k.events, k.marker});
    return finish(std::move(call));
}

Call Calls::move_to_active(const FetchSettings& settings, std::string_view token, std::int64_t now) {
    const auto& k = keys_;
    Builder call(script("moveToActive", 11), 3);
    call.keys(
        {k.wait, k.active, k.prioritized, k.events, k.stalled, k.limiter, k.delayed, k.paused, k.meta, k.pc, k.marker}
    );
    return call.arg(k.base).arg(now).arg(pack_fetch(settings, token)).finish();
}

Calls::Encoded& Calls::Encoded::arg(std::string_view value) {
    redis::append_argument(resp, value);
    ++count;
    return *this;
}

const Calls::FinishForm& Calls::finish_form(bool failed) {
    auto& form = finish_forms_[failed ? 1 : 0];
    if (form.head.script == nullptr) {
        const auto& k = keys_;
        Builder call(script("moveToFinished", 14), 9);
        call.keys(
            {k.wait,
             k.active,
             k.prioritized,
             k.events,
             k.stalled,
             k.limiter,
             k.delayed,
             k.paused,
             k.meta,
             k.pc,
             failed ? k.failed : k.completed}
        );
        form.keys.arg(k.key(failed ? "metrics:failed" : "metrics:completed")).arg(k.marker);
        form.field.arg(failed ? "failedReason" : "returnvalue");
        for (const bool fetch : {false, true}) {
            form.behind[fetch ? 1 : 0].arg(failed ? "failed" : "completed").arg(fetch ? "1" : "0").arg(k.base);
        }
        form.head = std::move(call).head();
    }
    return form;
}

const Calls::PackedEnding& Calls::packed(Ending&& ending) {
    auto& last = last_ending_;
    if (last.members.empty() || last.of != ending) {
        MapPacker members;
        add_settings(members, ending.settings);
        members.add_packed("keepJobs", pack_keep(ending.keep));
        members.add("attempts", std::int64_t{ending.attempts});
        if (ending.settings.metrics_points > 0) {
            members.add("maxMetricsSize", std::int64_t{ending.settings.metrics_points});
        } else {
            members.add("maxMetricsSize", "");
        }
        members.add("fpof", ending.fail_parent);
        members.add("cpof", ending.continue_parent);
        members.add("idof", ending.ignore_dependency);
        members.add("rdof", ending.remove_dependency);
        last = {std::move(ending), members.members(), members.size()};
    }
    return last;
}

Call Calls::move_to_finished(
    const FetchSettings& settings,
    const Job& job,
    std::string_view token,
    const Finish& finish,
    std::int64_t now
) {
    const auto& ending = packed(
        {settings,
         finish.keep,
         job.options.attempts,
         job.options.fail_parent_on_failure,
         job.options.continue_parent_on_failure,
         job.options.ignore_dependency_on_failure,
         job.options.remove_dependency_on_failure}
    );
    Packer head;
    head.map(1 + ending.count);
    head.string("token");
    head.string_head(token.size());
    std::string room;
    if (!spare_.empty()) {
        room = std::move(spare_.back());
        spare_.pop_back();
    }
    const auto& form = finish_form(finish.failed);
    Builder call(form.head, std::move(room));
    call.joined({keys_.base, job.id})
        .encoded(form.keys)
        .arg(job.id)
        .arg(now)
        .encoded(form.field)
        .arg(finish.value)
        .encoded(form.behind[finish.fetch_next ? 1 : 0])
        .joined({head.bytes(), token, ending.members});
    return call.arg(finish.fields != nullptr ? pack_fields(*finish.fields) : std::string()).finish();
}

Call Calls::move_to_delayed(
    const FetchSettings& settings,
    const Job& job,
    std::string_view token,
    Millis delay,
    bool skip_attempt,
    const Fields& fields,
    bool fetch_next,
    std::int64_t now
) {
    const auto& k = keys_;
    Builder call(script("moveToDelayed", 11), 9);
    call.keys(
        {k.marker,
         k.active,
         k.prioritized,
         k.delayed,
         k.job(job.id),
         k.events,
         k.meta,
         k.stalled,
         k.wait,
         k.limiter,
         k.pc}
    );
    return call.arg(k.base)
        .arg(now)
        .arg(job.id)
        .arg(token)
        .arg(delay)
        .flag(skip_attempt)
        .arg(pack_fields(fields))
        .flag(fetch_next)
        .arg(fetch_next ? pack_fetch(settings, token) : std::string())
        .finish();
}

Call Calls::retry_job(const Job& job, std::string_view token, const Fields& fields, std::int64_t now) {
    const auto& k = keys_;
    Builder call(script("retryJob", 11), 6);
    call.keys(
        {k.active,
         k.wait,
         k.paused,
         k.job(job.id),
         k.meta,
         k.events,
         k.delayed,
         k.prioritized,
         k.pc,
         k.marker,
         k.stalled}
    );
    return call.arg(k.base)
        .arg(now)
        .arg(job.options.lifo ? "RPUSH" : "LPUSH")
        .arg(job.id)
        .arg(token)
        .arg(pack_fields(fields))
        .finish();
}

Call Calls::move_to_waiting_children(std::string_view id, std::string_view token, std::int64_t now) {
    const auto& k = keys_;
    const auto job = k.job(id);
    Builder call(script("moveToWaitingChildren", 7), 5);
    call.keys({k.active, k.waiting_children, job, job + ":dependencies", job + ":unsuccessful", k.stalled, k.events});
    return call.arg(token).arg("").arg(now).arg(id).arg(k.base).finish();
}

Call Calls::move_to_wait(std::string_view id, std::string_view token) {
    const auto& k = keys_;
    Builder call(script("moveJobFromActiveToWait", 9), 3);
    call.keys({k.active, k.wait, k.stalled, k.paused, k.meta, k.limiter, k.prioritized, k.marker, k.events});
    return call.arg(id).arg(token).arg(k.job(id)).finish();
}

Call Calls::limit(Millis duration) {
    const auto span = std::to_string(duration.count());
    const std::string_view args[] = {"SET", keys_.limiter, "9007199254740991", "PX", span};
    Call call;
    redis::append_command(call.resp, args);
    return call;
}

Call Calls::extend_locks(std::span<const std::string> tokens, std::span<const std::string> ids, Millis duration) {
    auto pack_strings = [](std::span<const std::string> texts) {
        Packer out;
        out.array(texts.size());
        for (const auto& text : texts) {
            out.string(text);
        }
        return out.take();
    };
    Builder call(script("extendLocks", 1), 4);
    return call.arg(keys_.stalled)
        .arg(keys_.base)
        .arg(pack_strings(tokens))
        .arg(pack_strings(ids))
        .arg(duration)
        .finish();
}

Call Calls::move_stalled(unsigned max_stalled, Millis interval, std::int64_t now) {
    const auto& k = keys_;
    Builder call(script("moveStalledJobsToWait", 9), 4);
    call.keys({k.stalled, k.wait, k.active, k.stalled_check, k.meta, k.paused, k.marker, k.events, k.repeat});
    return call.arg(std::int64_t{max_stalled}).arg(k.base).arg(now).arg(interval).finish();
}

Call Calls::update_progress(std::string_view id, std::string_view json) {
    Builder call(script("updateProgress", 3), 2);
    return call.arg(keys_.job(id)).arg(keys_.events).arg(keys_.meta).arg(id).arg(json).finish();
}

Call Calls::add_log(std::string_view id, std::string_view row, std::int64_t keep) {
    Builder call(script("addLog", 2), 3);
    call.arg(keys_.job(id)).arg(keys_.logs(id)).arg(id).arg(row);
    return call.arg(keep > 0 ? std::to_string(keep) : std::string()).finish();
}

Call Calls::get_state(std::string_view id) {
    const auto& k = keys_;
    Builder call(script("getStateV2", 8), 1);
    call.keys({k.completed, k.failed, k.delayed, k.active, k.wait, k.paused, k.waiting_children, k.prioritized});
    return call.arg(id).finish();
}

void Calls::over(Call&& call) {
    constexpr std::size_t most = 128;
    constexpr std::size_t largest = 4096;
    if (spare_.size() < most && call.resp.capacity() <= largest) {
        spare_.push_back(std::move(call.resp));
    }
}

}  // namespace headrace::bullmq
