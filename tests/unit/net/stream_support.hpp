// Reading and stopping a Stream, for its tests.
#pragma once

#include "base/stop.hpp"
#include "loopback.hpp"
#include "net/stream.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <string>

namespace headrace::net::test {

inline const StopToken never_stop;

inline std::string read_exactly(Stream& stream, std::size_t size) {
    std::string out(size, '\0');
    std::size_t have = 0;
    while (have < size) {
        const auto got = stream.read_some(out.data() + have, size - have, soon(), never_stop);
        if (got == 0) {
            break;
        }
        have += got;
    }
    out.resize(have);
    return out;
}

// Seconds from the stop request to the return of `work`, which must throw net.cancelled.
template <class Work>
double seconds_to_stop(
    Work work,
    const std::function<void()>& when_to_stop = [] {}
) {
    StopSource source;
    std::promise<void> started;
    auto done = std::async(std::launch::async, [&] {
        started.set_value();
        const auto error = error_of([&] { work(source.token()); });
        EXPECT_EQ(error.code(), "net.cancelled") << error.what();
        EXPECT_EQ(error.kind(), ErrorKind::cancelled);
    });
    started.get_future().wait();
    when_to_stop();
    const auto from = std::chrono::steady_clock::now();
    source.request_stop("run cancelled");
    done.get();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

}  // namespace headrace::net::test
