#include "redis/resp.hpp"

#include <gtest/gtest.h>

#include <random>

using namespace headrace::redis;

namespace {

std::string command(std::initializer_list<std::string_view> args) {
    std::string out;
    append_command(out, {args.begin(), args.size()});
    return out;
}

Reply parse(std::string_view bytes) {
    RespReader reader;
    reader.feed(bytes);
    return reader.next().value();
}

TEST(Resp, FormatsCommandsWithBinaryArguments) {
    EXPECT_EQ(command({"SET", "k", ""}), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    const std::string binary("a\0\r\n", 4);
    EXPECT_EQ(command({"ECHO", binary}), "*2\r\n$4\r\nECHO\r\n$4\r\n" + binary + "\r\n");
    std::string out;
    append_head(out, 2);
    append_argument(out, std::int64_t{-9223372036854775807LL - 1});
    append_argument(out, std::int64_t{0});
    EXPECT_EQ(out, "*2\r\n$20\r\n-9223372036854775808\r\n$1\r\n0\r\n");
}

TEST(Resp, ReadsEveryType) {
    EXPECT_EQ(parse("+OK\r\n").str(), "OK");
    EXPECT_EQ(parse(":-42\r\n").integer(), -42);
    EXPECT_EQ(parse("$3\r\na\nb\r\n").str(), "a\nb");
    EXPECT_EQ(parse("$2\r\n17\r\n").integer(), 17);
    EXPECT_TRUE(parse("$-1\r\n").is_nil());
    EXPECT_TRUE(parse("*-1\r\n").is_nil());
    EXPECT_TRUE(parse("*0\r\n").elements().empty());
    EXPECT_EQ(parse("-ERR no\r\n").error_text(), "ERR no");
    auto nested = parse("*3\r\n*2\r\n$1\r\na\r\n:1\r\n$-1\r\n*1\r\n*1\r\n+x\r\n");
    EXPECT_EQ(nested.at(0).at(1).integer(), 1);
    EXPECT_TRUE(nested.at(1).is_nil());
    EXPECT_EQ(nested.at(2).at(0).at(0).str(), "x");
    EXPECT_THROW(nested.at(3), headrace::Error);
    EXPECT_THROW(nested.at(0).str(), headrace::Error);
    EXPECT_THROW(parse("$2\r\nxy\r\n").integer(), headrace::Error);
}

TEST(Resp, AnyCutOfTheStreamGivesTheSameReplies) {
    const std::string bytes = "*2\r\n$5\r\nhello\r\n*1\r\n:7\r\n+OK\r\n-OOM x\r\n$0\r\n\r\n";
    const auto seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 200; ++round) {
        RespReader reader;
        std::vector<Reply> replies;
        for (std::size_t at = 0; at < bytes.size();) {
            const auto size = std::min<std::size_t>(bytes.size() - at, 1 + random() % 6);
            reader.feed(std::string_view(bytes).substr(at, size));
            at += size;
            while (auto reply = reader.next()) {
                replies.push_back(std::move(*reply));
            }
        }
        ASSERT_EQ(replies.size(), 4U);
        EXPECT_EQ(replies[0].at(0).str(), "hello");
        EXPECT_EQ(replies[0].at(1).at(0).integer(), 7);
        EXPECT_EQ(replies[1].type(), Reply::Type::status);
        EXPECT_TRUE(replies[2].is_error());
        EXPECT_EQ(replies[3].str(), "");
    }
}

TEST(Resp, RefusesWhatIsNotRedis) {
    RespReader reader;
    reader.feed("HTTP/1.1 400 Bad Request\r\n");
    EXPECT_THROW(reader.next(), headrace::Error);
    RespReader huge;
    huge.feed("*1000000000\r\n");
    EXPECT_THROW(huge.next(), headrace::Error);
}

TEST(Reply, ErrorsHaveKinds) {
    auto kind_and_code = [](const std::string& text) {
        auto error = error_of(parse("-" + text + "\r\n"));
        return std::string(to_string(error.kind())) + " " + error.code();
    };
    EXPECT_EQ(kind_and_code("OOM command not allowed when used memory > 'maxmemory'."), "transient sink.redis_oom");
    EXPECT_EQ(
        kind_and_code("ERR Error running script: OOM command not allowed when used memory"), "transient sink.redis_oom"
    );
    EXPECT_EQ(kind_and_code("NOAUTH Authentication required."), "unauthorized redis.auth");
    EXPECT_EQ(kind_and_code("WRONGPASS invalid username-password pair"), "unauthorized redis.auth");
    EXPECT_EQ(kind_and_code("LOADING Redis is loading the dataset in memory"), "transient redis.command");
    EXPECT_EQ(kind_and_code("READONLY You can't write against a read only replica."), "transient redis.command");
    EXPECT_EQ(kind_and_code("MISCONF Redis is configured to save RDB snapshots"), "transient redis.command");
    EXPECT_EQ(kind_and_code("WRONGTYPE Operation against a key"), "permanent redis.command");
    EXPECT_EQ(kind_and_code("ERR unknown command"), "permanent redis.command");
}

}  // namespace
