#include "redis/locate.hpp"

#include "base/error.hpp"
#include "redis/resp.hpp"

#include <gtest/gtest.h>

namespace headrace::redis {
namespace {

Reply parsed(std::string_view bytes) {
    RespReader reader;
    reader.feed(bytes);
    return reader.next().value();
}

Reply moved(const std::string& text) {
    return parsed("-" + text + "\r\n");
}

TEST(Locate, FollowsMovedToThatNode) {
    const net::Address from{.host = "10.0.0.1", .port = 7000, .unix_path = {}};
    auto to = moved_to(moved("MOVED 3999 127.0.0.1:6381"), from);
    ASSERT_TRUE(to);
    EXPECT_EQ(to->text(), "127.0.0.1:6381");
    to = moved_to(moved("MOVED 3999 :6382"), from);  // "where you asked me"
    ASSERT_TRUE(to);
    EXPECT_EQ(to->text(), "10.0.0.1:6382");
    to = moved_to(moved("MOVED 3999 fd00::7:6383"), from);
    ASSERT_TRUE(to);
    EXPECT_EQ(to->host, "fd00::7");
    EXPECT_FALSE(moved_to(moved("ERR no"), from));
    EXPECT_FALSE(moved_to(parsed(":1\r\n"), from));
}

TEST(Locate, ReadsUrlsOfSentinelsAndClusters) {
    const auto sentinel =
        parse_redis_url("redis+sentinel://app:pw@one/mymaster?sentinel=two:26380&sentinel=three&db=2");
    ASSERT_EQ(sentinel.sentinels.size(), 3U);
    EXPECT_EQ(sentinel.sentinels[0].text(), "one:26379");
    EXPECT_EQ(sentinel.sentinels[1].text(), "two:26380");
    EXPECT_EQ(sentinel.sentinels[2].text(), "three:26379");
    EXPECT_EQ(sentinel.master, "mymaster");
    EXPECT_EQ(sentinel.db, 2);
    EXPECT_EQ(sentinel.user, "app");
    EXPECT_FALSE(sentinel.tls);
    const auto cluster = parse_redis_url("rediss+cluster://node:7000");
    EXPECT_TRUE(cluster.cluster);
    EXPECT_TRUE(cluster.tls);
    EXPECT_EQ(cluster.address.text(), "node:7000");
    EXPECT_THROW(parse_redis_url("redis+sentinel://one"), Error);
    EXPECT_THROW(parse_redis_url("redis+other://one"), Error);
    EXPECT_THROW(parse_redis_url("http://one"), Error);
}

TEST(Locate, AMovedKeyIsAReasonToConnectAgain) {
    EXPECT_EQ(error_of(moved("MOVED 1 a:1")).kind(), ErrorKind::transient);
    EXPECT_EQ(error_of(moved("ERR wrong")).kind(), ErrorKind::permanent);
}

}  // namespace
}  // namespace headrace::redis
