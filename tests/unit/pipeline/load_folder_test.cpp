#include "base/error.hpp"
#include "base/ids.hpp"
#include "pipeline/parse.hpp"
#include "test_registry.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace headrace::pipeline {
namespace {

namespace fs = std::filesystem;

class LoadFolder : public testing::Test {
protected:
    void SetUp() override { fs::create_directories(folder_); }

    void TearDown() override { fs::remove_all(folder_); }

    void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }

    static std::string valid(const std::string& name) {
        return "name: " + name + "\nsource: {type: http, url: u}\nsinks: {type: redis, as: json}\n";
    }

    fs::path folder_ = fs::temp_directory_path() / ("headrace-folder-" + make_uuid_v4());
};

TEST_F(LoadFolder, ReadsFilesInOrderWithTheirDefaults) {
    write("b.yaml", valid("b"));
    write("a.yaml", valid("a"));
    write("_defaults.yaml", "timeout: 7m\n");
    write(".hidden.yaml", "x");
    write("notes.txt", "x");
    write("schema.json", "{}");
    const auto all = load_folder(folder_.string(), test_registry());
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].definition.name, "a");
    EXPECT_EQ(all[1].definition.name, "b");
    EXPECT_TRUE(all[0].ok()) << all[0].problems.front().text();
    EXPECT_EQ(all[1].definition.timeout, std::chrono::minutes(7));
    EXPECT_EQ(all[0].definition.place.file, (folder_ / "a.yaml").string());
}

TEST_F(LoadFolder, OneBadFileDoesNotHideTheOthers) {
    write("a.yaml", "name: [\n");
    write("b.yaml", valid("b"));
    write("c.yml", valid("c"));
    write("d.yaml", valid("b"));
    write("huge.yaml", std::string(300 * 1024, '#'));
    fs::create_directory(folder_ / "dir.yaml");
    const auto all = load_folder(folder_.string(), test_registry());
    ASSERT_EQ(all.size(), 6u);
    EXPECT_FALSE(all[0].ok());
    EXPECT_EQ(all[0].definition.name, "a") << "a broken file keeps a name to be shown under";
    EXPECT_TRUE(all[1].ok());
    EXPECT_NE(all[2].problems.at(0).message.find("rename it to c.yaml"), std::string::npos);
    EXPECT_NE(all[3].problems.at(0).message.find("must be that of the file"), std::string::npos);
    EXPECT_NE(all[3].problems.at(1).message.find("is also that of"), std::string::npos);
    EXPECT_NE(all[4].problems.at(0).message.find("cannot be read"), std::string::npos);
    EXPECT_NE(all[5].problems.at(0).message.find("larger than"), std::string::npos);
}

TEST_F(LoadFolder, AFolderThatIsNotThere) {
    try {
        load_folder((folder_ / "none").string(), test_registry());
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "config.invalid");
    }
}

}  // namespace
}  // namespace headrace::pipeline
