#include "redis/resp.hpp"

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <memory>
#include <random>
#include <string>

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

// --- hiredis as the oracle

std::string random_reply(std::mt19937& random, int depth) {
    const auto text = [&](std::size_t most) {
        std::string out(random() % (most + 1), ' ');
        for (char& c : out) {
            c = static_cast<char>('a' + random() % 26);
        }
        return out;
    };
    switch (random() % (depth > 0 ? 8 : 6)) {
        case 0:
            return "+" + text(30) + "\r\n";
        case 1:
            return "-" + text(30) + "\r\n";
        case 2:
            return ":" + std::to_string(static_cast<int>(random())) + "\r\n";
        case 3:
            return random() % 2 == 0 ? "$-1\r\n" : "*-1\r\n";
        case 4: {
            const auto large = text(5000);
            return "$" + std::to_string(large.size()) + "\r\n" + large + "\r\n";
        }
        case 5:
            return "$4\r\n\r\n\r\n\r\n";
        default: {
            const auto count = random() % 12;
            std::string out = "*" + std::to_string(count) + "\r\n";
            for (std::size_t i = 0; i < count; ++i) {
                out += random_reply(random, depth - 1);
            }
            return out;
        }
    }
}

std::string dump(const ReplyPart& part) {
    switch (part.type()) {
        case Reply::Type::nil:
            return "nil";
        case Reply::Type::integer:
            return std::to_string(part.integer());
        case Reply::Type::status:
            return "+" + part.text();
        case Reply::Type::error:
            return "-" + std::string(part.error_text());
        case Reply::Type::bulk:
            return "$" + part.text();
        case Reply::Type::array: {
            std::string out = "[";
            for (const auto& element : part.elements()) {
                out += dump(element) + ",";
            }
            return out + "]";
        }
    }
    return "?";
}

std::string dump(const redisReply& reply) {
    const auto text = [&] { return std::string(reply.str, reply.len); };
    switch (reply.type) {
        case REDIS_REPLY_NIL:
            return "nil";
        case REDIS_REPLY_INTEGER:
            return std::to_string(reply.integer);
        case REDIS_REPLY_STATUS:
            return "+" + text();
        case REDIS_REPLY_ERROR:
            return "-" + text();
        case REDIS_REPLY_STRING:
            return "$" + text();
        default: {
            std::string out = "[";
            for (std::size_t i = 0; i < reply.elements; ++i) {
                out += dump(*reply.element[i]) + ",";
            }
            return out + "]";
        }
    }
}

TEST(Resp, ReadsWhatHiredisReads) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const std::unique_ptr<redisReader, void (*)(redisReader*)> oracle(redisReaderCreate(), redisReaderFree);
    RespReader reader;
    std::size_t compared = 0;
    for (int round = 0; round < 300; ++round) {
        std::string bytes;
        for (auto count = 1 + random() % 4; count > 0; --count) {
            bytes += random_reply(random, 4);
        }
        const std::size_t most = 1 + random() % 3000;
        for (std::size_t at = 0; at < bytes.size();) {
            const auto piece = std::string_view(bytes).substr(at, 1 + random() % most);
            at += piece.size();
            reader.feed(piece);
            ASSERT_EQ(redisReaderFeed(oracle.get(), piece.data(), piece.size()), REDIS_OK);
            for (;;) {
                void* theirs = nullptr;
                ASSERT_EQ(redisReaderGetReply(oracle.get(), &theirs), REDIS_OK);
                const auto ours = reader.next();
                ASSERT_EQ(ours.has_value(), theirs != nullptr);
                if (!ours) {
                    break;
                }
                const std::unique_ptr<redisReply, void (*)(void*)> freed(
                    static_cast<redisReply*>(theirs), freeReplyObject
                );
                ASSERT_EQ(dump(*ours), dump(*freed));
                ++compared;
            }
        }
    }
    EXPECT_GE(compared, 300U);
}

TEST(Resp, RefusesWhatRedisWouldNotSay) {
    for (const std::string_view bytes : {
             "HTTP/1.1 400 Bad Request\r\n",
             "*1000000000\r\n",
             "*-2\r\n",
             "$-7\r\n",
             "$5 \r\nhello\r\n",
             "$3\r\nhello\r\n",
             "$99999999999999999999\r\n",
             ":\r\n",
             ":-\r\n",
             ":1\n",
             ":1\rx",
             "*2\r\n:1\r\n%1\r\n",
         }) {
        SCOPED_TRACE(bytes);
        RespReader reader;
        std::string said;
        try {
            for (const char& byte : bytes) {
                reader.feed({&byte, 1});
                reader.next();
            }
        } catch (const headrace::Error& error) {
            said = error.code();
        }
        EXPECT_EQ(said, "redis.protocol");
    }
}

// A text arrives in pieces of any size; what was announced is not allocated before it comes.
TEST(Resp, AnAnnouncedTextCostsNothingBeforeItComes) {
    RespReader reader;
    reader.feed("$9000000000000000000\r\nabc");
    EXPECT_FALSE(reader.next());
    EXPECT_LT(reader.room(1).size(), 4096U);
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
