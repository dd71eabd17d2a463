#include "pipeline/secret_words.hpp"
#include "pipeline/suggest.hpp"

#include <gtest/gtest.h>

namespace headrace::pipeline {
namespace {

TEST(Suggest, Distance) {
    EXPECT_EQ(edit_distance("", "abc"), 3u);
    EXPECT_EQ(edit_distance("abc", "abc"), 0u);
    EXPECT_EQ(edit_distance("shcedule", "schedule"), 1u) << "two neighbours swapped are one edit";
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
    EXPECT_EQ(edit_distance("ABC", "abc"), 0u);
}

TEST(Suggest, Nearest) {
    constexpr std::string_view words[] = {"schedule", "source", "sinks", "skip", "queue", "as"};
    EXPECT_EQ(nearest("sink", words), "sinks");
    EXPECT_EQ(nearest("Schedule", words), "schedule");
    EXPECT_EQ(nearest("queue_one", words), "queue");
    EXPECT_EQ(nearest("sch", words), "schedule");
    EXPECT_EQ(nearest("banana", words), "");
    EXPECT_EQ(nearest("", words), "");
    EXPECT_EQ(nearest(std::string(1000, 's'), words), "");
    EXPECT_EQ(one_of(std::span(words).first(3)), "`schedule`, `source` or `sinks`");
}

TEST(SecretWords, Names) {
    for (const auto name :
         {"password",
          "PASSWORD",
          "db_password",
          "apiKey",
          "api-key",
          "X-Api-Key",
          "clientSecret",
          "private_key",
          "Authorization",
          "token",
          "access.token",
          "key_file",
          "serviceAccount"}) {
        EXPECT_TRUE(is_secret_name(name)) << name;
    }
    for (const auto name :
         {"key",
          "keys",
          "tokens",
          "page_tokens",
          "credential",
          "author",
          "passengers",
          "member",
          "secretary",
          "type"}) {
        EXPECT_FALSE(is_secret_name(name)) << name;
    }
}

TEST(SecretWords, Values) {
    for (const auto text :
         {"postgres://etl:hunter2@db/x",
          "see redis://:pw@h:6379 there",
          "Bearer abcdefghijk",
          "basic dXNlcjpwdw==",
          "-----BEGIN RSA PRIVATE KEY-----\nx",
          "{\"private_key\": \"x\"}",
          "https://h/x?a=1&api_key=zzz",
          "http://h/?token=1"}) {
        EXPECT_TRUE(is_secret_value(text)) << text;
    }
    for (const auto text :
         {"https://host:8123/path?page=1",
          "https://user@host/x",
          "select '://' as a, 'x@y:z'",
          "bearer of news is here",
          "https://h/?token=&x=1",
          "price > 0 and token = 'a'",
          "https://h/a:b@c"}) {
        EXPECT_FALSE(is_secret_value(text)) << text;
    }
}

}  // namespace
}  // namespace headrace::pipeline
