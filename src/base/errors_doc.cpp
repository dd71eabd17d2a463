#include "base/errors_doc.hpp"

#include "base/codes.hpp"

#include <algorithm>
#include <vector>

namespace headrace {
namespace {

// A bar would end the cell of the table.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        out += c == '|' ? "\\|" : std::string(1, c);
    }
    return out;
}

}  // namespace

std::string errors_markdown() {
    std::vector<CodeInfo> sorted(all_codes().begin(), all_codes().end());
    std::sort(sorted.begin(), sorted.end(), [](const CodeInfo& a, const CodeInfo& b) { return a.code < b.code; });
    std::string out =
        "# Error codes\n\n"
        "Made from `src/base/codes.cpp`; do not edit by hand. A code is stable: alerts and scripts may rely on it. The "
        "message\n"
        "beside a code says what happened this time, the hint what to do.\n";
    std::string_view area;
    for (const auto& info : sorted) {
        const auto own = info.code.substr(0, info.code.find('.'));
        if (own != area) {
            area = own;
            out += "\n## " + std::string(area) + "\n\n| code | what happened | what to do |\n| --- | --- | --- |\n";
        }
        out += "| `" + cell(info.code) + "` | " + cell(info.sentence) + " | " + cell(info.hint) + " |\n";
    }
    return out;
}

}  // namespace headrace
