#include "auth/session_json.hpp"

#include <gtest/gtest.h>

namespace headrace::auth {
namespace {

// As the plugin wrote it.
constexpr std::string_view fastify =
    R"({"cookie":{"expires":"2026-11-22T03:05:15.104Z","originalMaxAge":28800000,"sameSite":"lax","secure":false,"path":"/",)"
    R"("httpOnly":true,"domain":null},"userId":42,"user":{"id":42,"email":"ana@example.com","roles":["viewer","admin","x"]}})";

TEST(SessionJson, reads_what_fastify_wrote) {
    const auto session = read_session(fastify);
    ASSERT_TRUE(session);
    EXPECT_EQ(format_rfc3339(*session->expires), "2026-11-22T03:05:15.104Z");
    EXPECT_EQ(session->max_age, std::chrono::hours(8));
    EXPECT_EQ(session->user_id, "42");
    EXPECT_EQ(session->name, "ana@example.com");
    EXPECT_EQ(session->role, Role::admin);
    EXPECT_EQ(session->cookie.same_site, "Lax");
    EXPECT_TRUE(session->cookie.domain.empty());
}

TEST(SessionJson, reads_the_short_forms) {
    EXPECT_EQ(read_session(R"({"userId":9})")->user_id, "9");
    EXPECT_EQ(read_session(R"({"cookie":{},"userId":"u"})")->user_id, "u");
    EXPECT_FALSE(read_session(R"({"cookie":{"expires":null,"originalMaxAge":null},"userId":1})")->expires);
    EXPECT_TRUE(read_session(R"({"cookie":{}})")->user_id.empty());
    EXPECT_EQ(read_session(R"({"user":{"id":7,"name":"Ana","role":"operator"}})")->role, Role::op);
    EXPECT_FALSE(read_session(R"({"userId":1,"user":{"role":"root"}})")->role);
}

TEST(SessionJson, refuses_what_is_no_session) {
    for (const auto* text :
         {"", "x", "[]", "1", R"({"cookie":5})", R"({"cookie":{"expires":5}})", R"({"cookie":{"expires":"soon"}})"}) {
        EXPECT_FALSE(read_session(text)) << text;
    }
}

TEST(SessionJson, splices_the_time_and_nothing_else) {
    const auto later = parse_rfc3339("2026-11-22T05:00:00.007Z").value();
    auto expected = std::string(fastify);
    expected.replace(expected.find("2026"), 24, "2026-11-22T05:00:00.007Z");
    EXPECT_EQ(with_expires(fastify, later), expected);
    // A look-alike before it, escapes, numbers beyond doubles and empty arrays stay as they are.
    const std::string odd =
        R"({ "a" : {"expires":"2026-11-22T03:05:15.104Z","roles":[] , "n":9007199254740993, "q":"\"}{"} ,)"
        R"( "cookie" : {"path":"/","x":{"expires":1}, "expires" : "2026-11-22T03:05:15.104Z"} , "z":[{}]})";
    auto changed = odd;
    changed.replace(changed.rfind("2026"), 24, "2026-11-22T05:00:00.007Z");
    EXPECT_EQ(with_expires(odd, later), changed);
    EXPECT_FALSE(with_expires(R"({"cookie":{"expires":null}})", later));
    EXPECT_FALSE(with_expires(R"({"userId":1})", later));
}

TEST(SessionJson, writes_the_full_form) {
    const auto expires = parse_rfc3339("2026-11-22T03:05:15.104Z").value();
    const auto text = make_session({"dev", "dev", Role::admin}, expires, std::chrono::hours(8), false);
    EXPECT_EQ(
        text,
        R"({"cookie":{"expires":"2026-11-22T03:05:15.104Z","originalMaxAge":28800000,"sameSite":"lax","secure":false,"path":"/",)"
        R"("httpOnly":true,"domain":null},"userId":"dev","user":{"name":"dev","role":"admin"}})"
    );
    EXPECT_EQ(read_session(text)->role, Role::admin);
}

}  // namespace
}  // namespace headrace::auth
