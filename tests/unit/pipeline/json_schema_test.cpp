#include "pipeline/parse.hpp"
#include "pipeline/yaml.hpp"
#include "test_registry.hpp"

#include <gtest/gtest.h>

namespace headrace::pipeline {
namespace {

// JSON is YAML, so our own tree can look into it.
TEST(JsonSchema, DescribesTheRegistry) {
    const auto text = json_schema(test_registry());
    const auto document = yaml::load(text);
    ASSERT_TRUE(document.faults.empty()) << document.faults.front().message << text;
    const auto& root = document.root;
    EXPECT_EQ(root.find("$schema")->text, "https://json-schema.org/draft/2020-12/schema");
    EXPECT_EQ(root.find("additionalProperties")->text, "false");
    const auto* properties = root.find("properties");
    const auto& source = properties->find("source")->find("oneOf")->items.at(0);
    EXPECT_EQ(source.find("properties")->find("type")->find("const")->text, "clickhouse");
    EXPECT_EQ(source.find("required")->items.size(), 3u) << "type, credential, query";
    EXPECT_EQ(source.find("additionalProperties")->text, "false");
    EXPECT_EQ(
        source.find("properties")->find("timeout")->find("description")->text, "Time for the query. Default: 5m."
    );
    const auto& sink = root.find("$defs")->find("sink")->find("oneOf")->items.at(0);
    EXPECT_EQ(sink.find("properties")->find("as")->find("enum")->items.size(), 5u);
}

// Every key that the parser knows is in the schema, and no other.
TEST(JsonSchema, KnowsTheKeysOfTheParser) {
    const auto schema = yaml::load(json_schema(test_registry()));
    for (const auto& entry : schema.root.find("properties")->entries) {
        const auto result = parse_definition(entry.key + ": {}\n", "f.yaml", test_registry());
        for (const auto& problem : result.problems) {
            EXPECT_EQ(problem.message.find("unknown key"), std::string::npos) << problem.text();
        }
    }
    EXPECT_EQ(schema.root.find("properties")->entries.size(), 19u);
}

}  // namespace
}  // namespace headrace::pipeline
