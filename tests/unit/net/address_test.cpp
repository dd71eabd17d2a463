#include "net/address.hpp"

#include "base/error.hpp"

#include <gtest/gtest.h>

namespace headrace::net {
namespace {

TEST(Url, RedisWithEverything) {
    const auto url = parse_url("REDIS://us%40er:p%2Fss@Cache.example:6380/3?protocol=3&name=a%20b");
    EXPECT_EQ(url.scheme, "redis");
    EXPECT_EQ(url.user, "us@er");
    EXPECT_EQ(url.password.reveal(), "p/ss");
    EXPECT_EQ(url.host, "Cache.example");
    EXPECT_EQ(url.port, 6380);
    EXPECT_EQ(url.path, "/3");
    ASSERT_EQ(url.query.size(), 2u);
    EXPECT_EQ(*url.parameter("name"), "a b");
    EXPECT_EQ(url.parameter("absent"), nullptr);
    EXPECT_EQ(url.masked(), "redis://us%40er:***@Cache.example:6380/3?protocol=***&name=***");
    EXPECT_EQ(url.address(6379).text(), "Cache.example:6380");
}

TEST(Url, DefaultsAndLiterals) {
    const auto url = parse_url("http://[2001:db8::7]/x");
    EXPECT_EQ(url.host, "2001:db8::7");
    EXPECT_EQ(url.port, 0);
    EXPECT_EQ(url.address(80).text(), "[2001:db8::7]:80");
    EXPECT_EQ(url.masked(), "http://[2001:db8::7]/x");
    EXPECT_TRUE(url.password.empty());
    const auto only_password = parse_url("rediss://:secret@10.0.0.1");
    EXPECT_EQ(only_password.user, "");
    EXPECT_EQ(only_password.password.reveal(), "secret");
    EXPECT_EQ(only_password.masked(), "rediss://:***@10.0.0.1");
}

TEST(Url, UnixSockets) {
    for (const char* text : {"unix:///run/redis/r.sock?db=2", "redis+unix:///run/redis/r.sock?db=2"}) {
        const auto url = parse_url(text);
        EXPECT_TRUE(url.is_unix());
        EXPECT_EQ(url.address(6379).unix_path, "/run/redis/r.sock");
        EXPECT_EQ(url.address(6379).text(), "unix:/run/redis/r.sock");
        EXPECT_EQ(*url.parameter("db"), "2");
    }
}

TEST(Url, RefusesWithoutRepeatingTheText) {
    for (const char* text :
         {"",
          "redis",
          "localhost:6379",
          "redis://",
          "redis://hunter2@",
          "redis://h:0/",
          "redis://h:70000/",
          "redis://h:6379x/",
          "redis://u:hunter2@[::1/",
          "redis://u:hunter2%zz@h/",
          "redis://u:hun ter2@h/",
          "redis://u:hunter2%00@h/",
          "unix://host/path",
          "unix:///",
          "redis+unix://"}) {
        try {
            const auto url = parse_url(text);
            ADD_FAILURE() << text << " became " << url.masked();
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), "config.invalid") << text;
            EXPECT_EQ(e.kind(), ErrorKind::invalid);
            EXPECT_EQ(e.message().find("hunter2"), std::string::npos);
        }
    }
}

}  // namespace
}  // namespace headrace::net
