// The key template of `as: keys`, and the names that come from it.
#include "sink/redis/key_template.hpp"

#include "base/error.hpp"
#include "pipeline/redis_space.hpp"

#include <gtest/gtest.h>

namespace headrace::sink::redis_sink {
namespace {

std::string key_for(const std::string& text) {
    data::Batch batch(data::Schema{
        {{.name = "id", .kind = data::Kind::int64}, {.name = "name", .kind = data::Kind::string}}});
    batch.column(0).add_int64(-42);
    batch.column(1).add_text("a b");
    auto key = KeyTemplate::parse(text);
    key.bind(batch.schema());
    data::Buffer<char> out;
    key.append(out, batch, 0);
    return std::string(data::view(out));
}

std::string template_problem(const std::string& text) {
    try {
        KeyTemplate::parse(text);
        return "";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "pipeline.invalid");
        return e.message();
    }
}

TEST(KeyTemplate, FillsColumnsIn) {
    EXPECT_EQ(key_for("u:{id}"), "u:-42");
    EXPECT_EQ(key_for("u:{id}:{name}/x"), "u:-42:a b/x");
    EXPECT_EQ(key_for("{{shop}}:u:{id}"), "{shop}:u:-42");
    EXPECT_EQ(key_for("u:{{{id}}}"), "u:{-42}");
}

TEST(KeyTemplate, NamesOfTheOutput) {
    EXPECT_EQ(KeyTemplate::parse("u:{id}:{name}/x").pattern(), "u:*:*/x");
    EXPECT_EQ(KeyTemplate::parse("{{shop}}:u:{id}").tag(), "shop");
    EXPECT_EQ(KeyTemplate::parse("u:{id}").tag(), "");
    EXPECT_EQ(KeyTemplate::parse("u:{{{id}}}").tag(), "") << "every row has another one";
}

TEST(KeyTemplate, SaysWhatIsWrong) {
    EXPECT_NE(template_problem("user").find("needs a column"), std::string::npos);
    EXPECT_NE(template_problem("{id}").find("text of its own"), std::string::npos);
    EXPECT_NE(template_problem("u:{id").find("without its `}`"), std::string::npos);
    EXPECT_NE(template_problem("u:id}").find("without its `{`"), std::string::npos);
    EXPECT_NE(template_problem("u:{}").find("names no column"), std::string::npos);
}

TEST(RedisSpace, SharesTheTagOfTheLiveKey) {
    EXPECT_EQ(pipeline::RedisSpace("7", "cache:t").marker(), "{o:7}:applied");
    EXPECT_EQ(pipeline::RedisSpace("7", "a{b}c{d}").marker(), "{b}:o:7:applied");
    EXPECT_EQ(pipeline::RedisSpace("7", "a{}{d}").marker(), "{o:7}:applied") << "an empty tag is none";
    EXPECT_EQ(pipeline::RedisSpace("7", "a{b").marker(), "{o:7}:applied");
}

}  // namespace
}  // namespace headrace::sink::redis_sink
