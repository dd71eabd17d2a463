// Random damage to a valid file: the parser must answer with problems, never with an exception or a crash.
#include "pipeline/parse.hpp"
#include "test_registry.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <random>

namespace headrace::pipeline {
namespace {

constexpr const char* valid = R"(name: f
tags: &t [a, "b c"]
schedule: { cron: "*/15 * * * *", timezone: Europe/Kyiv, jitter: 30s }
source:
  type: clickhouse
  credential: ch
  query: |
    SELECT 1
  timeout: 1m30s
  settings: { a: 1 }
columns: { a: "int64!", b: "string?" }
transform:
  - rename: { a: b }
  - drop: *t
checks: { min_rows: 10, max_drop: 50% }
sinks:
  - { type: redis, as: json }
retry: { attempts: 4, backoff: 5s }
limits: { memory: 32MiB }
)";

std::string damage(std::string text, std::mt19937_64& random) {
    static constexpr std::string_view bits[] = {
        "\n",  "\t", ": ", "- ",    "{",     "}",         "[",     "]",    "\"",       "'",  "|",  ">", "&a ", "*a",
        "!x ", "#",  "? ", "---\n", "...\n", "%YAML 9\n", "\\x00", "\xff", "\xe2\x82", "<<", "  ", ",", "~"};
    const auto at = [&] { return random() % (text.size() + 1); };
    for (auto count = 1 + random() % 4; count > 0; --count) {
        switch (random() % 6) {
            case 0:
                text.insert(at(), bits[random() % std::size(bits)]);
                break;
            case 1:
                text.erase(at(), random() % 20);
                break;
            case 2:
                if (!text.empty()) {
                    text[random() % text.size()] = static_cast<char>(random());
                }
                break;
            case 3:
                text.insert(at(), text.substr(at(), random() % 40));
                break;
            case 4:
                text.resize(at());
                break;
            default: {
                const auto from = at();
                const auto to = std::min(text.size(), from + random() % 30);
                std::shuffle(
                    text.begin() + static_cast<std::ptrdiff_t>(from),
                    text.begin() + static_cast<std::ptrdiff_t>(to),
                    random
                );
            }
        }
    }
    return text;
}

TEST(Fuzz, DamagedFilesAreProblemsAndNothingElse) {
    const char* given = std::getenv("HEADRACE_SEED");
    const auto seed = given != nullptr ? std::stoul(given) : std::random_device()();
    std::cout << "HEADRACE_SEED=" << seed << std::endl;  // flushed: a parser that hangs must be found again
    std::mt19937_64 random(seed);
    const auto registry = test_registry();
    ASSERT_TRUE(parse_definition(valid, "f.yaml", registry).ok());
    int good = 0;
    for (int i = 0; i < 4000; ++i) {
        const auto text = damage(valid, random);
        const bool as_defaults = i % 8 == 0;
        const auto result = as_defaults ? parse_definition(valid, "f.yaml", registry, text)
                                        : parse_definition(text, "f.yaml", registry);
        const auto lines = std::count(text.begin(), text.end(), '\n') + 2;
        for (const auto& problem : result.problems) {
            ASSERT_GE(problem.place.line, 1) << text;
            ASSERT_LE(problem.place.line, lines) << text << problem.text();
            ASSERT_GE(problem.place.column, 1) << text;
            ASSERT_FALSE(problem.message.empty()) << text;
            ASSERT_EQ(problem.text().find('\n'), std::string::npos) << text;
        }
        if (result.ok()) {
            ++good;
            ASSERT_EQ(result.definition.name, "f");
            ASSERT_EQ(result.definition.source.type.empty(), false) << text;
            ASSERT_FALSE(result.definition.sinks.empty()) << text;
        }
    }
    EXPECT_GT(good, 0) << "no damage was harmless: is the valid file still valid?";
    RecordProperty("good", good);
}

}  // namespace
}  // namespace headrace::pipeline
