#include "base/stop.hpp"

#include "base/error.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>
#include <vector>

namespace headrace {
namespace {

bool readable(int fd) {
    pollfd entry{fd, POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
}

TEST(Stop, DescriptorIsReadableWhetherItWasMadeBeforeOrAfterTheStop) {
    StopSource early;
    const int fd = early.token().fd();
    EXPECT_GE(fd, 0);
    EXPECT_FALSE(readable(fd));
    early.request_stop("why");
    EXPECT_TRUE(readable(fd));
    EXPECT_EQ(early.token().fd(), fd);

    StopSource late;
    late.request_stop("first");
    late.request_stop("second");
    EXPECT_TRUE(readable(late.token().fd()));
    EXPECT_EQ(late.token().reason(), "first");
    EXPECT_THROW(late.token().throw_if_stopped(), Error);
    EXPECT_EQ(StopToken().fd(), -1);
}

TEST(Stop, StopAndFirstPollAtTheSameTimeMissNothing) {
    for (int i = 0; i < 500; ++i) {
        StopSource source;
        std::thread stops([&] { source.request_stop(); });
        const int fd = source.token().fd();
        stops.join();
        ASSERT_TRUE(readable(fd));
    }
}

}  // namespace
}  // namespace headrace
