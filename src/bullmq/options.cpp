#include "bullmq/options.hpp"

#include "bullmq/invalid.hpp"
#include "bullmq/keys.hpp"
#include "bullmq/msgpack.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cmath>

namespace headrace::bullmq {
namespace {

namespace json = boost::json;

constexpr std::int64_t priority_limit = (1 << 21) - 1;

// cjson writes whole numbers as integers or, when large, in scientific form: both are taken.
std::optional<std::int64_t> integer_of(const json::value* value) {
    if (value == nullptr || !value->is_number()) {
        return std::nullopt;
    }
    const double number = value->to_number<double>();
    if (!(std::abs(number) < 9e15)) {
        return std::nullopt;
    }
    return value->is_int64() ? value->as_int64() : static_cast<std::int64_t>(number);
}

bool flag_of(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_bool() && value->as_bool();
}

std::string text_of(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

std::optional<RemovePolicy> policy_of(const json::value* value) {
    if (value == nullptr) {
        return std::nullopt;
    }
    if (value->is_bool()) {
        return RemovePolicy(value->as_bool());
    }
    if (auto count = integer_of(value)) {
        return RemovePolicy(*count);
    }
    if (const auto* object = value->if_object()) {
        return RemovePolicy(KeepJobs{
            integer_of(object->if_contains("count")),
            integer_of(object->if_contains("age")),
            integer_of(object->if_contains("limit"))});
    }
    return std::nullopt;
}

std::optional<Backoff> backoff_of(const json::value* value) {
    if (auto delay = integer_of(value)) {
        return Backoff{"fixed", Millis(*delay), std::nullopt};
    }
    const auto* object = value != nullptr ? value->if_object() : nullptr;
    if (object == nullptr) {
        return std::nullopt;
    }
    Backoff backoff{
        text_of(*object, "type"), Millis(integer_of(object->if_contains("delay")).value_or(0)), std::nullopt};
    if (const auto* jitter = object->if_contains("jitter"); jitter != nullptr && jitter->is_number()) {
        backoff.jitter = jitter->to_number<double>();
    }
    return backoff;
}

std::optional<Deduplication> deduplication_of(const json::value* value) {
    const auto* object = value != nullptr ? value->if_object() : nullptr;
    if (object == nullptr) {
        return std::nullopt;
    }
    Deduplication out;
    out.id = text_of(*object, "id");
    out.ttl = Millis(integer_of(object->if_contains("ttl")).value_or(0));
    auto flag = [&](std::string_view key) -> std::optional<bool> {
        const auto* found = object->if_contains(key);
        return found != nullptr && found->is_bool() ? std::optional<bool>(found->as_bool()) : std::nullopt;
    };
    out.extend = flag("extend");
    out.replace = flag("replace");
    out.reschedule = flag("reschedule");
    out.keep_last_if_active = flag("keepLastIfActive");
    return out;
}

json::value policy_value(const RemovePolicy& policy) {
    if (const auto* flag = std::get_if<bool>(&policy)) {
        return *flag;
    }
    if (const auto* count = std::get_if<std::int64_t>(&policy)) {
        return *count;
    }
    const auto& keep = std::get<KeepJobs>(policy);
    json::object out;
    auto add = [&](std::string_view key, const std::optional<std::int64_t>& value) {
        if (value) {
            out[key] = *value;
        }
    };
    add("age", keep.age);
    add("count", keep.count);
    add("limit", keep.limit);
    return out;
}

json::object backoff_object(const Backoff& backoff) {
    json::object out{{"type", backoff.type}, {"delay", backoff.delay.count()}};
    if (backoff.jitter) {
        out["jitter"] = *backoff.jitter;
    }
    return out;
}

json::object deduplication_object(const Deduplication& deduplication) {
    json::object out{{"id", deduplication.id}};
    if (deduplication.ttl.count() > 0) {
        out["ttl"] = deduplication.ttl.count();
    }
    auto flag = [&](std::string_view key, const std::optional<bool>& value) {
        if (value) {
            out[key] = *value;
        }
    };
    flag("extend", deduplication.extend);
    flag("replace", deduplication.replace);
    flag("reschedule", deduplication.reschedule);
    flag("keepLastIfActive", deduplication.keep_last_if_active);
    return out;
}

void pack(Packer& out, const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            out.nil();
            break;
        case json::kind::bool_:
            out.boolean(value.get_bool());
            break;
        case json::kind::int64:
            out.integer(value.get_int64());
            break;
        case json::kind::uint64:
            out.number(static_cast<double>(value.get_uint64()));
            break;
        case json::kind::double_:
            out.number(value.get_double());
            break;
        case json::kind::string:
            out.string(std::string_view(value.get_string()));
            break;
        case json::kind::array:
            out.array(value.get_array().size());
            for (const auto& element : value.get_array()) {
                pack(out, element);
            }
            break;
        case json::kind::object: {
            const auto& object = value.get_object();
            const auto present =
                std::count_if(object.begin(), object.end(), [](const auto& m) { return !m.value().is_null(); });
            out.map(static_cast<std::size_t>(present));
            for (const auto& member : object) {
                if (!member.value().is_null()) {
                    out.string(std::string_view(member.key()));
                    pack(out, member.value());
                }
            }
            break;
        }
    }
}

// What Node makes of a number too large for it: JSON has no infinity, and the scripts refuse one.
void null_infinities(json::value& value) {
    if (auto* object = value.if_object(); object != nullptr) {
        for (auto& member : *object) {
            null_infinities(member.value());
        }
    } else if (auto* list = value.if_array(); list != nullptr) {
        for (auto& item : *list) {
            null_infinities(item);
        }
    } else if (const auto* number = value.if_double(); number != nullptr && !std::isfinite(*number)) {
        value = nullptr;
    }
}

}  // namespace

KeepJobs keep_jobs(const RemovePolicy& policy) {
    if (const auto* flag = std::get_if<bool>(&policy)) {
        return {*flag ? 0 : -1, std::nullopt, std::nullopt};
    }
    if (const auto* count = std::get_if<std::int64_t>(&policy)) {
        return {*count, std::nullopt, std::nullopt};
    }
    return std::get<KeepJobs>(policy);
}

void check_options(const JobOptions& options, std::string_view data) {
    if (!options.job_id.empty()) {
        check_custom_job_id(options.job_id);
    }
    if (options.priority < 0 || options.priority > priority_limit) {
        throw invalid("the priority of a job must be 0 to 2097151");
    }
    if (options.size_limit > 0 && data.size() > options.size_limit) {
        throw invalid("the data of the job exceeds its limit of " + std::to_string(options.size_limit) + " bytes");
    }
    if (int{options.fail_parent_on_failure} + int{options.continue_parent_on_failure} +
            int{options.ignore_dependency_on_failure} + int{options.remove_dependency_on_failure} >
        1) {
        throw invalid("only one of the options for a failing child can be set");
    }
    if (options.deduplication) {
        if (options.deduplication->id.empty()) {
            throw invalid("deduplication needs an id");
        }
        if (options.parent) {
            throw invalid("deduplication and a parent cannot be used together");
        }
    }
    if (options.backoff && options.backoff->jitter &&
        !(*options.backoff->jitter >= 0 && *options.backoff->jitter <= 1)) {
        throw invalid("the jitter of a backoff must be 0 to 1");
    }
    if (options.delay.count() < 0 || options.attempts < 0) {
        throw invalid("delay and attempts of a job must not be negative");
    }
}

json::object options_object(const JobOptions& options, bool for_template) {
    json::object out;
    auto number = [&](std::string_view key, std::int64_t value) {
        if (value != 0) {
            out[key] = value;
        }
    };
    auto flag = [&](std::string_view key, bool value) {
        if (value) {
            out[key] = true;
        }
    };
    if (!for_template || options.attempts != 0) {
        out["attempts"] = options.attempts;
    }
    if (!options.job_id.empty()) {
        out["jobId"] = options.job_id;
    }
    number("timestamp", options.timestamp);
    number("delay", options.delay.count());
    number("priority", options.priority);
    flag("lifo", options.lifo);
    if (options.backoff) {
        out["backoff"] = backoff_object(*options.backoff);
    }
    if (options.remove_on_complete) {
        out["removeOnComplete"] = policy_value(*options.remove_on_complete);
    }
    if (options.remove_on_fail) {
        out["removeOnFail"] = policy_value(*options.remove_on_fail);
    }
    if (options.deduplication) {
        out["de"] = deduplication_object(*options.deduplication);
    }
    if (options.parent) {
        out["parent"] = json::object{{"id", options.parent->id}, {"queue", options.parent->queue}};
    }
    flag("fpof", options.fail_parent_on_failure);
    flag("cpof", options.continue_parent_on_failure);
    flag("idof", options.ignore_dependency_on_failure);
    flag("rdof", options.remove_dependency_on_failure);
    number("kl", options.keep_logs);
    if (options.stack_trace_limit) {
        out["stackTraceLimit"] = *options.stack_trace_limit;
    }
    number("sizeLimit", static_cast<std::int64_t>(options.size_limit));
    if (!options.telemetry_metadata.empty()) {
        out["tm"] = options.telemetry_metadata;
    }
    return out;
}

std::string pack_json(const json::value& value) {
    Packer out;
    pack(out, value);
    return out.take();
}

std::string pack_options(const JobOptions& options) {
    return pack_json(options_object(options));
}

JobOptions parse_options(std::string_view text) {
    JobOptions out;
    boost::system::error_code error;
    auto value = json::parse(text, error);
    if (error || !value.is_object()) {
        return out;
    }
    const auto& object = value.as_object();
    auto number = [&](std::string_view key) { return integer_of(object.if_contains(key)).value_or(0); };
    out.job_id = text_of(object, "jobId");
    out.timestamp = number("timestamp");
    out.delay = Millis(number("delay"));
    out.priority = number("priority");
    out.lifo = flag_of(object, "lifo");
    out.attempts = static_cast<int>(number("attempts"));
    out.backoff = backoff_of(object.if_contains("backoff"));
    out.remove_on_complete = policy_of(object.if_contains("removeOnComplete"));
    out.remove_on_fail = policy_of(object.if_contains("removeOnFail"));
    out.deduplication = deduplication_of(object.if_contains("de"));
    out.fail_parent_on_failure = flag_of(object, "fpof");
    out.continue_parent_on_failure = flag_of(object, "cpof");
    out.ignore_dependency_on_failure = flag_of(object, "idof");
    out.remove_dependency_on_failure = flag_of(object, "rdof");
    out.keep_logs = number("kl");
    if (auto limit = integer_of(object.if_contains("stackTraceLimit"))) {
        out.stack_trace_limit = static_cast<int>(*limit);
    }
    out.size_limit = static_cast<std::size_t>(std::max<std::int64_t>(0, number("sizeLimit")));
    out.telemetry_metadata = text_of(object, "tm");
    if (const auto* parent = object.if_contains("parent"); parent != nullptr && parent->is_object()) {
        out.parent = ParentRef{text_of(parent->as_object(), "id"), text_of(parent->as_object(), "queue")};
    }
    return out;
}

RepeatOptions parse_repeat(std::string_view text) {
    RepeatOptions out;
    boost::system::error_code error;
    auto value = json::parse(text, error);
    const auto* options = error ? nullptr : value.if_object();
    const auto* found = options != nullptr ? options->if_contains("repeat") : nullptr;
    const auto* object = found != nullptr ? found->if_object() : nullptr;
    if (object == nullptr) {
        return out;
    }
    out.every = Millis(integer_of(object->if_contains("every")).value_or(0));
    out.pattern = text_of(*object, "pattern");
    out.tz = text_of(*object, "tz");
    out.start_date = integer_of(object->if_contains("startDate"));
    out.end_date = integer_of(object->if_contains("endDate"));
    out.limit = integer_of(object->if_contains("limit"));
    out.offset = integer_of(object->if_contains("offset"));
    out.count = integer_of(object->if_contains("count")).value_or(0);
    return out;
}

json::object run_options(
    json::object base,
    const RepeatOptions& repeat,
    std::string_view scheduler_id,
    std::optional<std::int64_t> next_ms,
    std::int64_t now
) {
    for (auto& member : base) {
        null_infinities(member.value());
    }
    json::object part;
    if (const auto* old = base.if_contains("repeat"); old != nullptr && old->is_object()) {
        part = old->as_object();  // what this version does not know stays
    }
    auto number = [&](std::string_view key, const std::optional<std::int64_t>& value) {
        if (value) {
            part[key] = *value;
        }
    };
    if (repeat.every.count() > 0) {
        part["every"] = repeat.every.count();
        number("offset", repeat.offset && *repeat.offset != 0 ? repeat.offset : std::nullopt);
    } else {
        part["pattern"] = repeat.pattern;
    }
    if (!repeat.tz.empty()) {
        part["tz"] = repeat.tz;
    }
    number("startDate", repeat.start_date);
    number("endDate", repeat.end_date);
    number("limit", repeat.limit);
    part["count"] = repeat.count + 1;
    base["repeat"] = std::move(part);
    base["repeatJobKey"] = scheduler_id;
    base["timestamp"] = now;
    base.erase("jobId");  // the script sets both
    base.erase("delay");
    if (next_ms) {
        base["prevMillis"] = *next_ms;
    } else {
        base.erase("prevMillis");
    }
    return base;
}

}  // namespace headrace::bullmq
