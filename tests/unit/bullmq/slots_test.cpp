#include "bullmq/slots.hpp"

#include "redis/resp.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>

using namespace headrace;
using namespace headrace::bullmq;

namespace {

RunningPtr job(const std::string& id) {
    redis::RespReader reader;
    reader.feed("*0\r\n");
    return std::make_shared<Running>(id, reader.next().value(), "token");
}

std::vector<RunningPtr> jobs(std::initializer_list<const char*> ids) {
    std::vector<RunningPtr> out;
    for (const auto* id : ids) {
        out.push_back(job(id));
    }
    return out;
}

// Processors that stay in their job until they are let go.
class Holding {
public:
    explicit Holding(unsigned limit) : slots(limit, [this](const RunningPtr& running) { run(running); }) {}

    ~Holding() { let_go(); }

    void run(const RunningPtr& running) {
        std::unique_lock lock(mutex_);
        inside_.insert(running->id);
        threads_.insert(std::this_thread::get_id());
        changed_.notify_all();
        changed_.wait(lock, [&] { return open_; });
        ++done_;
        changed_.notify_all();
    }

    bool await_inside(std::size_t count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return inside_.size() == count; });
    }

    bool await_done(std::size_t count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return done_ == count; });
    }

    void let_go() {
        std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }

    std::size_t threads() {
        std::lock_guard lock(mutex_);
        return threads_.size();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<std::string> inside_;
    std::set<std::thread::id> threads_;
    std::size_t done_ = 0;
    bool open_ = false;

public:
    Slots slots;  // goes first
};

}  // namespace

TEST(Slots, AreBehindWhileTheFirstIsHeldUpAndNotAfterSpread) {
    Holding holding(4);
    auto& slots = holding.slots;
    slots.push(jobs({"a", "b", "c", "d"}));
    ASSERT_TRUE(holding.await_inside(1));
    EXPECT_TRUE(slots.behind());
    slots.spread();
    EXPECT_TRUE(holding.await_inside(4));
    EXPECT_FALSE(slots.behind());
}

TEST(Slots, EachBatchHasAThread) {
    Holding holding(4);
    auto& slots = holding.slots;
    slots.push(jobs({"a"}));
    slots.push(jobs({"b"}));  // the thread for `a` may not have come yet
    slots.push(jobs({"c"}));
    EXPECT_TRUE(holding.await_inside(3));
}

TEST(Slots, NoMoreThreadsThanTheLimit) {
    Holding holding(2);
    auto& slots = holding.slots;
    slots.push(jobs({"a", "b", "c", "d", "e"}));
    slots.spread();
    ASSERT_TRUE(holding.await_inside(2));
    EXPECT_TRUE(slots.behind());
    holding.let_go();
    EXPECT_TRUE(holding.await_done(5));
    EXPECT_LE(holding.threads(), 2U);
}

TEST(Slots, ClosingWaitsForWhatIsThere) {
    Holding holding(2);
    auto& slots = holding.slots;
    slots.push(jobs({"a", "b", "c"}));
    holding.let_go();
    slots.close();
    EXPECT_TRUE(holding.await_done(3));
}
