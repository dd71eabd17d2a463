// What ClickHouse says when something fails, in each of its dialects, and the Error that it becomes. Pure.
#pragma once

#include "base/error.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace headrace::source::clickhouse {

struct ServerException {
    int code = 0;         // ClickHouse's own number; 0 = none was found
    std::string message;  // its sentence without "DB::Exception", stack and version
};

// `Code: 60, e.displayText() = DB::Exception: …, e.what() = DB::Exception` (to 20.x) and
// `Code: 60. DB::Exception: … (UNKNOWN_TABLE) (version 25.3.1.1)`; other text (of a proxy) is shortened.
ServerException parse_exception(std::string_view text);

// The exception that a server wrote at the end of a body that had begun as a success. `tag` is the value of
// X-ClickHouse-Exception-Tag (from 25.11), or "". Data that only looks like one in the middle of the body is not taken.
std::optional<ServerException> find_late_exception(std::string_view tail, std::string_view tag);

// `late`: after rows had been sent (then the failure means an incomplete read first of all).
Error to_error(const ServerException& exception, int http_status, bool late);

}  // namespace headrace::source::clickhouse
