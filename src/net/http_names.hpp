// Small tables of HTTP.
#pragma once

#include <string_view>

namespace headrace::net {

std::string_view status_text(int status);  // 404 → "Not Found"; "Status" when unknown
std::string_view mime_type(std::string_view path
);  // by extension, text with charset; application/octet-stream otherwise

}  // namespace headrace::net
