// What the fuzzers found once, in every build of the tests: each input of tests/fuzz/corpus/<target> is answered or
// refused, and no sanitizer has anything to say.
#include "support/paths.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>

// CMakeLists.txt: the targets as HEADRACE_TARGET(name), each with an entry point of its own.
#define HEADRACE_TARGET(name) extern "C" int fuzz_##name(const std::uint8_t*, std::size_t);
HEADRACE_TARGETS
#undef HEADRACE_TARGET

namespace {

using namespace headrace;

struct Target {
    std::string name;
    int (*read)(const std::uint8_t*, std::size_t);
};

class Corpus : public testing::TestWithParam<Target> {};

}  // namespace

TEST_P(Corpus, IsAnsweredOrRefused) {
    const auto folder = support::source_root() / "tests/fuzz/corpus" / GetParam().name;
    int inputs = 0;
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
        SCOPED_TRACE(file.path().string());
        std::ifstream in(file.path(), std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(in), {}};
        EXPECT_EQ(GetParam().read(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), 0);
        ++inputs;
    }
    EXPECT_GT(inputs, 0);
}

#define HEADRACE_TARGET(name) Target{#name, fuzz_##name},
INSTANTIATE_TEST_SUITE_P(
    Fuzz,
    Corpus,
    testing::ValuesIn(std::initializer_list<Target>{HEADRACE_TARGETS}),
    [](const auto& info) { return info.param.name; }
);
#undef HEADRACE_TARGET
