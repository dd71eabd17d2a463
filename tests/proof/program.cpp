#include "proof/program.hpp"

#include "support/servers.hpp"

#include <fmt/core.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>

namespace headrace::support {
namespace {

std::unique_ptr<Servers> the_servers;
std::uint64_t the_seed = 0;

}  // namespace

Servers& servers() {
    return *the_servers;
}

std::uint64_t seed() {
    return the_seed;
}

}  // namespace headrace::support

namespace headrace::proof {

int with_servers(std::uint64_t seed, const std::function<Score()>& body) {
    fmt::print("seed {}\n", seed);
    support::the_seed = seed;
    Score score;
    try {
        support::the_servers = std::make_unique<support::Servers>();
        score = body();
    } catch (const std::exception& e) {
        fmt::print("{}\n", e.what());
        score = {0, 1};
    }
    if (score.failed > 0) {
        ::setenv("HEADRACE_KEEP_TEST_FOLDER", "1", 1);
    }
    support::the_servers.reset();
    fmt::print("{} passed, {} failed\n", score.passed, score.failed);
    return score.failed > 0 ? 1 : 0;
}

std::uint64_t seed_or_random(const std::string& text) {
    return text.empty() ? std::random_device{}() : std::stoull(text);
}

void write_file(const std::string& path, const std::string& text) {
    if (path.empty()) {
        return;
    }
    std::ofstream out(path);
    out << text;
    if (!out.flush()) {
        throw std::runtime_error("cannot write " + path);
    }
}

void print(const Violations& violations) {
    for (const auto& example : violations.examples()) {
        fmt::print("VIOLATION {}\n", example);
    }
    for (const auto& kind : violation_kinds) {
        fmt::print("  {:<10} {}\n", kind, violations.count(kind));
    }
}

std::string json_of(const Violations& violations) {
    std::string text = "{";
    for (const auto& kind : violation_kinds) {
        text += fmt::format("{}\"{}\":{}", text.size() > 1 ? "," : "", kind, violations.count(kind));
    }
    return text + "}";
}

}  // namespace headrace::proof
