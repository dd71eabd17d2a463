// Where the tree and the built programs are, seen from a test binary in build/<preset>/tests.
#pragma once

#include <filesystem>
#include <stdexcept>

namespace headrace::support {

// The checkout: the nearest folder above the test binary that holds CMakePresets.json.
inline std::filesystem::path source_root() {
    auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    while (!std::filesystem::exists(folder / "CMakePresets.json")) {
        if (folder == folder.parent_path()) {
            throw std::runtime_error("the test binary is not inside a checkout");
        }
        folder = folder.parent_path();
    }
    return folder;
}

// build/<preset>/headrace of the same build.
inline std::filesystem::path headrace_binary() {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "headrace";
}

}  // namespace headrace::support
