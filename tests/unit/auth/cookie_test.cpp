#include "auth/cookie.hpp"

#include <gtest/gtest.h>

namespace headrace::auth {
namespace {

const std::vector<Secret> secrets = {Secret("0123456789abcdef0123456789abcdef")};

// Values that @fastify/session itself made with this secret.
constexpr std::string_view vectors[][2] = {
    {"RuegAlAv9OHl11OBGWk6EuWLyToYumwk",
     "RuegAlAv9OHl11OBGWk6EuWLyToYumwk.hpltmBajfSPDO6C3AiwrkF0KPYW4Urs/Raj/KVGmQew"},
    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.uOfgK0RvdGYeyg7PhdzTNVggN/7McABH5DjNLOdRJ2Q"},
};

TEST(Cookie, signs_as_the_fastify_plugin_does) {
    for (const auto& [sid, value] : vectors) {
        EXPECT_EQ(sign(sid, secrets[0]), value);
    }
}

TEST(Cookie, unsigns_the_raw_and_the_percent_encoded_dialect) {
    for (const auto& [sid, value] : vectors) {
        const auto raw = unsign(value, secrets);
        ASSERT_TRUE(raw);
        EXPECT_EQ(raw->sid, sid);
        EXPECT_FALSE(raw->old_secret);
    }
    const auto encoded =
        unsign("RuegAlAv9OHl11OBGWk6EuWLyToYumwk.hpltmBajfSPDO6C3AiwrkF0KPYW4Urs%2FRaj%2FKVGmQew", secrets);
    ASSERT_TRUE(encoded);
    EXPECT_EQ(encoded->sid, vectors[0][0]);
}

TEST(Cookie, refuses_every_changed_character) {
    const std::string good(vectors[0][1]);
    for (std::size_t i = 0; i < good.size(); ++i) {
        auto bad = good;
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        EXPECT_FALSE(unsign(bad, secrets)) << bad;
    }
    EXPECT_FALSE(unsign(good + "=", secrets));
    EXPECT_FALSE(unsign(good.substr(0, good.size() - 1), secrets));
    EXPECT_FALSE(unsign("", secrets));
    EXPECT_FALSE(unsign(".", secrets));
    EXPECT_FALSE(unsign("%", secrets));
    EXPECT_FALSE(unsign(std::string(100'000, 'a'), secrets));
}

TEST(Cookie, never_lets_an_odd_id_through_even_when_it_is_signed) {
    for (const auto* id :
         {"*",
          "a:b",
          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA*",
          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
          "AAAAAAAAAAAAAAAA\r\nDEL x AAAAAAA"}) {
        EXPECT_FALSE(unsign(sign(id, secrets[0]), secrets)) << id;
    }
    EXPECT_TRUE(unsign(sign("short", secrets[0]), secrets, 5));
}

TEST(Cookie, accepts_an_old_secret_and_says_so) {
    const std::vector<Secret> rotated = {Secret("ffffffffffffffffffffffffffffffff"), secrets[0]};
    const auto hit = unsign(vectors[0][1], rotated);
    ASSERT_TRUE(hit);
    EXPECT_TRUE(hit->old_secret);
    EXPECT_FALSE(unsign(vectors[0][1], {rotated[0]}));
}

TEST(Cookie, finds_the_first_of_a_name) {
    EXPECT_EQ(find_cookie("a=1; mc.sid=x; mc.sid=y", "mc.sid"), "x");
    EXPECT_EQ(find_cookie("mc.sid=\"q\"", "mc.sid"), "q");
    EXPECT_EQ(find_cookie("xmc.sid=1;mc.sid = 2 ", "mc.sid"), "2");
    EXPECT_EQ(find_cookie("mc.sid", "mc.sid"), std::nullopt);
    EXPECT_EQ(find_cookie("", "mc.sid"), std::nullopt);
}

TEST(Cookie, writes_attributes_in_the_order_of_the_plugin) {
    const auto expires = parse_rfc3339("2026-11-22T03:05:15.104Z").value();
    EXPECT_EQ(
        set_cookie("mc.sid", "v", {}, expires),
        "mc.sid=v; Path=/; Expires=Sun, 22 Nov 2026 03:05:15 GMT; HttpOnly; SameSite=Lax"
    );
    CookieAttributes secure{.path = "/", .domain = "x.org", .same_site = "Strict", .http_only = true, .secure = true};
    EXPECT_EQ(
        set_cookie("mc.sid", "v", secure, std::nullopt),
        "mc.sid=v; Domain=x.org; Path=/; HttpOnly; Secure; SameSite=Strict"
    );
    EXPECT_EQ(
        clear_cookie("mc.sid", {}),
        "mc.sid=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax"
    );
}

TEST(Cookie, hashes) {
    EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace headrace::auth
