// The api without its servers: what it says then, and what needs none.
#include "api/api.hpp"

#include "api/services.hpp"
#include "auth/cookie.hpp"
#include "base/ids.hpp"
#include "support/nowhere.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace headrace::api {
namespace {

namespace fs = std::filesystem;
const Secret secret("0123456789abcdef0123456789abcdef");

class ApiTest : public ::testing::Test {
protected:
    ApiTest() {
        folder_ = fs::temp_directory_path() / ("headrace-api-test-" + make_uuid_v4());
        fs::create_directories(folder_ / "assets");
        write("index.html", "<!doctype html><title>page</title>");
        write("assets/app-1a2b.js", "1");
        write("assets/app-1a2b.js.gz", "zipped");
        write(".secret", "no");
        fs::create_symlink("/etc/passwd", folder_ / "passwd");
        api_ = std::make_unique<Api>(Dependencies{
            .db = db_,
            .redis = support::no_redis(),
            .sessions = {.secrets = {secret}},
            .send_jobs = {},
            .web_folder = folder_.string(),
            .dev_login = true,
            .version = "1",
            .commit = {},
            .hosts = {"localhost", "127.0.0.1", "[::1]"}});
    }

    ~ApiTest() override { fs::remove_all(folder_); }

    void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }

    net::Response ask(
        std::string method,
        std::string path,
        std::initializer_list<net::HttpHeaders::Field> headers = {},
        std::string body = {}
    ) {
        net::Request request;
        request.method = std::move(method);
        request.path = std::move(path);
        request.headers = headers;
        if (!request.headers.has("Host")) {
            request.headers.add("Host", "localhost:8080");
        }
        request.body = std::move(body);
        request.id = "r1";
        request.remote = "127.0.0.1";
        return api_->handle(request);
    }

    static std::string code(const net::Response& response) {
        return std::string(boost::json::parse(response.body).at("code").as_string());
    }

    fs::path folder_;
    postgres::Pool db_{{.url = "host=127.0.0.1 port=1 dbname=none"}, 1};
    std::unique_ptr<Api> api_;
};

TEST_F(ApiTest, lives_without_its_servers_and_is_not_ready) {
    EXPECT_EQ(ask("GET", "/api/health/live").status, 200);
    const auto ready = ask("GET", "/api/health/ready");
    EXPECT_EQ(ready.status, 503);
    EXPECT_EQ(boost::json::parse(ready.body).at("status"), "failing");
    const auto metrics = ask("GET", "/api/metrics");
    EXPECT_EQ(metrics.status, 200);
    EXPECT_NE(metrics.body.find("headrace_up{server=\"redis\"} 0"), std::string::npos) << metrics.body;
    EXPECT_NE(metrics.body.find("headrace_http_requests_total{status=\"503\"} 1"), std::string::npos) << metrics.body;
    EXPECT_EQ(ask("GET", "/api/metrics", {{"X-Forwarded-For", "8.8.8.8"}}).status, 403);
}

TEST_F(ApiTest, F57_fails_closed_when_redis_is_away) {
    for (const auto& route : api_->router().routes()) {
        if (route.policy.is_public()) {
            continue;
        }
        auto path = route.pattern;
        if (const auto at = path.find('{'); at != std::string::npos) {
            path.replace(at, path.find('}') - at + 1, "x");
        }
        const auto anonymous = ask(route.method, path);
        EXPECT_EQ(anonymous.status, 401) << path;
        EXPECT_EQ(anonymous.headers.get("Set-Cookie"), "");
        const auto forged =
            ask(route.method, path, {{"Cookie", "mc.sid=" + std::string(32, 'A') + "." + std::string(43, 'A')}});
        EXPECT_EQ(forged.status, 401) << path;
        EXPECT_NE(forged.headers.get("Set-Cookie").find("Max-Age=0"), std::string::npos) << "a dead cookie is cleared";
        const auto signed_one =
            ask(route.method, path, {{"Cookie", "mc.sid=" + auth::sign(std::string(32, 'A'), secret)}});
        EXPECT_EQ(signed_one.status, 503) << path;
        EXPECT_EQ(code(signed_one), "api.unavailable");
    }
    const auto login =
        ask("POST", "/api/auth/dev-login", {{"Content-Type", "application/json"}}, R"({"token":"0123456789abcdef0123"})"
        );
    EXPECT_EQ(login.status, 503);
}

TEST_F(ApiTest, puts_the_safety_headers_on_everything) {
    for (const auto* path :
         {"/api/health/live", "/api/nothing", "/etl", "/assets/app-1a2b.js", "/nothing", "/api/etl/runs"}) {
        const auto response = ask("GET", path);
        EXPECT_NE(response.headers.get("Content-Security-Policy").find("style-src 'self'"), std::string::npos) << path;
        EXPECT_EQ(response.headers.get("X-Content-Type-Options"), "nosniff") << path;
        EXPECT_EQ(response.headers.get("X-Request-Id"), "r1");
        EXPECT_EQ(response.headers.get("Cache-Control") == "no-store", std::string_view(path).starts_with("/api"))
            << path;
    }
}

TEST_F(ApiTest, refuses_methods_paths_and_hosts_it_does_not_know) {
    EXPECT_EQ(ask("GET", "/api/nothing").status, 404);
    EXPECT_EQ(ask("GET", "/api").status, 404);
    const auto method = ask("DELETE", "/api/health/live");
    EXPECT_EQ(method.status, 405);
    EXPECT_EQ(method.headers.get("Allow"), "GET, HEAD");
    EXPECT_EQ(ask("POST", "/etl").status, 405);
    EXPECT_EQ(ask("TRACE", "/etl").status, 405);
    EXPECT_EQ(ask("GET", "/api/health/live", {{"Host", "evil.example:8080"}}).status, 400);
    EXPECT_EQ(ask("GET", "/api/health/live", {{"Host", "[::1]:8080"}}).status, 200);
    EXPECT_EQ(ask("GET", "/api/health/live", {{"Host", "LOCALHOST"}}).status, 200);
    EXPECT_EQ(ask("GET", "/api/health/live", {{"Accept", "text/html"}}).status, 406);
}

TEST_F(ApiTest, login_from_another_site_is_refused) {
    const auto login = [&](std::initializer_list<net::HttpHeaders::Field> headers) {
        return ask("POST", "/api/auth/dev-login", headers, R"({"token":"0123456789abcdef0123"})").status;
    };
    EXPECT_EQ(login({{"Content-Type", "application/json"}, {"Sec-Fetch-Site", "cross-site"}}), 403);
    EXPECT_EQ(login({{"Content-Type", "application/json"}, {"Sec-Fetch-Site", "same-site"}}), 403);
    EXPECT_EQ(login({{"Content-Type", "application/json"}, {"Origin", "http://evil.example"}}), 403);
    EXPECT_EQ(login({{"Content-Type", "application/json"}, {"Origin", "null"}}), 403);
    EXPECT_EQ(login({{"Content-Type", "text/plain"}, {"Sec-Fetch-Site", "same-origin"}}), 415);
    EXPECT_EQ(login({{"Content-Type", "application/json"}, {"Origin", "http://localhost:8080"}}), 503);
}

TEST_F(ApiTest, previews_cron_without_a_database) {
    const auto match = api_->router().match("GET", "/api/etl/cron/preview");
    auth::Session session;
    net::Request request;
    const auto preview = [&](std::vector<std::pair<std::string, std::string>> query) {
        request.query = std::move(query);
        return match.route->handler(Call{request, {}, &session});
    };
    const auto json =
        boost::json::parse(preview({{"expr", "*/15 * * * *"}, {"tz", "Europe/Kyiv"}, {"count", "3"}}).body).as_object();
    EXPECT_EQ(json.at("next").as_array().size(), 3u);
    EXPECT_FALSE(json.at("text").as_string().empty());
    try {
        preview({{"expr", "61 * * * *"}, {"tz", "UTC"}});
        FAIL();
    } catch (const Problem& problem) {
        EXPECT_EQ(problem.code(), "schedule.bad_cron");
        EXPECT_EQ(problem.errors().at(0).pointer, "#/expr");
    }
    try {
        preview({{"expr", "* * * * *"}, {"tz", "Europe/Kiew"}});
        FAIL();
    } catch (const Problem& problem) {
        EXPECT_EQ(problem.code(), "schedule.bad_zone");
        EXPECT_EQ(problem.errors().at(0).pointer, "#/tz");
    }
    EXPECT_THROW(preview({{"expr", "* * * * *"}}), Problem);
}

TEST_F(ApiTest, serves_the_page_and_only_the_page) {
    for (const auto* path : {"/etl", "/etl/runs/1", "/credentials", "/login", "/index.html"}) {
        const auto page = ask("GET", path);
        EXPECT_EQ(page.status, 200) << path;
        EXPECT_TRUE(page.file.ends_with("/index.html")) << path;
        EXPECT_EQ(page.headers.get("Cache-Control"), "no-cache");
    }
    EXPECT_EQ(ask("GET", "/").headers.get("Location"), "/etl");
    EXPECT_EQ(ask("GET", "/robots.txt").body, "User-agent: *\nDisallow: /\n");
    for (const auto* path :
         {"/etlx",
          "/nothing",
          "/.secret",
          "/passwd",
          "/../api_test.cpp",
          "/assets",
          "/assets/",
          "/assets/app-1a2b.js.gz"}) {
        const auto missing = ask("GET", path);
        EXPECT_EQ(missing.status, 404) << path;
        EXPECT_TRUE(missing.file.empty()) << path;
    }
}

TEST_F(ApiTest, lets_browsers_keep_assets_and_compares_etags) {
    const auto plain = ask("GET", "/assets/app-1a2b.js");
    EXPECT_EQ(plain.headers.get("Cache-Control"), "public, max-age=31536000, immutable");
    EXPECT_EQ(plain.headers.get("Vary"), "Accept-Encoding");
    EXPECT_TRUE(plain.file.ends_with(".js"));
    const auto zipped = ask("GET", "/assets/app-1a2b.js", {{"Accept-Encoding", "br, gzip"}});
    EXPECT_EQ(zipped.headers.get("Content-Encoding"), "gzip");
    EXPECT_TRUE(zipped.file.ends_with(".js.gz"));
    EXPECT_NE(zipped.headers.get("ETag"), plain.headers.get("ETag"));
    EXPECT_TRUE(ask("GET", "/assets/app-1a2b.js", {{"Accept-Encoding", "gzip;q=0"}}).file.ends_with(".js"));
    const auto again = ask("GET", "/assets/app-1a2b.js", {{"If-None-Match", std::string(plain.headers.get("ETag"))}});
    EXPECT_EQ(again.status, 304);
    EXPECT_TRUE(again.file.empty());
}

TEST_F(ApiTest, notices_a_new_build_and_a_missing_one) {
    EXPECT_EQ(ask("GET", "/etl").status, 200);
    write("assets/new.js", "2");
    fs::last_write_time(folder_ / "index.html", fs::file_time_type::clock::now() + std::chrono::hours(1));
    EXPECT_EQ(ask("GET", "/assets/new.js").status, 200);
    fs::remove(folder_ / "index.html");
    const auto missing = ask("GET", "/etl");
    EXPECT_EQ(missing.status, 503);
    EXPECT_NE(missing.body.find("npm run build"), std::string::npos);
}

TEST_F(ApiTest, login_attempts_are_limited) {
    int limited = 0;
    for (int i = 0; i < 25; ++i) {
        const auto response = ask("POST", "/api/auth/dev-login", {{"Content-Type", "application/json"}}, "{}");
        limited += response.status == 429 && response.headers.get("Retry-After") == "60" ? 1 : 0;
    }
    EXPECT_EQ(limited, 5);
}

TEST(ApiSecrets, must_be_there_and_long) {
    postgres::Pool db({.url = "host=127.0.0.1 port=1"}, 1);
    EXPECT_THROW(Api({.db = db, .redis = support::no_redis(), .sessions = {}}), Error);
    EXPECT_THROW(Api({.db = db, .redis = support::no_redis(), .sessions = {.secrets = {Secret("short")}}}), Error);
}

}  // namespace
}  // namespace headrace::api
