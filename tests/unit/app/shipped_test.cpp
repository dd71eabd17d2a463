// What ships with the program is what the program says: pipelines, their JSON Schema, configuration.
#include "app/config.hpp"
#include "app/registry.hpp"
#include "base/error.hpp"
#include "pipeline/parse.hpp"
#include "support/paths.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace headrace::app {
namespace {

std::string read(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Shipped, PipelinesAreValid) {
    const auto files = pipeline::load_folder((support::source_root() / "pipelines").string(), make_registry({}, {}));
    EXPECT_FALSE(files.empty());
    for (const auto& file : files) {
        EXPECT_TRUE(file.ok()) << file.problems.front().text();
    }
}

TEST(Shipped, SchemaIsThatOfTheRegistry) {
    EXPECT_EQ(read(support::source_root() / "pipelines/schema.json"), pipeline::json_schema(make_registry({}, {})))
        << "renew it: headrace check --schema > pipelines/schema.json";
}

TEST(Shipped, AnOptionThatAnotherNeedsIsMissedAtOnce) {
    const auto problem_of = [](const std::string& sink) {
        const auto text =
            "version: 1\nname: p\nsource: { type: clickhouse, credential: c, query: SELECT 1 }\nsinks:\n  - " + sink +
            "\n";
        const auto parsed = pipeline::parse_definition(text, "p.yaml", make_registry({}, {}));
        return parsed.ok() ? std::string() : parsed.problems.front().text();
    };
    EXPECT_EQ(
        problem_of("{ type: redis, as: hash }"),
        "p.yaml:5:13: `sinks[0]` of type redis with `as: hash` needs `field`: as: hash. The column whose value is the "
        "hash field."
    );
    EXPECT_NE(problem_of("{ type: redis, as: zset, member: a }").find("needs `score`"), std::string::npos);
    EXPECT_EQ(problem_of("{ type: redis, as: zset, member: a, score: b }"), "");
    EXPECT_EQ(problem_of("{ type: redis }"), "");
}

// The environment of one test, put back at the end.
class ConfigTest : public testing::Test {
protected:
    void SetUp() override {
        folder_ = std::filesystem::temp_directory_path() / ("headrace-config-" + std::to_string(::getpid()));
        std::filesystem::create_directories(folder_);
        ::setenv("HEADRACE_CONFIG", (folder_ / "headrace.yaml").c_str(), 1);
    }

    void TearDown() override {
        for (const char* name : {"HEADRACE_CONFIG", "DATABASE_URL", "HEADRACE_LEASE", "REDIS_URL"}) {
            ::unsetenv(name);
        }
        std::filesystem::remove_all(folder_);
    }

    void write(const std::string& text) { std::ofstream(folder_ / "headrace.yaml") << text; }

    static std::string problem() {
        try {
            load_config();
            return "";
        } catch (const Error& e) {
            return e.what();
        }
    }

    std::filesystem::path folder_;
};

TEST_F(ConfigTest, EnvironmentWinsAndOriginsAreShown) {
    write("database_url: postgres://a:filesecret@db/x\nredis_url: redis://r:6379/0\nlease: 30s\n");
    ::setenv("DATABASE_URL", "postgres://b:envsecret@db/y", 1);
    const auto config = load_config();
    EXPECT_EQ(config.database_url, "postgres://b:envsecret@db/y");
    EXPECT_EQ(config.cache_redis_url, "redis://r:6379/0");
    EXPECT_EQ(config.lease, std::chrono::seconds(30));
    EXPECT_EQ(config.origins.at("database_url"), "environment DATABASE_URL");
    const auto shown = print_config(config);
    EXPECT_NE(shown.find("postgres://b:***@db/y"), std::string::npos) << shown;
    EXPECT_EQ(shown.find("secret@"), std::string::npos) << shown;
    EXPECT_NE(shown.find("headrace.yaml:3"), std::string::npos) << shown;
}

TEST_F(ConfigTest, SaysWhatIsWrongAndWhere) {
    write("databse_url: x\n");
    EXPECT_NE(
        problem().find("headrace.yaml:1:1: unknown key `databse_url`; did you mean `database_url`?"), std::string::npos
    ) << problem();
    write("lease: 30\n");
    EXPECT_NE(problem().find("lease is `30`: a duration with a unit is wanted"), std::string::npos) << problem();
    write("worker_concurrency: many\n");
    EXPECT_NE(problem().find("a number from 1 to 64 is wanted"), std::string::npos) << problem();
    write("a: [\n");
    EXPECT_NE(problem().find("config.invalid"), std::string::npos) << problem();
    write("{}\n");
    EXPECT_EQ(problem(), "");
    try {
        require("", "DATABASE_URL");
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "config.missing");
        EXPECT_NE(e.hint().find("DATABASE_URL"), std::string::npos);
    }
}

}  // namespace
}  // namespace headrace::app
