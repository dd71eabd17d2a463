#include "sim/fibers.hpp"

#include <cxxabi.h>
#include <ucontext.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace headrace::sim {
namespace {

constexpr std::size_t stack_bytes = 256 << 10;

// What the C++ runtime keeps per thread about exceptions that are being handled; each fiber has its own.
struct Handled {
    void* caught = nullptr;
    unsigned uncaught = 0;
};

}  // namespace

class Fiber {
public:
    ucontext_t context{};
    std::unique_ptr<char[]> stack;
    std::function<void()> body;
    Handled handled;
    bool done = false;
};

Fibers::Fibers() : outside_(std::make_unique<Fiber>()) {}

Fibers::~Fibers() = default;

Fiber* Fibers::make(std::function<void()> body) {
    if (spare_.empty()) {
        spare_.push_back(std::make_unique<Fiber>());
        spare_.back()->stack.reset(new char[stack_bytes]);
    }
    auto fiber = std::move(spare_.back());
    spare_.pop_back();
    fiber->body = std::move(body);
    fiber->handled = {};
    fiber->done = false;
    ::getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = stack_bytes;
    fiber->context.uc_link = nullptr;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    ::makecontext(
        &fiber->context,
        reinterpret_cast<void (*)()>(&Fibers::enter),
        2,
        static_cast<unsigned>(self),
        static_cast<unsigned>(self >> 32)
    );
    fibers_.push_back(std::move(fiber));
    return fibers_.back().get();
}

void Fibers::enter(unsigned low, unsigned high) {
    auto* self = reinterpret_cast<Fibers*>((static_cast<std::uintptr_t>(high) << 32) | low);
    auto* me = self->current_;
    me->body();
    me->body = nullptr;
    me->done = true;
    self->switch_to(self->next());
}

void Fibers::switch_to(Fiber* to) {
    auto* from = current_ != nullptr ? current_ : outside_.get();
    auto* target = to != nullptr ? to : outside_.get();
    if (from == target) {
        return;
    }
    auto* handled = abi::__cxa_get_globals();
    std::memcpy(&from->handled, handled, sizeof(Handled));
    std::memcpy(handled, &target->handled, sizeof(Handled));
    current_ = to;
    ::swapcontext(&from->context, &target->context);
}

void Fibers::go_on(Fiber* fiber) {
    switch_to(fiber);
}

void Fibers::go_outside() {
    switch_to(nullptr);
}

bool Fibers::ended(const Fiber* fiber) {
    return fiber->done;
}

void Fibers::forget_all() {
    for (auto& fiber : fibers_) {
        spare_.push_back(std::move(fiber));
    }
    fibers_.clear();
}

}  // namespace headrace::sim
