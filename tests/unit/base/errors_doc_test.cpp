#include "base/errors_doc.hpp"

#include "support/paths.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace headrace {
namespace {

// HEADRACE_UPDATE_DOCS=1 writes the page instead of comparing it.
TEST(ErrorsDoc, ThePageIsThatOfTheCodes) {
    const auto root = support::source_root();
    const auto page = root / "docs" / "errors.md";
    if (std::getenv("HEADRACE_UPDATE_DOCS") != nullptr) {
        std::ofstream(page, std::ios::binary) << errors_markdown();
    }
    std::ostringstream text;
    text << std::ifstream(page, std::ios::binary).rdbuf();
    EXPECT_EQ(text.str(), errors_markdown()) << "codes.cpp has changed: run this test once with HEADRACE_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace headrace
