// Text side of the HTTP server: request targets in, response heads out. Pure; private to net.
#pragma once

#include "net/http_message.hpp"

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::net {

// Fills target, path and query of `out`. Returns why the target is refused, or nullptr.
const char* read_target(std::string_view target, Request& out);

struct HeadOptions {
    bool http_1_0 = false;
    bool keep_alive = true;
    bool chunked = false;
    std::optional<std::uint64_t> content_length;
    std::string_view date;  // IMF-fixdate
};

// Status line and fields with the final empty line. Framing fields and Date of the handler are
// ignored. Throws Error{bug, "internal.bug"} when a field could break the framing (line break, NUL,
// bad name).
std::string response_head(const Response& response, const HeadOptions& options);

std::string http_date(std::time_t time);  // "Sat, 21 Nov 2026 18:00:01 GMT"

}  // namespace headrace::net
