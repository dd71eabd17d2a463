#include "sim/fake_queue.hpp"

namespace headrace::sim {
namespace {

constexpr int most_stalls = 3;

}  // namespace

Job* FakeQueue::job(std::string_view id) {
    for (auto& one : jobs) {
        if (one.id == id) {
            return &one;
        }
    }
    return nullptr;
}

bool FakeQueue::has_work() const {
    for (const auto& one : jobs) {
        if (one.state == "waiting" || (one.state == "delayed" && one.due <= scene_.now())) {
            return true;
        }
    }
    return false;
}

std::optional<Job> FakeQueue::take(std::int64_t lock_ms) {
    scene_.before("take", {});
    std::optional<Job> taken;
    for (auto& one : jobs) {
        if (one.state == "delayed" && one.due <= scene_.now()) {
            one.state = "waiting";
        }
        if (!taken && one.state == "waiting") {
            one.state = "active";
            one.token = ++tokens_;
            one.locked_until = scene_.now() + lock_ms;
            taken = one;
        }
    }
    scene_.after();
    return taken;
}

bool FakeQueue::renew(std::string_view id, int token, std::int64_t lock_ms) {
    auto* one = job(id);
    if (one == nullptr || one->state != "active" || one->token != token) {
        return false;
    }
    one->locked_until = scene_.now() + lock_ms;
    return true;
}

void FakeQueue::finish(std::string_view id, int token, const run::Done& done) {
    scene_.before("finish", id);
    if (auto* one = job(id); one != nullptr && one->state == "active" && one->token == token) {
        switch (done.kind) {
            case run::Done::Kind::completed:
                one->state = "completed";
                break;
            case run::Done::Kind::failed:
                one->state = "failed";
                break;
            case run::Done::Kind::again:
                one->state = "delayed";
                one->due = scene_.now() + done.wait.count();
                break;
        }
    }
    scene_.after();
}

void FakeQueue::check_stalled() {
    for (auto& one : jobs) {
        if (one.state == "active" && one.locked_until < scene_.now()) {
            one.state = ++one.stalls > most_stalls ? "failed" : "waiting";
            one.token = 0;
        }
    }
}

std::optional<Job> FakeQueue::deliver_again(std::size_t which) {
    if (jobs.empty()) {
        return std::nullopt;
    }
    auto copy = jobs[which % jobs.size()];
    copy.token = -1;
    return copy;
}

void FakeRunQueue::add(const run::RunJob& job) {
    queue_.scene().before("add", job.id);
    if (queue_.job(job.id) == nullptr) {
        Job made;
        made.id = job.id;
        made.run_id = job.data;
        made.pipeline = job.pipeline;
        made.timestamp = queue_.scene().now();
        if (job.delay.count() > 0) {
            made.state = "delayed";
            made.due = queue_.scene().now() + job.delay.count();
        }
        queue_.jobs.push_back(std::move(made));
    }
    queue_.scene().after();
}

std::string FakeRunQueue::state(std::string_view job_id) {
    queue_.scene().before("state", job_id);
    const auto* one = queue_.job(job_id);
    std::string state = one != nullptr ? one->state : "unknown";
    queue_.scene().after();
    return state;
}

void FakeRunQueue::promote(std::string_view job_id) {
    queue_.scene().before("promote", job_id);
    if (auto* one = queue_.job(job_id); one != nullptr && one->state == "delayed") {
        one->state = "waiting";
    }
    queue_.scene().after();
}

}  // namespace headrace::sim
