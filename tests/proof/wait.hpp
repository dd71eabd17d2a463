// Looking again until something is so, for at most `limit`.
#pragma once

#include <poll.h>

#include <chrono>

namespace headrace::proof {

template <class Condition>
bool wait_until(Condition&& condition, std::chrono::milliseconds limit, int look_again_ms = 5) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        ::poll(nullptr, 0, look_again_ms);
    }
    return true;
}

}  // namespace headrace::proof
