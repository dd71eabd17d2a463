// Obeys JSON commands on stdin, one a line: {"op": …}; answers one JSON line each: {"ok": …} or {"error": code}.
// Job options come in the form in which BullMQ stores them (short keys).
#include "base/error.hpp"
#include "bullmq/add_stream.hpp"
#include "bullmq/flow.hpp"
#include "bullmq/getters.hpp"
#include "bullmq/queue.hpp"
#include "bullmq/scheduler.hpp"
#include "bullmq/worker.hpp"
#include "net/wait.hpp"

#include <boost/json.hpp>

#include <signal.h>

#include <condition_variable>
#include <iostream>
#include <mutex>
#include <set>

namespace json = boost::json;
namespace bull = headrace::bullmq;

namespace {

std::string text(const json::object& o, std::string_view key, std::string_view otherwise = {}) {
    const auto* value = o.if_contains(key);
    return value == nullptr ? std::string(otherwise) : std::string(value->as_string());
}

std::int64_t number(const json::object& o, std::string_view key, std::int64_t otherwise = 0) {
    const auto* value = o.if_contains(key);
    return value == nullptr ? otherwise : value->to_number<std::int64_t>();
}

bool flag(const json::object& o, std::string_view key) {
    const auto* value = o.if_contains(key);
    return value != nullptr && value->as_bool();
}

bull::JobOptions options_of(const json::object& o) {
    const auto* opts = o.if_contains("opts");
    return opts == nullptr ? bull::JobOptions{} : bull::parse_options(json::serialize(*opts));
}

bull::NewJob job_of(const json::object& o) {
    // `raw` is the data as text: it must reach Redis byte for byte.
    return {text(o, "name", "job"), text(o, "raw", "{}"), options_of(o)};
}

// Patterns of the tests are "*/N * * * * *": every N seconds.
std::optional<std::int64_t> next_time(const bull::RepeatOptions& repeat, std::int64_t after) {
    const auto seconds = std::stoll(repeat.pattern.substr(2, repeat.pattern.find(' ') - 2));
    return (after / (seconds * 1000) + 1) * seconds * 1000;
}

json::object object_of(const std::map<std::string, std::string>& texts, bool are_json) {
    json::object out;
    for (const auto& [key, value] : texts) {
        out[key] = are_json ? json::parse(value) : json::value(value);
    }
    return out;
}

bull::FlowNode node_of(const json::object& o, const std::string& queue) {
    auto job = job_of(o);
    bull::FlowNode node{queue, job.name, job.data, job.options, {}, {}};
    if (const auto* children = o.if_contains("children")) {
        for (const auto& child : children->as_array()) {
            node.children.push_back(node_of(child.as_object(), queue));
        }
    }
    return node;
}

json::value tree_of(const bull::FlowJob& flow) {
    json::array children;
    for (const auto& child : flow.children) {
        children.push_back(tree_of(child));
    }
    return json::object{{"name", flow.job.name}, {"id", flow.job.id}, {"children", children}};
}

// A job that waits for a child of its own making.
bull::ProcessResult wait_for_child(const bull::Job& job, bull::Queue& queue, const json::object& data) {
    if (job.attempts_started == 1) {
        bull::JobOptions child;
        child.job_id = "kid";
        child.parent = bull::ParentRef{job.id, queue.keys().qualified};
        child.fail_parent_on_failure = flag(data, "mind");
        queue.add("child", text(data, "child", "{}"), child);
        return bull::ProcessResult::waiting_children();
    }
    const auto children = bull::Getters(queue).children(job.id);
    return bull::ProcessResult::completed(json::serialize(object_of(children.processed, true)));
}

// What a job's data says it wants to become; the Node side of the tests reads the same.
bull::ProcessResult process(const bull::Job& job, bull::JobContext& context, bull::Queue& queue) {
    const auto data = json::parse(job.data).as_object();
    const auto what = text(data, "do", "complete");
    if (const auto ms = number(data, "ms"); ms > 0) {
        if (headrace::net::wait_readable(-1, headrace::Deadline::in(bull::Millis(ms)), context.stop()) ==
            headrace::net::Ready::stopped) {
            context.stop().throw_if_stopped();
        }
    }
    if (what == "complete") {
        return bull::ProcessResult::completed(data.contains("result") ? json::serialize(data.at("result")) : "null");
    }
    if (what == "report") {
        context.update_progress(R"({"rows":5})");
        context.log("first row");
        context.log("second row");
        return bull::ProcessResult::completed("\"done\"");
    }
    if (what == "fail" && job.attempts_made < number(data, "times", 99)) {
        return bull::ProcessResult::failed("boom " + std::to_string(job.attempts_made + 1));
    }
    if (what == "unrecoverable") {
        return bull::ProcessResult::failed("never again", true);
    }
    if (what == "delay" && job.attempts_started == 1) {
        return bull::ProcessResult::delayed(bull::Millis(number(data, "delay")));
    }
    if (what == "children") {
        return wait_for_child(job, queue, data);
    }
    if (what == "no children" && job.progress.empty()) {
        queue.update_progress(job.id, "1");
        // The processor is called again at once, with the same job: it must know by itself that it asked already.
        const_cast<bull::Job&>(job).progress = "1";
        return bull::ProcessResult::waiting_children();
    }
    if (what == "steps" && !data.contains("step")) {
        auto next = data;
        next["step"] = 2;
        context.update_data(json::serialize(next));
        return bull::ProcessResult::delayed(bull::Millis(30));
    }
    if (what == "limit" && job.attempts_started == 1) {
        return bull::ProcessResult::rate_limited(bull::Millis(300));
    }
    if (what == "wait" && job.attempts_started == 1) {
        return bull::ProcessResult::waiting();
    }
    return bull::ProcessResult::completed("\"again\"");
}

bull::WorkerOptions worker_options(const json::object& o, const std::string& prefix) {
    bull::WorkerOptions options;
    options.prefix = prefix;
    options.name = text(o, "name");
    options.concurrency = static_cast<unsigned>(number(o, "concurrency", 1));
    options.lock_duration = bull::Millis(number(o, "lockDuration", 30'000));
    options.stalled_interval = bull::Millis(number(o, "stalledInterval", 30'000));
    options.max_stalled_count = static_cast<unsigned>(number(o, "maxStalledCount", 1));
    options.drain_delay = bull::Millis(number(o, "drainDelay", 5'000));
    options.metrics_points = static_cast<int>(number(o, "metrics"));
    options.max_started_attempts = static_cast<unsigned>(number(o, "maxStartedAttempts"));
    options.next_time = next_time;
    if (o.contains("limiter")) {
        const auto& limiter = o.at("limiter").as_object();
        options.limiter = bull::Limiter{number(limiter, "max"), bull::Millis(number(limiter, "duration"))};
    }
    if (o.contains("keep")) {
        auto keep = bull::parse_options(json::serialize(o.at("keep")));
        options.remove_on_complete = keep.remove_on_complete;
        options.remove_on_fail = keep.remove_on_fail;
    }
    return options;
}

// Runs a worker until `until` jobs have ended in some way.
json::value
work(const headrace::redis::Options& redis, bull::Queue& queue, const std::string& prefix, const json::object& o) {
    std::mutex mutex;
    std::condition_variable changed;
    json::array seen;
    std::int64_t ended = 0;
    auto options = worker_options(o, prefix);
    options.on_event = [&](const bull::WorkerEvent& event) {
        using Kind = bull::WorkerEvent::Kind;
        std::lock_guard guard(mutex);
        if (event.kind == Kind::completed || event.kind == Kind::failed || event.kind == Kind::retrying ||
            event.kind == Kind::delayed || event.kind == Kind::returned || event.kind == Kind::waiting_children ||
            event.kind == Kind::lock_lost) {
            seen.emplace_back(event.job_id);
            ++ended;
            changed.notify_all();
        } else if (event.kind == Kind::error) {
            std::cerr << "worker error: " << event.text << '\n';
        }
    };
    bull::Worker worker(redis, queue.keys().queue, options, [&](bull::Job& job, bull::JobContext& context) {
        return process(job, context, queue);
    });
    worker.start();
    {
        std::unique_lock lock(mutex);
        if (!changed.wait_for(lock, std::chrono::seconds(20), [&] { return ended >= number(o, "until", 1); })) {
            throw headrace::Error(headrace::ErrorKind::transient, "run.timeout", "the jobs did not end");
        }
    }
    worker.stop(bull::Millis(5'000));
    std::lock_guard guard(mutex);
    return seen;
}

class Driver {
public:
    Driver(const std::string& url, std::string queue_name, std::string prefix)
        : redis_(headrace::redis::parse_redis_url(url)),
          name_(std::move(queue_name)),
          prefix_(std::move(prefix)),
          queue_(redis_, name_, prefix_),
          schedulers_(queue_, next_time),
          flows_(redis_, prefix_),
          getters_(queue_) {}

    json::value obey(const json::object& o) {
        const auto op = text(o, "op");
        const auto id = text(o, "id");
        if (op == "add") {
            auto job = job_of(o);
            return json::value(queue_.add(job.name, job.data, job.options));
        }
        if (op == "addBulk") {
            std::vector<bull::NewJob> jobs;
            for (const auto& job : o.at("jobs").as_array()) {
                jobs.push_back(job_of(job.as_object()));
            }
            return json::value_from(queue_.add_bulk(jobs));
        }
        if (op == "work") {
            return work(redis_, queue_, prefix_, o);
        }
        if (op == "upsertScheduler" || op == "removeScheduler" || op == "scheduler") {
            return schedule(op, id, o);
        }
        if (op == "state") {
            return json::value(queue_.state(id));
        }
        if (op == "remove") {
            return queue_.remove(id) == bull::Queue::Removed::removed;
        }
        if (op == "retry") {
            return queue_.retry(id, text(o, "state", "failed"), {flag(o, "resetMade"), flag(o, "resetStarted")});
        }
        if (op == "promote") {
            return queue_.promote(id);
        }
        if (op == "changeDelay") {
            return queue_.change_delay(id, bull::Millis(number(o, "delay")));
        }
        if (op == "changePriority") {
            return queue_.change_priority(id, number(o, "priority"), flag(o, "lifo"));
        }
        if (op == "updateData") {
            return queue_.update_data(id, text(o, "raw"));
        }
        if (op == "updateProgress") {
            return queue_.update_progress(id, text(o, "raw"));
        }
        if (op == "addLog") {
            return queue_.add_log(id, text(o, "row"), number(o, "keep"));
        }
        if (op == "addStream") {
            bull::AddStream stream(queue_, 7);
            for (std::int64_t i = 0; i < number(o, "count"); ++i) {
                stream.add("job", "{}");
            }
            stream.finish();
            return nullptr;
        }
        return op.starts_with("flow") || op.find("hild") != std::string::npos ? family(op, id, o) : administer(op, o);
    }

private:
    json::value family(const std::string& op, const std::string& id, const json::object& o) {
        if (op == "flow") {
            return json::value(flows_.add(node_of(o.at("flow").as_object(), name_)).id);
        }
        if (op == "flowBulk") {
            std::vector<bull::FlowNode> nodes;
            for (const auto& flow : o.at("flows").as_array()) {
                nodes.push_back(node_of(flow.as_object(), name_));
            }
            return static_cast<std::int64_t>(flows_.add_bulk(nodes).size());
        }
        if (op == "flowTree") {
            auto flow = flows_.get(name_, id);
            return flow ? tree_of(*flow) : json::value(nullptr);
        }
        if (op == "children") {
            auto children = getters_.children(id);
            std::sort(children.unprocessed.begin(), children.unprocessed.end());
            return json::object{
                {"processed", object_of(children.processed, true)},
                {"unprocessed", json::value_from(children.unprocessed)},
                {"ignored", object_of(children.ignored, false)},
                {"failed", json::value_from(children.failed)}};
        }
        if (op == "childCounts") {
            const auto counts = getters_.child_counts(id);
            return json::array{counts.processed, counts.unprocessed, counts.ignored, counts.failed};
        }
        if (op == "removeChildDependency") {
            return queue_.remove_child_dependency(id, queue_.keys().job(text(o, "parent")));
        }
        queue_.remove_unprocessed_children(id);
        return nullptr;
    }

    json::value look(const std::string& op, const json::object& o) {
        if (op == "ids") {
            std::vector<std::string_view> states;
            for (const auto& state : o.at("states").as_array()) {
                states.push_back(state.as_string());
            }
            return json::value_from(getters_.ids(states, number(o, "start"), number(o, "end", -1), flag(o, "asc")));
        }
        if (op == "jobs") {
            json::array out;
            for (const auto& job :
                 queue_.jobs(text(o, "state"), number(o, "start"), number(o, "end", -1), flag(o, "asc"))) {
                out.push_back(json::array{json::value(job.id), json::value(job.name), json::value(job.data)});
            }
            return out;
        }
        if (op == "priorities") {
            const std::int64_t list[] = {0, 1, 2, 5};
            return json::value_from(getters_.counts_per_priority(list));
        }
        if (op == "limits") {
            const auto rate = getters_.global_rate_limit();
            return json::array{
                getters_.global_concurrency().value_or(0),
                rate ? rate->first : 0,
                rate ? rate->second.count() : 0,
                getters_.is_maxed(),
                getters_.rate_limit_left().count() > 0,
                getters_.waiting_in_all(),
                json::value(getters_.version())};
        }
        if (op == "finished") {
            const auto end = getters_.wait_until_finished(text(o, "id"), bull::Millis(number(o, "ms", 5'000)));
            return end ? json::array{end->completed, json::value(end->text)} : json::array{};
        }
        if (op == "logs") {
            const auto logs = queue_.logs(text(o, "id"), number(o, "start"), number(o, "end", -1), flag(o, "asc"));
            return json::array{json::value_from(logs.rows), logs.count};
        }
        throw headrace::Error(headrace::ErrorKind::bug, "internal.bug", "unknown op " + op);
    }

    json::value schedule(const std::string& op, const std::string& id, const json::object& o) {
        if (op == "removeScheduler") {
            return schedulers_.remove(id);
        }
        if (op == "scheduler") {
            auto info = schedulers_.get(id);
            if (!info) {
                return nullptr;
            }
            return json::object{
                {"name", info->name},
                {"iterations", info->iterations},
                {"every", info->repeat.every.count()},
                {"pattern", info->repeat.pattern},
                {"data", info->data}};
        }
        bull::RepeatOptions repeat;
        repeat.every = bull::Millis(number(o, "every"));
        repeat.pattern = text(o, "pattern");
        repeat.immediately = flag(o, "immediately");
        auto optional = [&](std::string_view key, std::optional<std::int64_t>& to) {
            if (o.contains(key)) {
                to = number(o, key);
            }
        };
        optional("limit", repeat.limit);
        optional("offset", repeat.offset);
        optional("startDate", repeat.start_date);
        optional("endDate", repeat.end_date);
        repeat.tz = text(o, "tz");
        auto job = job_of(o);
        return json::value(schedulers_.upsert(id, repeat, {job.name, job.data, job.options}));
    }

    json::value administer(const std::string& op, const json::object& o) {
        if (op == "counts") {
            return json::value_from(queue_.counts());
        }
        if (op == "pause") {
            queue_.pause();
        } else if (op == "resume") {
            queue_.resume();
        } else if (op == "drain") {
            queue_.drain(flag(o, "delayed"));
        } else if (op == "clean") {
            return json::value_from(queue_.clean(bull::Millis(number(o, "grace")), number(o, "limit"), text(o, "state"))
            );
        } else if (op == "obliterate") {
            queue_.obliterate(flag(o, "force"));
        } else if (op == "retryJobs") {
            queue_.retry_jobs();
        } else if (op == "promoteJobs") {
            queue_.promote_jobs();
        } else if (op == "trimEvents") {
            return queue_.trim_events(number(o, "max"));
        } else if (op == "setConcurrency") {
            queue_.set_global_concurrency(number(o, "value"));
        } else if (op == "workers") {
            return json::value_from(queue_.workers());
        } else if (op == "removeConcurrency") {
            queue_.remove_global_concurrency();
        } else if (op == "setRateLimit") {
            queue_.set_global_rate_limit(number(o, "max"), bull::Millis(number(o, "duration")));
        } else if (op == "removeRateLimit") {
            queue_.remove_global_rate_limit();
        } else if (op == "rateLimit") {
            queue_.rate_limit(bull::Millis(number(o, "ms")));
        } else if (op == "clearLogs") {
            queue_.clear_logs(text(o, "id"), number(o, "keep"));
        } else if (op == "retryCompleted") {
            queue_.retry_jobs("completed");
        } else if (op == "removeOrphans") {
            return queue_.remove_orphans();
        } else if (op == "releaseDeduplication") {
            return queue_.release_deduplication(text(o, "key"), text(o, "id"));
        } else if (op == "publish") {
            const std::pair<std::string, std::string> fields[] = {{"who", "me"}, {"what", "a b"}};
            queue_.publish_event("custom", fields);
        } else {
            return look(op, o);
        }
        return nullptr;
    }

    headrace::redis::Options redis_;
    std::string name_;
    std::string prefix_;
    bull::Queue queue_;
    bull::JobSchedulers schedulers_;
    bull::FlowProducer flows_;
    bull::Getters getters_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: bullmq_driver REDIS_URL QUEUE PREFIX\n";
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    Driver driver(argv[1], argv[2], argv[3]);
    for (std::string line; std::getline(std::cin, line);) {
        json::object answer;
        try {
            answer["ok"] = driver.obey(json::parse(line).as_object());
        } catch (const headrace::Error& error) {
            answer["error"] = error.code();
            answer["message"] = error.message();
        } catch (const std::exception& error) {
            answer["error"] = "driver";
            answer["message"] = error.what();
        }
        std::cout << json::serialize(answer) << std::endl;
    }
    return 0;
}
