#include "pipeline/yaml.hpp"

#include <gtest/gtest.h>

namespace headrace::pipeline::yaml {
namespace {

std::string faults(std::string_view text) {
    std::string out;
    for (const auto& fault : load(text).faults) {
        out += std::to_string(fault.mark.line) + ":" + std::to_string(fault.mark.column) + " " + fault.message + "\n";
    }
    return out;
}

TEST(Yaml, PlacesOfKeysAndValues) {
    const auto document = load("a: 1\nключ: {б: [x,   y]}\n");
    ASSERT_TRUE(document.faults.empty());
    const auto* entry = document.root.entry("ключ");
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->mark.line, 2);
    EXPECT_EQ(entry->mark.column, 1);
    const auto& list = *entry->value.find("б");
    EXPECT_EQ(list.items[1].mark.column, 17) << "columns count characters, not bytes";
    EXPECT_TRUE(list.items[1].plain);
    EXPECT_FALSE(load("a: '1'").root.find("a")->plain);
    EXPECT_TRUE(load("a: ~").root.find("a")->is_null());
    EXPECT_EQ(load("a: !!str 5").root.find("a")->text, "5");
}

TEST(Yaml, KeysWrittenTwice) {
    EXPECT_EQ(
        faults("a: 1\nb: {c: 1, c: 2}\na: 2\n"),
        "2:11 `c` is written twice; the first is on line 2\n3:1 `a` is written twice; the first is on line 1\n"
    );
    EXPECT_EQ(load("a: 1\na: 2\n").root.find("a")->text, "1");
}

TEST(Yaml, AnchorsAndAliases) {
    const auto document = load("a: &x {k: [1, 2]}\nb: *x\n");
    ASSERT_TRUE(document.faults.empty());
    EXPECT_EQ(document.root.find("b")->find("k")->items.size(), 2u);
    EXPECT_EQ(faults("a: &x [*x]\n"), "1:8 this alias points to a value that contains it\n");
    EXPECT_EQ(faults("a: *nowhere\n").find("1:4 not valid YAML"), 0u);
    EXPECT_NE(faults("base: &b {k: 1}\na: {<<: *b}\n").find("merge keys"), std::string::npos);
}

TEST(Yaml, AFileThatUnfoldsWithoutEndIsRefused) {
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; ++i) {
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; ++j) {
            text += (j > 0 ? ", *a" : "*a") + std::to_string(i - 1);
        }
        text += "]\n";
    }
    EXPECT_NE(faults(text).find("too many values"), std::string::npos);
    const auto large = "a: &a \"" + std::string(200'000, 'x') + "\"\nb: [*a, *a, *a, *a, *a, *a]\n";
    EXPECT_NE(faults(large).find("too many values"), std::string::npos);
    EXPECT_NE(faults(std::string(40, '[')).find("nested more than 32"), std::string::npos);
    EXPECT_NE(faults(std::string(200'000, '[')).find("nested"), std::string::npos);
    EXPECT_NE(faults(std::string(max_text + 1, ' ')).find("larger than 256 KiB"), std::string::npos);
}

TEST(Yaml, RefusesWhatIsNotText) {
    EXPECT_EQ(faults("a: \xff\n"), "1:1 the file is not UTF-8 text\n");
    EXPECT_EQ(faults(std::string_view("a: 1\nb: \0\n", 9)), "2:1 there is a control character in this line\n");
    EXPECT_EQ(faults("a: \"\\e[31m\"\n"), "1:4 control characters are not allowed, not even escaped\n");
    EXPECT_EQ(faults("a: !secret x\n").find("1:"), 0u);
    EXPECT_NE(faults("a: !secret x\n").find("tags"), std::string::npos);
    EXPECT_NE(faults("? [a, b]\n: 1\n").find("a key must be one word"), std::string::npos);
}

// yaml-cpp alone would never return from these.
TEST(Yaml, ACommaInThePlaceOfADocumentEnds) {
    EXPECT_EQ(faults("a: 1\n---\n,"), "2:1 one file holds one document; a second one starts here\n");
    EXPECT_NE(faults("  b: 1\n,a: 1\n").find("2:1 not valid YAML: this comma"), std::string::npos)
        << faults("  b: 1\n,a: 1\n");
    EXPECT_NE(faults("}\n"), "");
    EXPECT_NE(faults("a: {}}\nb: 1\n"), "");
}

TEST(Yaml, SyntaxFaultsHaveAPlaceAndAHint) {
    EXPECT_EQ(faults("a: 1\n---\nb: 2\n").find("2:1 one file holds one document"), 0u) << faults("a: 1\n---\nb: 2\n");
    EXPECT_EQ(faults("---\na: 1\n"), "");
    EXPECT_NE(faults("a:\n\tb: 1\n").find("line 2 is indented with a tab"), std::string::npos)
        << faults("a:\n\tb: 1\n");
    EXPECT_NE(faults("a:\n  b: 1\n\tc: 1\n").find("tab"), std::string::npos) << faults("a:\n  b: 1\n\tc: 1\n");
    EXPECT_NE(
        faults("a: b: c\n").find("1:5 not valid YAML: illegal map value; a text with `: ` in it needs quotes"),
        std::string::npos
    ) << faults("a: b: c\n");
    EXPECT_NE(faults("a: [1, 2\n").find("2:1 not valid YAML"), std::string::npos) << faults("a: [1, 2\n");
    EXPECT_NE(faults("a: 1\n  b: 2\n").find("2:"), std::string::npos) << faults("a: 1\n  b: 2\n");
    EXPECT_EQ(load("q: |\n  select\n  \tx\n").root.find("q")->text, "select\n\tx\n")
        << "tabs inside of a block are text";
    EXPECT_EQ(load("a: 1\r\nb: 2\r\n").root.find("b")->text, "2");
    EXPECT_EQ(
        load("\xEF\xBB\xBF"
             "a: 1\n")
            .root.find("a")
            ->text,
        "1"
    ) << "byte order mark";
}

}  // namespace
}  // namespace headrace::pipeline::yaml
