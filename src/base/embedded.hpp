// Files that the build put into the binary (migrations, BullMQ's Lua scripts).
// Each embedding namespace offers `std::span<const EmbeddedFile> all()`, sorted by name.
#pragma once

#include <span>
#include <string_view>

namespace headrace {

struct EmbeddedFile {
    std::string_view name;     // file name without folder and extension
    std::string_view content;  // exact bytes, static storage
};

}  // namespace headrace
