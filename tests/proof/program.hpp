// What the proof programs share: servers of tests/support without a test framework around them, and their evidence.
#pragma once

#include "proof/violations.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace headrace::proof {

struct Score {
    long passed = 0;
    long failed = 0;
};

// Makes the servers, runs the body, stops them; the last line printed is "N passed, N failed". The exit code: 1 when
// anything failed, or the body threw; then the servers' folder stays.
int with_servers(std::uint64_t seed, const std::function<Score()>& body);

std::uint64_t seed_or_random(const std::string& text);
void write_file(const std::string& path, const std::string& text);  // "" = nowhere

// One line per kind of violation and the examples.
void print(const Violations& violations);
std::string json_of(const Violations& violations);

}  // namespace headrace::proof
