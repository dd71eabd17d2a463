// main() of the test binaries that use real servers.
#include "support/servers.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

namespace headrace::support {
namespace {

std::unique_ptr<Servers> the_servers;
std::uint64_t the_seed = 0;

void choose_seed() {
    const char* text = std::getenv("HEADRACE_SEED");
    if (text == nullptr || std::from_chars(text, text + std::strlen(text), the_seed).ec != std::errc{}) {
        the_seed = std::random_device{}();
    }
}

}  // namespace

Servers& servers() {
    return *the_servers;
}

std::uint64_t seed() {
    return the_seed;
}

int run_tests() {
    choose_seed();
    fmt::print("HEADRACE_SEED={}\n", the_seed);
    the_servers = std::make_unique<Servers>();
    const int result = RUN_ALL_TESTS();
    the_servers.reset();
    return result;
}

}  // namespace headrace::support

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    return headrace::support::run_tests();
}
