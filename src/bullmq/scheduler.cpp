#include "bullmq/scheduler.hpp"

#include "bullmq/invalid.hpp"
#include "bullmq/msgpack.hpp"
#include "bullmq/options.hpp"
#include "bullmq/queue_state.hpp"

#include <boost/json.hpp>

namespace headrace::bullmq {
namespace {

using Guard = std::lock_guard<std::mutex>;

void check(const RepeatOptions& repeat, std::int64_t now) {
    if ((repeat.every.count() > 0) == !repeat.pattern.empty()) {
        throw invalid("a job scheduler needs either `every` or `pattern`");
    }
    if (repeat.immediately && repeat.start_date) {
        throw invalid("a job scheduler cannot start at a date and immediately");
    }
    if (repeat.end_date && *repeat.end_date < now) {
        throw invalid("the end date of a job scheduler must lie ahead");
    }
}

std::string pack_scheduler(const RepeatOptions& repeat, std::string_view name) {
    MapPacker out;
    out.add("name", name);
    auto number = [&](std::string_view key, const std::optional<std::int64_t>& value) {
        if (value) {
            out.add(key, *value);
        }
    };
    number("startDate", repeat.start_date);
    number("endDate", repeat.end_date);
    if (!repeat.tz.empty()) {
        out.add("tz", repeat.tz);
    }
    if (!repeat.pattern.empty()) {
        out.add("pattern", repeat.pattern);
    }
    if (repeat.every.count() > 0) {
        out.add("every", repeat.every.count());
        number("offset", repeat.offset && *repeat.offset != 0 ? repeat.offset : std::nullopt);
    }
    number("limit", repeat.limit);
    return out.take();
}

SchedulerInfo read_scheduler(std::string id, const redis::ReplyPart& hash, std::int64_t next) {
    SchedulerInfo out;
    out.id = std::move(id);
    out.next = next;
    const auto fields = hash.elements();
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        const auto key = fields[i].str();
        const auto& value = fields[i + 1];
        if (key == "name") {
            out.name = value.str();
        } else if (key == "ic") {
            out.iterations = value.integer();
        } else if (key == "every") {
            out.repeat.every = Millis(value.integer());
        } else if (key == "pattern") {
            out.repeat.pattern = value.str();
        } else if (key == "tz") {
            out.repeat.tz = value.str();
        } else if (key == "limit") {
            out.repeat.limit = value.integer();
        } else if (key == "startDate") {
            out.repeat.start_date = value.integer();
        } else if (key == "endDate") {
            out.repeat.end_date = value.integer();
        } else if (key == "offset") {
            out.repeat.offset = value.integer();
        } else if (key == "data") {
            out.data = value.str();
        } else if (key == "opts") {
            out.options_json = value.str();
        }
    }
    return out;
}

}  // namespace

std::string JobSchedulers::upsert(std::string_view id, const RepeatOptions& repeat, const JobTemplate& job) {
    auto now = now_ms();
    check(repeat, now);
    check_options(job.options, job.data);
    if (repeat.limit && repeat.count + 1 > *repeat.limit) {
        return {};
    }
    std::optional<std::int64_t> next;
    if (!repeat.pattern.empty()) {
        if (repeat.immediately) {
            next = now;
        } else if (next_time_) {
            next = next_time_(repeat, std::max(now, repeat.start_date.value_or(now)));
        } else {
            throw invalid("a pattern needs a function that computes its next time");
        }
        if (!next) {
            return {};
        }
        next = std::max(*next, now);
    }
    const std::string name = job.name.empty() ? std::string(id) : job.name;
    auto options = options_object(job.options, true);
    const auto packed_template = pack_json(options);
    const auto packed_run = pack_json(run_options(std::move(options), repeat, id, next, now));
    Guard guard(queue_.state_->mutex);
    auto& state = *queue_.state_;
    auto reply = accepted(
        state.run(state.calls.add_scheduler(
            id, next, pack_scheduler(repeat, name), job.data, packed_template, packed_run, now
        )),
        "job scheduler " + std::string(id)
    );
    return reply.at(0).text();
}

bool JobSchedulers::remove(std::string_view id) {
    Guard guard(queue_.state_->mutex);
    auto& state = *queue_.state_;
    return state.run(state.calls.remove_scheduler(id)).integer() == 0;
}

std::optional<SchedulerInfo> JobSchedulers::get(std::string_view id) {
    Guard guard(queue_.state_->mutex);
    auto& state = *queue_.state_;
    auto reply = state.run(state.calls.get_scheduler(id));
    if (!reply.is_array() || reply.elements().size() < 2 || reply.at(0).is_nil()) {
        return std::nullopt;
    }
    return read_scheduler(std::string(id), reply.at(0), reply.at(1).is_nil() ? 0 : reply.at(1).integer());
}

std::vector<SchedulerInfo> JobSchedulers::list(std::int64_t start, std::int64_t end, bool ascending) {
    Guard guard(queue_.state_->mutex);
    auto& state = *queue_.state_;
    auto range = state.command(
        {ascending ? "ZRANGE" : "ZREVRANGE",
         queue_.keys().repeat,
         std::to_string(start),
         std::to_string(end),
         "WITHSCORES"}
    );
    std::vector<SchedulerInfo> out;
    const auto entries = range.elements();
    for (std::size_t i = 0; i + 1 < entries.size(); i += 2) {
        auto hash = state.command({"HGETALL", queue_.keys().scheduler(entries[i].str())});
        if (!hash.elements().empty()) {
            out.push_back(read_scheduler(entries[i].text(), hash, entries[i + 1].integer()));
        }
    }
    return out;
}

std::int64_t JobSchedulers::count() {
    Guard guard(queue_.state_->mutex);
    return queue_.state_->command({"ZCARD", queue_.keys().repeat}).integer();
}

}  // namespace headrace::bullmq
