#include "base/error.hpp"
#include "source/bigquery/storage/wire.hpp"

#include <dlfcn.h>
#include <fmt/core.h>

#include <filesystem>

namespace headrace::source::bigquery::storage {
#ifdef HEADRACE_STORAGE_WIRE_LINKED  // builds with sanitizers, see cmake/storage_wire.cmake

std::unique_ptr<Wire> open_wire(const WireOptions& options) {
    return std::unique_ptr<Wire>(::headrace_make_storage_wire(&options));
}

#else
namespace {

constexpr const char* module_file = "libheadrace_storage_wire.so";
constexpr const char* entry = "headrace_make_storage_wire";

// Beside the program (or above it, where tests and benchmarks are) in a build folder, else below the install prefix.
std::string module_path() {
    std::error_code ignored;
    const auto folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
    for (const char* place : {".", "..", "../..", "../lib/headrace"}) {
        const auto path = folder / place / module_file;
        if (std::filesystem::exists(path, ignored)) {
            return path.string();
        }
    }
    return "";
}

[[noreturn]] void no_module(std::string_view why) {
    throw Error(
        ErrorKind::permanent, "source.unsupported", fmt::format("this program cannot use Storage Read: {}", why)
    )
        .with_hint("Install lib/headrace/libheadrace_storage_wire.so and gRPC (libgrpc++1.51), or say `read: rest`.");
}

}  // namespace

std::unique_ptr<Wire> open_wire(const WireOptions& options) {
    const auto path = module_path();
    if (path.empty()) {
        no_module(fmt::format("{} is missing", module_file));
    }
    // Never unloaded: gRPC's threads may live on.
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) {
        no_module(::dlerror());
    }
    using Make = decltype(::headrace_make_storage_wire);
    auto* make = reinterpret_cast<Make*>(::dlsym(handle, entry));
    if (make == nullptr) {
        no_module(fmt::format("{} is of another version", module_file));
    }
    return std::unique_ptr<Wire>(make(&options));
}
#endif

}  // namespace headrace::source::bigquery::storage
