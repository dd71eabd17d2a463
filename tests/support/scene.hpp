// What most fault tests begin with: the versioned pipeline of Stack with a good generation 1 in every output, version 2
// in the source, and one worker that runs.
#pragma once

#include "support/stack.hpp"

#include <functional>
#include <memory>
#include <string>

namespace headrace::support {

// Every output shows `version` whole and once, was decided once by this run, and nothing is open any more.
void expect_whole(Stack& stack, const std::string& run_id, int version, int rows);

// A column of the run as text.
std::string run_of(Stack& stack, const std::string& column, const std::string& run_id);
// Its log so far. The journal writes it behind the run's back: await() what must be in it.
std::string log_of(Stack& stack, const std::string& run_id);

// `t` reads `count` rows of version `v` that take `milliseconds` each, and shows them at cache:t.
void write_slow_pipeline(
    Stack& stack,
    int count,
    int milliseconds,
    const std::string& more = "",
    const std::string& timeout = "60s"
);

struct Places {
    std::string database_url;  // "" = those of the binary, fresh
    std::string redis_url;
};

struct Scene {
    static constexpr int rows = 500;

    // `change` may set up what the worker is to meet, and say what its environment gets on top.
    explicit Scene(const std::function<HeadraceProcess::Env(Stack&)>& change = {}) : Scene({}, change) {}

    // On other servers than those of the binary.
    Scene(const Places& places, const std::function<HeadraceProcess::Env(Stack&)>& change);

    Stack stack;
    HeadraceProcess::Env env;  // of the worker, on top of the stack's
    std::unique_ptr<HeadraceProcess> worker;
};

}  // namespace headrace::support
