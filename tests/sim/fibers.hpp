// Cooperative threads of one OS thread, so that code that waits can be stopped and resumed at any call, in any order,
// the same way each time. Not thread-safe. Stacks are kept for the next world.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace headrace::sim {

class Fiber;

class Fibers {
public:
    Fibers();
    ~Fibers();
    Fibers(const Fibers&) = delete;
    Fibers& operator=(const Fibers&) = delete;

    // Not started yet. Valid until it has ended and `reap` was called. `body` must not throw.
    Fiber* make(std::function<void()> body);
    // From the outside or from a fiber: goes on with `fiber`; comes back when somebody switches to the caller.
    void go_on(Fiber* fiber);
    void go_outside();  // from a fiber

    Fiber* current() const { return current_; }  // null outside

    static bool ended(const Fiber* fiber);
    // Called by a fiber at its end: whom to go on with; null: outside.
    std::function<Fiber*()> next;
    void forget_all();  // all have ended

private:
    static void enter(unsigned low, unsigned high);
    void switch_to(Fiber* to);

    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::vector<std::unique_ptr<Fiber>> spare_;
    std::unique_ptr<Fiber> outside_;
    Fiber* current_ = nullptr;
};

}  // namespace headrace::sim
