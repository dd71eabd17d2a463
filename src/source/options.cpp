#include "source/options.hpp"

#include "base/error.hpp"
#include "net/http_headers.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::source {

void refuse_option(const pipeline::Part& part, std::string text) {
    const auto& place = part.options.place;
    throw Error(
        ErrorKind::invalid,
        "pipeline.invalid",
        place.file.empty() ? std::move(text) : fmt::format("{}:{}:{}: {}", place.file, place.line, place.column, text)
    );
}

std::string query_of(const pipeline::Part& part) {
    auto query = part.options.get("query");
    const auto end = query.find_last_not_of(" \t\r\n;");
    query.resize(end == std::string::npos ? 0 : end + 1);
    if (query.empty()) {
        refuse_option(part, "`query` is empty");
    }
    return query;
}

std::string setting(const pipeline::Credential& credential, std::string_view name, std::string_view otherwise) {
    const auto it = credential.settings.find(name);
    return it == credential.settings.end() || it->second.empty() ? std::string(otherwise) : it->second;
}

bool host_allowed(const pipeline::Credential& credential, const net::Address& address) {
    const auto& allowed = credential.allowed_hosts;
    return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& entry) {
        return net::equal_no_case(entry, address.host) || net::equal_no_case(entry, address.text());
    });
}

}  // namespace headrace::source
